#include "model/tools/eval/vocabulary_truth.h"

#include <utility>

#include "model/image/run_length_sets.h"
#include "model/image/run_lengths.h"

namespace semsam {
namespace {

// The class of an annotation that is an object; -1: none.
int ClassOf(const Annotation& annotation, const ClassIndex& classes) {
  if (!annotation.part_name.empty()) return -1;
  const auto found = classes.find(annotation.object_name);
  return found == classes.end() ? -1 : found->second;
}

ApBox BoxOf(const Annotation& annotation) {
  const BoxPx box = annotation.stated_box.value_or(annotation.box);
  return {.x = box.x0, .y = box.y0, .width = box.x1 - box.x0, .height = box.y1 - box.y0};
}

// Calls `visit` with the row-major position of every pixel of the mask.
template <typename Visit>
void ForEachPixel(const RunLengths& mask, Visit visit) {
  const int64_t height = mask.size.height, width = mask.size.width;
  int64_t begin = 0;
  for (size_t i = 0; i < mask.counts.size(); ++i) {
    const int64_t end = begin + mask.counts[i];
    if (i % 2 == 1) {
      for (int64_t at = begin; at < end; ++at) visit(at % height * width + at / height);
    }
    begin = end;
  }
}

}  // namespace

InstanceTruths InstancesOf(const Sample& sample, const ClassIndex& classes) {
  InstanceTruths result;
  for (const Annotation& annotation : sample.annotations) {
    const int category = ClassOf(annotation, classes);
    if (category < 0 || annotation.stuff) continue;
    ApTruth truth{.category = category,
                  .box = BoxOf(annotation),
                  .area = annotation.stated_area_px,
                  .crowd = annotation.crowd};
    if (annotation.mask.has_value()) {
      truth.mask = *annotation.mask;
    } else {
      result.has_masks = false;
    }
    result.truths.push_back(std::move(truth));
  }
  return result;
}

std::vector<ApTruth> UnknownAsCrowds(const Sample& sample, const std::vector<int64_t>& categories) {
  std::vector<ApTruth> crowds;
  if (!sample.unknown.has_value()) return crowds;
  RunLengths unknown = *sample.unknown;
  for (const Annotation& annotation : sample.annotations) {
    if (annotation.crowd && annotation.mask.has_value()) {
      unknown = DifferenceOf(unknown, *annotation.mask);
    }
  }
  if (MaskArea(unknown) == 0) return crowds;
  const PixelBox box = BoundingBox(unknown);
  for (const int64_t category : categories) {
    crowds.push_back({.category = category,
                      .mask = unknown,
                      .box = {.x = static_cast<double>(box.x),
                              .y = static_cast<double>(box.y),
                              .width = static_cast<double>(box.width),
                              .height = static_cast<double>(box.height)},
                      .crowd = true});
  }
  return crowds;
}

PanopticTruth PanopticOf(const Sample& sample, const ClassIndex& classes) {
  PanopticTruth truth{.ids = std::vector<uint32_t>(sample.size.area(), kVoidSegment)};
  uint32_t id = 0;
  for (const Annotation& annotation : sample.annotations) {
    const int category = ClassOf(annotation, classes);
    if (category < 0 || !annotation.mask.has_value()) continue;
    ++id;
    ForEachPixel(*annotation.mask, [&](int64_t at) { truth.ids[at] = id; });
    truth.segments.push_back({.id = id, .category = category, .crowd = annotation.crowd});
  }
  return truth;
}

std::vector<uint16_t> SemanticOf(const Sample& sample, const ClassIndex& classes) {
  std::vector<uint16_t> labels(sample.size.area(), kNoClass);
  for (const Annotation& annotation : sample.annotations) {
    const int category = ClassOf(annotation, classes);
    if (category < 0 || !annotation.mask.has_value()) continue;
    ForEachPixel(*annotation.mask,
                 [&](int64_t at) { labels[at] = static_cast<uint16_t>(category); });
  }
  return labels;
}

}  // namespace semsam
