#include "model/cook/photo_cook.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "model/base/status_macros.h"
#include "model/data/augment.h"
#include "model/data/vocabulary_builder.h"
#include "model/image/components.h"
#include "model/image/run_length_sets.h"
#include "model/image/run_lengths.h"

namespace semsam {
namespace {

constexpr int64_t kMinAreaPx = 64;
constexpr double kGapPx = 2;     // between a forehead and the hair above it
constexpr double kMaxIou = 0.9;  // of two masks more alike one is left out

constexpr std::string_view kOutfit = "outfit";
constexpr std::string_view kHead = "head";
constexpr std::string_view kBody = "body";

constexpr std::array<std::string_view, 18> kUpper = {
    "blazer", "blouse",     "bodysuit", "bra",   "cape", "cardigan", "coat", "hoodie",  "jacket",
    "jumper", "sweatshirt", "shirt",    "scarf", "tie",  "sweater",  "top",  "t-shirt", "vest"};
constexpr std::array<std::string_view, 8> kLower = {"jeans", "leggings", "pants",   "shorts",
                                                    "skirt", "tights",   "panties", "stockings"};
constexpr std::array<std::string_view, 10> kFootwear = {"boots",    "clogs", "flats",   "heels",
                                                        "loafers",  "pumps", "sandals", "shoes",
                                                        "sneakers", "wedges"};
// Worn without being of the clothes above.
constexpr std::array<std::string_view, 9> kOtherClothes = {
    "belt", "dress", "gloves", "hat", "intimate", "romper", "socks", "suit", "swimwear"};

struct ClothesGroup {
  std::string_view word;
  std::span<const std::string_view> members;
};
constexpr std::array<ClothesGroup, 3> kGroups = {{{.word = "upper body clothes", .members = kUpper},
                                                  {.word = "lower body clothes", .members = kLower},
                                                  {.word = "footwear", .members = kFootwear}}};

bool IsOneOf(std::string_view word, std::span<const std::string_view> words) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

bool IsClothes(std::string_view word) {
  return IsOneOf(word, kOtherClothes) ||
         std::any_of(kGroups.begin(), kGroups.end(),
                     [word](const ClothesGroup& group) { return IsOneOf(word, group.members); });
}

int AddPart(Sample& sample, RunLengths mask, int parent, std::string_view word) {
  int64_t id = 0;
  for (const Annotation& annotation : sample.annotations) id = std::max(id, annotation.id);
  const BoxPx box = TightBox(mask);
  sample.annotations.push_back({.id = id + 1,
                                .mask = std::move(mask),
                                .box = box,
                                .object_name = sample.annotations[parent].object_name,
                                .part_name = std::string(word),
                                .parent = parent});
  return static_cast<int>(sample.annotations.size()) - 1;
}

PixelBox RoundOut(const BoxPx& box) {
  const int x = static_cast<int>(std::floor(box.x0)), y = static_cast<int>(std::floor(box.y0));
  return {.x = x,
          .y = y,
          .width = static_cast<int>(std::ceil(box.x1)) - x,
          .height = static_cast<int>(std::ceil(box.y1)) - y};
}

class ClothesGrouper {
 public:
  explicit ClothesGrouper(Sample& sample)
      : sample_(sample), source_count_(static_cast<int>(sample.annotations.size())) {}

  absl::Status Run() {
    // Groups of groups first: a garment goes to the innermost.
    const int outfit = AddUnion(0, kOutfit, [](std::string_view word) { return IsClothes(word); });
    const int parent = outfit < 0 ? 0 : outfit;
    for (const ClothesGroup& group : kGroups) {
      AddUnion(parent, group.word,
               [&](std::string_view word) { return IsOneOf(word, group.members); });
    }
    SEMSAM_RETURN_IF_ERROR(AddHead());
    return AddPieces();
  }

 private:
  // The union of the source's parts that `belongs` chooses, as their parent; -1 where
  // it would be nothing new.
  template <typename Belongs>
  int AddUnion(int parent, std::string_view word, Belongs belongs) {
    std::vector<int> members;
    RunLengths mask = EmptyMask(sample_.size);
    for (int i = 1; i < source_count_; ++i) {
      const Annotation& part = sample_.annotations[i];
      if (!part.mask.has_value() || !belongs(part.part_name)) continue;
      members.push_back(i);
      mask = UnionOf(mask, *part.mask);
    }
    if (members.size() < 2 || IsTwin(mask)) return -1;
    const int group = AddPart(sample_, std::move(mask), parent, word);
    for (const int member : members) sample_.annotations[member].parent = group;
    return group;
  }

  bool IsTwin(const RunLengths& mask) const {
    return std::any_of(sample_.annotations.begin(), sample_.annotations.end(),
                       [&](const Annotation& annotation) {
                         return annotation.mask && MaskIou(*annotation.mask, mask) > kMaxIou;
                       });
  }

