#include "model/data/sample.h"

#include <cmath>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "model/base/errors.h"
#include "model/base/status_macros.h"
#include "model/data/files.h"
#include "model/image/run_length_sets.h"

namespace semsam {
namespace {

bool IsSound(const RunLengths& mask, ImageSize size) {
  int64_t total = 0;
  for (const uint32_t count : mask.counts) total += count;
  return mask.size == size && total == size.area();
}

absl::Status CheckAnnotation(const Sample& sample, const Annotation& annotation) {
  if (annotation.mask.has_value()) {
    if (!IsSound(*annotation.mask, sample.size)) {
      return absl::InvalidArgumentError("the mask does not fit the picture");
    }
    if (annotation.box != TightBox(*annotation.mask)) {
      return absl::InvalidArgumentError("the box is not tight");
    }
  }
  const BoxPx& box = annotation.box;
  if (box.empty() || box.x0 < 0 || box.y0 < 0 || box.x1 > sample.size.width ||
      box.y1 > sample.size.height) {
    return absl::InvalidArgumentError("empty, or outside the picture");
  }
  const int count = static_cast<int>(sample.annotations.size());
  int steps = 0;
  for (const Annotation* at = &annotation; at->parent != -1; at = &sample.annotations[at->parent]) {
    if (at->parent < -1 || at->parent >= count) {
      return absl::InvalidArgumentError("its parent does not exist");
    }
    if (++steps > count) return absl::InvalidArgumentError("it is a part of itself");
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<Rgb8Image> LoadPicture(const Sample& sample, const DecodeLimits& limits) {
  if (sample.pixels != nullptr) return *sample.pixels;
  SEMSAM_ASSIGN_OR_RETURN(const std::string bytes,
                          ReadWholeFile(sample.picture_path, limits.max_encoded_bytes));
  absl::StatusOr<Rgb8Image> picture = DecodeImage(bytes, limits);
  if (!picture.ok()) return Annotate(picture.status(), sample.picture_path);
  if (picture->size != sample.size) {
    return absl::InvalidArgumentError(absl::StrCat(
        sample.picture_path, ": the picture has ", picture->size.width, " x ", picture->size.height,
        " pixels, its annotations are for ", sample.size.width, " x ", sample.size.height));
  }
  return picture;
}

absl::Status CheckSample(const Sample& sample) {
  if (sample.size.height <= 0 || sample.size.width <= 0) {
    return absl::InvalidArgumentError("the picture has no size");
  }
  if (sample.vocabulary == nullptr) return absl::InvalidArgumentError("no vocabulary");
  if (sample.vocabulary->name.empty() && *sample.vocabulary != Vocabulary()) {
    return absl::InvalidArgumentError("a vocabulary with names needs a name");
  }
  if (sample.unknown.has_value() && !IsSound(*sample.unknown, sample.size)) {
    return absl::InvalidArgumentError("the unknown region does not fit the picture");
  }
  std::set<int64_t> ids;
  for (size_t i = 0; i < sample.annotations.size(); ++i) {
    const Annotation& annotation = sample.annotations[i];
    absl::Status status = CheckAnnotation(sample, annotation);
    if (status.ok() && !ids.insert(annotation.id).second) {
      status = absl::InvalidArgumentError("the id occurs twice");
    }
    if (!status.ok()) {
      return Annotate(status, absl::StrCat("annotation ", i, " (id ", annotation.id, ")"));
    }
  }
  return absl::OkStatus();
}

BoxPx TightBox(const RunLengths& mask) {
  const PixelBox box = BoundingBox(mask);
  return {.x0 = static_cast<double>(box.x),
          .y0 = static_cast<double>(box.y),
          .x1 = static_cast<double>(box.x) + box.width,
          .y1 = static_cast<double>(box.y) + box.height};
}

RunLengths Unannotated(const Sample& sample) {
  RunLengths covered = EmptyMask(sample.size);
  for (const Annotation& annotation : sample.annotations) {
    if (annotation.mask.has_value()) {
      covered = UnionOf(covered, *annotation.mask);
      continue;
    }
    const int x0 = static_cast<int>(std::floor(annotation.box.x0));
    const int y0 = static_cast<int>(std::floor(annotation.box.y0));
    covered =
        UnionOf(covered, BoxMask({.x = x0,
                                  .y = y0,
                                  .width = static_cast<int>(std::ceil(annotation.box.x1)) - x0,
                                  .height = static_cast<int>(std::ceil(annotation.box.y1)) - y0},
                                 sample.size));
  }
  return ComplementOf(covered);
}

void AddUnknown(Sample& sample, const RunLengths& region) {
  if (MaskArea(region) == 0) return;
  sample.unknown = sample.unknown.has_value() ? UnionOf(*sample.unknown, region) : region;
}

}  // namespace semsam
