#include <algorithm>
#include <array>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "model/base/errors.h"
#include "model/base/status_macros.h"
#include "model/cook/shape_nesting.h"
#include "model/cook/sprite_list.h"
#include "model/cook/svg_picture.h"
#include "model/data/files.h"
#include "model/image/run_length_sets.h"
#include "model/text/gzip.h"

namespace semsam {
namespace {

constexpr int64_t kMaxFileBytes = int64_t{64} << 20;
constexpr int64_t kMaxTextBytes = int64_t{512} << 20;
constexpr size_t kMaxFaces = 100'000;
constexpr char kObject[] = "person";

// A group's part, and whether it is on the head, and of the bare face.
struct Part {
  std::string_view group;
  std::string_view word;  // empty: lines, which belong to what they are drawn on
  bool of_head = true;
  bool of_face = true;
};
constexpr std::array<Part, 16> kParts = {{
    {.group = "body", .word = "body", .of_head = false, .of_face = false},
    {.group = "jersey", .word = "jersey", .of_head = false, .of_face = false},
    {.group = "ear", .word = "ear", .of_face = false},
    {.group = "head", .word = ""},
    {.group = "hair", .word = "hair", .of_face = false},
    {.group = "hairBg", .word = "hair", .of_face = false},
    {.group = "eye", .word = "eye"},
    {.group = "eyebrow", .word = "eyebrow"},
    {.group = "mouth", .word = "mouth"},
    {.group = "nose", .word = "nose"},
    {.group = "facialHair", .word = "beard"},
    {.group = "glasses", .word = "glasses"},
    {.group = "accessories", .word = "headgear", .of_face = false},
    {.group = "eyeLine", .word = ""},
    {.group = "smileLine", .word = ""},
    {.group = "miscLine", .word = ""},
}};

const Part* FindPart(std::string_view group) {
  for (const Part& part : kParts) {
    if (part.group == group) return &part;
  }
  return nullptr;
}

// What a group shows, in the order of the groups; groups of hair are one.
struct Region {
  std::string_view word;
  RunLengths mask;
};

class FaceMasks {
 public:
  explicit FaceMasks(const SvgDrawing& drawing)
      : whole_(Coverage(drawing.image)),
        head_(EmptyMask(drawing.image.size)),
        face_(head_),
        hair_(head_) {
    const std::vector<RunLengths> visible = VisibleShapes(drawing);
    std::vector<RunLengths> of_group(drawing.groups.size(), EmptyMask(drawing.image.size));
    for (size_t i = 0; i < visible.size(); ++i) {
      whole_ = UnionOf(whole_, visible[i]);
      int group = drawing.shapes[i].group;
      while (group >= 0 && drawing.groups[group].parent >= 0) group = drawing.groups[group].parent;
      if (group >= 0) of_group[group] = UnionOf(of_group[group], visible[i]);
    }
    for (size_t g = 0; g < of_group.size(); ++g) {
      if (drawing.groups[g].parent < 0) AddGroup(drawing.groups[g].id, std::move(of_group[g]));
    }
  }

  // The whole first.
  std::vector<SpriteMask> Take() && {
    std::vector<SpriteMask> masks;
    masks.push_back({.mask = std::move(whole_), .object_name = kObject});
    const auto add = [&masks](std::string_view word, RunLengths mask) {
      masks.push_back(
          {.mask = std::move(mask), .object_name = kObject, .part_name = std::string(word)});
    };
    add("head", std::move(head_));
    add("face", std::move(face_));
    add("hair", std::move(hair_));
    for (Region& region : regions_) add(region.word, std::move(region.mask));
    return NestMasks(std::move(masks), {.min_area_px = 32, .max_iou = 0.97});
  }

 private:
  void AddGroup(std::string_view id, RunLengths mask) {
    const Part* part = FindPart(id);
    if (part == nullptr) return;
    if (part->of_head) head_ = UnionOf(head_, mask);
    if (part->of_face) face_ = UnionOf(face_, mask);
    if (part->word == "hair") {
      hair_ = UnionOf(hair_, mask);
    } else if (!part->word.empty()) {
      regions_.push_back({.word = part->word, .mask = std::move(mask)});
    }
  }

  RunLengths whole_, head_, face_, hair_;
  std::vector<Region> regions_;
};

class FaceSource final : public SpriteList {
 public:
  FaceSource(std::vector<std::string> svgs, SourceInfo info)
      : SpriteList(std::move(info)), svgs_(std::move(svgs)) {
    for (size_t i = 0; i < svgs_.size(); ++i) {
      const std::string line = std::to_string(i + 1);
      Add(std::string(6 - std::min<size_t>(6, line.size()), '0') + line, kObject);
    }
  }

  absl::StatusOr<Sprite> Load(size_t index, int side_px) const override {
    SEMSAM_ASSIGN_OR_RETURN(SvgDrawing drawing, DrawSvg(svgs_[index], side_px));
    std::vector<SpriteMask> masks = FaceMasks(drawing).Take();
    if (masks.size() < 3) return absl::OutOfRangeError("it has no groups that are parts of a face");
    return Sprite{.image = std::move(drawing.image), .masks = std::move(masks)};
  }

 private:
  const std::vector<std::string> svgs_;  // one an entry
};

}  // namespace

absl::StatusOr<std::unique_ptr<SpriteSource>> OpenFaces(const std::string& path, SourceInfo info) {
  SEMSAM_ASSIGN_OR_RETURN(const std::string packed, ReadWholeFile(path, kMaxFileBytes));
  absl::StatusOr<std::string> text = Gunzip(packed, kMaxTextBytes);
  if (!text.ok()) return Annotate(text.status(), path);
  std::vector<std::string> lines = absl::StrSplit(*text, '\n');
  while (!lines.empty() && lines.back().empty()) lines.pop_back();
  if (lines.size() > kMaxFaces) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": more than ", kMaxFaces, " lines"));
  }
  return std::make_unique<FaceSource>(std::move(lines), std::move(info));
}

}  // namespace semsam