  const Annotation* FindPart(std::string_view word) const {
    for (int i = 1; i < source_count_; ++i) {
      const Annotation& part = sample_.annotations[i];
      if (part.part_name == word && part.mask.has_value()) return &part;
    }
    return nullptr;
  }

  // Hair and the piece of skin that reaches up to its box, where both end within the top
  // quarter of someone who stands upright.
  absl::Status AddHead() {
    const Annotation* hair = FindPart("hair");
    const Annotation* skin = FindPart("skin");
    if (hair == nullptr || skin == nullptr) return absl::OkStatus();
    const BoxPx person = sample_.annotations[0].box, top = hair->box;
    const double height = person.y1 - person.y0;
    const double neck = person.y0 + 0.25 * height;
    if (height < 1.6 * (person.x1 - person.x0) || top.y1 > neck) return absl::OkStatus();
    RunLengths mask = *hair->mask;
    bool found = false;
    SEMSAM_ASSIGN_OR_RETURN(const std::vector<RunLengths> pieces,
                            ConnectedComponents(*skin->mask, kMinAreaPx));
    for (const RunLengths& piece : pieces) {
      const BoxPx box = TightBox(piece);
      const bool meets =
          box.x0 <= top.x1 && top.x0 <= box.x1 && box.y0 <= top.y1 + kGapPx && top.y0 <= box.y1;
      if (!meets || box.y1 > neck) continue;
      mask = UnionOf(mask, piece);
      found = true;
    }
    if (found && !IsTwin(mask)) AddPart(sample_, std::move(mask), 0, kHead);
    return absl::OkStatus();
  }

  absl::Status AddPieces() {
    for (int i = 1; i < source_count_; ++i) {
      const std::string word = sample_.annotations[i].part_name;
      if (!sample_.annotations[i].mask.has_value()) continue;
      if (word != "skin" && !IsOneOf(word, kFootwear)) continue;
      SEMSAM_ASSIGN_OR_RETURN(std::vector<RunLengths> pieces,
                              ConnectedComponents(*sample_.annotations[i].mask, kMinAreaPx));
      if (pieces.size() < 2) continue;
      for (RunLengths& piece : pieces) {
        if (!IsTwin(piece)) AddPart(sample_, std::move(piece), i, word);
      }
    }
    return absl::OkStatus();
  }

  Sample& sample_;
  const int source_count_;  // annotations of the source come first
};

}  // namespace

void AddAnimalParts(Sample& sample) {
  std::vector<bool> keep(sample.annotations.size(), true);
  for (size_t i = 0; i < keep.size(); ++i) {
    const int parent = sample.annotations[i].parent;
    if (sample.annotations[i].part_name != kHead || sample.annotations[i].mask || parent < 0 ||
        !sample.annotations[parent].mask) {
      continue;
    }
    const RunLengths whole = *sample.annotations[parent].mask;
    RunLengths head =
        IntersectionOf(whole, BoxMask(RoundOut(sample.annotations[i].box), sample.size));
    keep[i] = MaskArea(head) >= kMinAreaPx && MaskIou(head, whole) <= kMaxIou;
    if (!keep[i]) continue;
    RunLengths body = DifferenceOf(whole, head);
    sample.annotations[i].box = TightBox(head);
    sample.annotations[i].mask = std::move(head);
    if (MaskArea(body) >= kMinAreaPx && MaskIou(body, whole) <= kMaxIou) {
      AddPart(sample, std::move(body), parent, kBody);
    }
  }
  keep.resize(sample.annotations.size(), true);
  KeepAnnotations(sample, keep);
}

absl::Status AddClothesGroups(Sample& sample) {
  if (sample.annotations.empty() || sample.annotations[0].is_part() ||
      !sample.annotations[0].mask.has_value()) {
    return absl::OkStatus();
  }
  return ClothesGrouper(sample).Run();
}

std::shared_ptr<const Vocabulary> WithPseudoParts(const Vocabulary& vocabulary) {
  VocabularyBuilder words(vocabulary.name + "-parts");
  for (const std::string& name : vocabulary.objects) words.AddObject(name);
  for (const std::string& name : vocabulary.parts) words.AddPart(name);
  const bool people = IsOneOf("person", std::vector<std::string_view>(vocabulary.objects.begin(),
                                                                      vocabulary.objects.end()));
  words.AddPart(std::string(kHead));
  words.AddPart(std::string(people ? kOutfit : kBody));
  if (people) {
    for (const ClothesGroup& group : kGroups) words.AddPart(std::string(group.word));
  }
  return words.Build(/*closed_world=*/false);
}

void ListAbsentObjects(Sample& sample) {
  if (sample.vocabulary == nullptr || !sample.vocabulary->closed_world) return;
  std::set<std::string> shown;
  for (const Annotation& annotation : sample.annotations) shown.insert(annotation.object_name);
  for (const std::string& name : sample.vocabulary->objects) {
    if (!shown.contains(name)) sample.absent.push_back(name);
  }
}

}  // namespace semsam
