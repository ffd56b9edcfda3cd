#include <algorithm>
#include <cstring>
#include <memory>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "model/base/errors.h"
#include "model/base/status_macros.h"
#include "model/data/augment.h"
#include "model/data/vocabulary_builder.h"
#include "model/image/run_length_sets.h"

namespace semsam {
namespace {

// Index of what annotation `index` is a part of in the end.
int RootOf(const Sample& sample, int index) {
  while (sample.annotations[index].parent >= 0) index = sample.annotations[index].parent;
  return index;
}

// Which annotations go: chosen objects, and all that is a part of them and has a mask.
std::vector<bool> Choose(const Sample& sample, const CopyPasteOptions& options, Random& random) {
  const int count = static_cast<int>(sample.annotations.size());
  std::vector<int> objects;
  for (int i = 0; i < count; ++i) {
    const Annotation& object = sample.annotations[i];
    const bool pastes = object.parent < 0 && object.part_name.empty() && object.mask.has_value() &&
                        !object.crowd && !object.stuff;
    if (pastes && random.Chance(options.probability)) objects.push_back(i);
  }
  if (static_cast<int>(objects.size()) > options.max_objects) {
    random.Shuffle(std::span<int>(objects));
    objects.resize(options.max_objects);
  }
  std::vector<bool> chosen(count, false);
  for (const int object : objects) chosen[object] = true;
  for (int i = 0; i < count; ++i) {
    chosen[i] = chosen[RootOf(sample, i)] && sample.annotations[i].mask.has_value();
  }
  return chosen;
}

void PastePixels(const Rgb8Image& from, const RunLengths& region, Rgb8Image& to) {
  int64_t position = 0;
  for (size_t i = 0; i < region.counts.size(); ++i) {
    const int64_t end = position + region.counts[i];
    for (; i % 2 == 1 && position < end; ++position) {
      const int64_t x = position / region.size.height, y = position % region.size.height;
      const size_t at = static_cast<size_t>(y * region.size.width + x) * 3;
      std::memcpy(to.pixels.data() + at, from.pixels.data() + at, 3);
    }
    position = end;
  }
}

// Whether a box without a mask lies below `region` with all its pixels.
bool Covers(const RunLengths& region, const BoxPx& box) {
  const PixelBox pixels = {
      .x = static_cast<int>(box.x0),
      .y = static_cast<int>(box.y0),
      .width = static_cast<int>(box.x1 + 0.999999) - static_cast<int>(box.x0),
      .height = static_cast<int>(box.y1 + 0.999999) - static_cast<int>(box.y0)};
  const RunLengths inside = BoxMask(pixels, region.size);
  return SharedArea(inside, region) == MaskArea(inside);
}

// Takes the pixels of `region` from what lies below it.
void Hide(Sample& sample, const RunLengths& region, double min_visible_share) {
  std::vector<bool> keep;
  for (Annotation& annotation : sample.annotations) {
    annotation.stated_area_px.reset();
    annotation.stated_box.reset();
    if (!annotation.mask.has_value()) {
      keep.push_back(!Covers(region, annotation.box));
      continue;
    }
    const int64_t before = MaskArea(*annotation.mask);
    annotation.mask = DifferenceOf(*annotation.mask, region);
    annotation.box = TightBox(*annotation.mask);
    const int64_t after = MaskArea(*annotation.mask);
    keep.push_back(after > 0 &&
                   (after == before ||
                    static_cast<double>(after) >= min_visible_share * static_cast<double>(before)));
  }
  KeepAnnotations(sample, keep);
  if (!sample.unknown.has_value()) return;
  sample.unknown = DifferenceOf(*sample.unknown, region);
  if (MaskArea(*sample.unknown) == 0) sample.unknown.reset();
}

void AppendPasted(const Sample& pasted, Sample& target) {
  int64_t next_id = 1;
  for (const Annotation& annotation : target.annotations) {
    next_id = std::max(next_id, annotation.id + 1);
  }
  const int first = static_cast<int>(target.annotations.size());
  for (const Annotation& annotation : pasted.annotations) {
    Annotation copy = annotation;
    copy.id = next_id++;
    copy.stated_area_px.reset();
    copy.stated_box.reset();
    if (copy.parent >= 0) copy.parent += first;
    target.annotations.push_back(std::move(copy));
  }
}

std::shared_ptr<const Vocabulary> UnionOf(const Vocabulary& a, const Vocabulary& b) {
  VocabularyBuilder builder(absl::StrCat(a.name, "+", b.name));
  for (const Vocabulary* vocabulary : {&a, &b}) {
    for (const std::string& object : vocabulary->objects) builder.AddObject(object);
    for (const std::string& part : vocabulary->parts) builder.AddPart(part);
  }
  return builder.Build(/*closed_world=*/false);
}

// Names that the target was known not to show may have been pasted.
void MergeWords(const Sample& pasted, Sample& target) {
  if (target.vocabulary != pasted.vocabulary && *target.vocabulary != *pasted.vocabulary) {
    target.vocabulary = UnionOf(*target.vocabulary, *pasted.vocabulary);
  }
  std::erase_if(target.absent, [&](const std::string& name) {
    return std::any_of(pasted.annotations.begin(), pasted.annotations.end(),
                       [&](const Annotation& a) { return a.object_name == name; });
  });
  if (!pasted.licence.empty() && pasted.licence != target.licence) {
    target.licence = absl::StrCat(target.licence, "; ", pasted.licence);
  }
  if (!pasted.source.empty() && pasted.source != target.source) {
    target.source = absl::StrCat(target.source, "; ", pasted.source);
  }
}

}  // namespace

absl::Status Validate(const CopyPasteOptions& options) {
  if (!(options.probability >= 0) || !(options.probability <= 1)) {
    return InvalidField("probability", "must be between 0 and 1");
  }
  if (options.max_objects < 0) return InvalidField("max_objects", "must not be negative");
  if (!(options.min_visible_share >= 0) || !(options.min_visible_share <= 1)) {
    return InvalidField("min_visible_share", "must be between 0 and 1");
  }
  return absl::OkStatus();
}

absl::StatusOr<LoadedSample> CopyPaste(const LoadedSample& target, const LoadedSample& source,
                                       const CopyPasteOptions& options, Random& random) {
  SEMSAM_RETURN_IF_ERROR(Validate(options));
  const ImageSize size = target.picture.size;
  if (size != source.picture.size || size != target.sample.size || size != source.sample.size) {
    return absl::InvalidArgumentError(absl::StrCat(target.sample.name, ", ", source.sample.name,
                                                   ": must be of one size to be pasted"));
  }
  Sample pasted = source.sample;
  KeepAnnotations(pasted, Choose(source.sample, options, random));
  LoadedSample result = target;
  result.sample.pixels = nullptr;
  if (pasted.annotations.empty()) return result;
  RunLengths region = EmptyMask(size);
  for (const Annotation& annotation : pasted.annotations) {
    region = UnionOf(region, *annotation.mask);
  }
  PastePixels(source.picture, region, result.picture);
  Hide(result.sample, region, options.min_visible_share);
  if (pasted.unknown.has_value()) {
    AddUnknown(result.sample, IntersectionOf(*pasted.unknown, region));
  }
  MergeWords(pasted, result.sample);
  AppendPasted(pasted, result.sample);
  return result;
}

}  // namespace semsam
