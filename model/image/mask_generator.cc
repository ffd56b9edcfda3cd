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

absl::Status TooMany(int64_t limit, const char* what) {
  return ErrorWithReason(absl::StatusCode::kResourceExhausted, reason::kLimitExceeded,
                         absl::StrCat("more than ", limit, " ", what, " pass the thresholds"));
}

int64_t Bytes(const RunLengths& runs) {
  return static_cast<int64_t>(runs.counts.size() * sizeof(runs.counts[0]));
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
  if (options.max_mask_bytes < 1) return InvalidField("max_mask_bytes", "must be positive");
  return absl::OkStatus();
}

std::vector<Prompt> PointGrid(int points_per_side, float click_size) {
  const auto middle = [&](int cell) { return static_cast<float>((cell + 0.5) / points_per_side); };
  std::vector<Prompt> points;
  for (int y = 0; y < points_per_side; ++y) {
    for (int x = 0; x < points_per_side; ++x) {
      points.push_back({.cx = middle(x), .cy = middle(y), .w = click_size, .h = click_size});
    }
  }
  return points;
}

MaskGenerator::MaskGenerator(const MaskGeneratorOptions& options, const ImageGeometry& geometry)
    : options_(options), geometry_(geometry) {}

bool MaskGenerator::AnswersOriginal() const {
  return options_.resolution == MaskResolution::kOriginal &&
         !(geometry_.original == geometry_.network);
}

absl::Status MaskGenerator::Add(const MaskCandidate& candidate) {
  SEMSAM_RETURN_IF_ERROR(ValidateGeometry(geometry_, candidate.logits.size));
  ++judged_;
  if (options_.pred_iou_thresh > 0 && !(candidate.predicted_iou > options_.pred_iou_thresh)) {
    return absl::OkStatus();
  }
  const float stability =
      StabilityScore(candidate.logits, geometry_, options_.stability_score_offset);
  if (options_.stability_score_thresh > 0 && stability < options_.stability_score_thresh) {
    return absl::OkStatus();
  }
  if (held() >= options_.max_candidates) return TooMany(options_.max_candidates, "masks");
  Held held{
      .record = {.mask = LogitsToRunLengths(candidate.logits, geometry_, MaskResolution::kNetwork),
                 .predicted_iou = candidate.predicted_iou,
                 .stability_score = stability,
                 .point = candidate.point,
                 .point_index = candidate.point_index,
                 .query = candidate.query,
                 .level = candidate.level}};
  held.record.box = ToCornerBox(BoundingBox(held.record.mask));
  if (AnswersOriginal()) {
    held.answer = LogitsToRunLengths(candidate.logits, geometry_, MaskResolution::kOriginal);
  }
  held_bytes_ += Bytes(held.record.mask) + Bytes(held.answer);
  if (held_bytes_ > options_.max_mask_bytes) {
    return TooMany(options_.max_mask_bytes, "bytes of masks");
  }
  held_.push_back(std::move(held));
  return absl::OkStatus();
}

absl::StatusOr<std::vector<MaskRecord>> MaskGenerator::Finish(
    const std::function<bool()>& cancelled) {
  std::vector<Held> held = std::exchange(held_, {});
  held_bytes_ = 0;
  std::vector<float> scores;
  scores.reserve(held.size());
  for (const Held& one : held) scores.push_back(one.record.predicted_iou);
  held = Suppress(std::move(held), scores, options_.box_nms_thresh);
  if (options_.min_mask_region_area > 0) SEMSAM_RETURN_IF_ERROR(CleanUp(held, cancelled));
  std::vector<MaskRecord> records;
  records.reserve(held.size());
  for (Held& one : held) {
    if (AnswersOriginal()) one.record.mask = std::move(one.answer);
    one.record.area = MaskArea(one.record.mask);
    records.push_back(std::move(one.record));
  }
  return records;
}

// What survives NMS, in its order.
std::vector<MaskGenerator::Held> MaskGenerator::Suppress(std::vector<Held> held,
                                                         std::span<const float> scores,
                                                         double iou_threshold) {
  std::vector<CornerBox> boxes;
  boxes.reserve(held.size());
  for (const Held& one : held) boxes.push_back(one.record.box);
  std::vector<Held> kept;
  for (const size_t index : BoxNms(boxes, scores, iou_threshold)) {
    kept.push_back(std::move(held[index]));
  }
  return kept;
}

absl::Status MaskGenerator::CleanUp(std::vector<Held>& held,
                                    const std::function<bool()>& cancelled) const {
  const double scale = static_cast<double>(geometry_.original.area()) /
                       static_cast<double>(geometry_.network.area());
  const int64_t original_area =
      std::llround(std::min(scale * static_cast<double>(options_.min_mask_region_area),
                            static_cast<double>(geometry_.original.area())));
  const auto stop = [&] { return cancelled != nullptr && cancelled(); };
  std::vector<float> scores;
  scores.reserve(held.size());
  for (Held& one : held) {
    if (stop()) return absl::CancelledError("cancelled");
    SEMSAM_ASSIGN_OR_RETURN(const bool changed,
                            CleanUpMask(one.record.mask, options_.min_mask_region_area));
    // Masks that needed no repair win over the repaired.
    scores.push_back(changed ? 0.0f : 1.0f);
    if (changed) one.record.box = ToCornerBox(BoundingBox(one.record.mask));
  }
  held = Suppress(std::move(held), scores,
                  std::max(options_.box_nms_thresh, options_.crop_nms_thresh));
  if (!AnswersOriginal()) return absl::OkStatus();
  for (Held& one : held) {
    if (stop()) return absl::CancelledError("cancelled");
    SEMSAM_RETURN_IF_ERROR(CleanUpMask(one.answer, std::max<int64_t>(1, original_area)).status());
  }
  return absl::OkStatus();
}

}  // namespace semsam
