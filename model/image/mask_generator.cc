#include "model/image/mask_generator.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "model/base/errors.h"
#include "model/base/status_macros.h"
#include "model/image/mask_cleanup.h"
#include "model/image/mask_tail.h"
#include "model/image/run_lengths.h"

namespace semsam {
namespace {

// The records that survive NMS, in its order.
std::vector<MaskRecord> Suppress(std::vector<MaskRecord> records, std::span<const float> scores,
                                 double iou_threshold) {
  std::vector<CornerBox> boxes;
  boxes.reserve(records.size());
  for (const MaskRecord& record : records) boxes.push_back(record.box);
  std::vector<MaskRecord> kept;
  for (const size_t index : BoxNms(boxes, scores, iou_threshold)) {
    kept.push_back(std::move(records[index]));
  }
  return kept;
}

}  // namespace

absl::Status Validate(const MaskGeneratorOptions& options) {
  if (!std::isfinite(options.pred_iou_thresh)) {
    return InvalidField("pred_iou_thresh", "must be finite");
  }
  if (!(options.stability_score_thresh <= 1)) {
    return InvalidField("stability_score_thresh", "must be at most 1");
  }
  if (!(options.stability_score_offset >= 0) || !std::isfinite(options.stability_score_offset)) {
    return InvalidField("stability_score_offset", "must be finite and not negative");
  }
  if (!(options.box_nms_thresh >= 0 && options.box_nms_thresh <= 1)) {
    return InvalidField("box_nms_thresh", "must be between 0 and 1");
  }
  if (!(options.crop_nms_thresh >= 0 && options.crop_nms_thresh <= 1)) {
    return InvalidField("crop_nms_thresh", "must be between 0 and 1");
  }
  if (options.min_mask_region_area < 0) {
    return InvalidField("min_mask_region_area", "must not be negative");
  }
  if (options.max_candidates < 1) return InvalidField("max_candidates", "must be positive");
  return absl::OkStatus();
}

MaskGenerator::MaskGenerator(const MaskGeneratorOptions& options, const ImageGeometry& geometry)
    : options_(options), geometry_(geometry) {}

absl::Status MaskGenerator::Add(const MaskCandidate& candidate) {
  SEMSAM_RETURN_IF_ERROR(ValidateGeometry(geometry_, candidate.logits.size));
  if (options_.pred_iou_thresh > 0 && !(candidate.predicted_iou > options_.pred_iou_thresh)) {
    return absl::OkStatus();
  }
  const float stability =
      StabilityScore(candidate.logits, geometry_, options_.stability_score_offset);
  if (options_.stability_score_thresh > 0 && stability < options_.stability_score_thresh) {
    return absl::OkStatus();
  }
  if (static_cast<int64_t>(records_.size()) >= options_.max_candidates) {
    return ErrorWithReason(
        absl::StatusCode::kResourceExhausted, reason::kLimitExceeded,
        absl::StrCat("more than ", options_.max_candidates, " masks pass the thresholds"));
  }
  MaskRecord record{
      .mask = LogitsToRunLengths(candidate.logits, geometry_, MaskResolution::kNetwork),
      .predicted_iou = candidate.predicted_iou,
      .stability_score = stability,
      .point = candidate.point,
      .level = candidate.level};
  record.box = ToCornerBox(BoundingBox(record.mask));
  records_.push_back(std::move(record));
  return absl::OkStatus();
}

absl::StatusOr<std::vector<MaskRecord>> MaskGenerator::Finish(
    const std::function<bool()>& cancelled) {
  std::vector<MaskRecord> records = std::exchange(records_, {});
  std::vector<float> scores;
  scores.reserve(records.size());
  for (const MaskRecord& record : records) scores.push_back(record.predicted_iou);
  records = Suppress(std::move(records), scores, options_.box_nms_thresh);
  if (options_.min_mask_region_area > 0) {
    SEMSAM_ASSIGN_OR_RETURN(records, CleanUp(std::move(records), cancelled));
  }
  for (MaskRecord& record : records) record.area = MaskArea(record.mask);
  return records;
}

absl::StatusOr<std::vector<MaskRecord>> MaskGenerator::CleanUp(
    std::vector<MaskRecord> records, const std::function<bool()>& cancelled) const {
  std::vector<float> scores;
  scores.reserve(records.size());
  for (MaskRecord& record : records) {
    if (cancelled && cancelled()) return absl::CancelledError("the selection was cancelled");
    BinaryMask mask = DecodeRunLengths(record.mask);
    SEMSAM_ASSIGN_OR_RETURN(const bool filled, FillHoles(mask, options_.min_mask_region_area));
    SEMSAM_ASSIGN_OR_RETURN(const bool removed, RemoveIslands(mask, options_.min_mask_region_area));
    // Masks that needed no repair win over the repaired.
    scores.push_back(filled || removed ? 0.0f : 1.0f);
    if (!filled && !removed) continue;
    record.mask = EncodeRunLengths(mask);
    record.box = ToCornerBox(BoundingBox(record.mask));
  }
  return Suppress(std::move(records), scores,
                  std::max(options_.box_nms_thresh, options_.crop_nms_thresh));
}

}  // namespace semsam
