#include "model/evaluation/interactive_score.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "model/base/errors.h"
#include "model/base/status_macros.h"
#include "model/evaluation/hungarian.h"
#include "model/image/mask_tail.h"
#include "model/image/run_lengths.h"

namespace semsam {
namespace {

bool HasLogits(const PredictedMask& mask) { return mask.grid != ImageSize{}; }

absl::Status ValidateLogits(const PredictedMask& mask, const ImageGeometry& geometry) {
  SEMSAM_RETURN_IF_ERROR(ValidateGeometry(geometry, mask.grid));
  if (mask.logits.size() != mask.grid.area()) {
    return absl::InvalidArgumentError(
        absl::StrCat(mask.logits.size(), " logits for ", mask.grid.width, " x ", mask.grid.height));
  }
  if (!std::all_of(mask.logits.begin(), mask.logits.end(),
                   [](float logit) { return std::isfinite(logit); })) {
    return absl::InvalidArgumentError("a logit is not finite");
  }
  if (!std::isfinite(mask.box.cx) || !std::isfinite(mask.box.cy) || !std::isfinite(mask.box.w) ||
      !std::isfinite(mask.box.h)) {
    return absl::InvalidArgumentError("the box is not finite");
  }
  return absl::OkStatus();
}

absl::Status ValidateMask(const PredictedMask& mask, ImageSize picture) {
  int64_t pixels = 0;
  for (const uint32_t count : mask.mask.counts) pixels += count;
  if (mask.mask.size != picture || pixels != picture.area()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "runs of ", pixels, " px in ", mask.mask.size.width, " x ", mask.mask.size.height,
        ", the picture is ", picture.width, " x ", picture.height));
  }
  if (!std::isfinite(mask.score)) {
    return absl::InvalidArgumentError(absl::StrCat("the score is ", mask.score));
  }
  return absl::OkStatus();
}

// Costs [masks, truths] of the published matcher.
std::vector<double> LogitCosts(const PromptAnswer& answer, std::span<const TrueMask> truths,
                               std::span<const MatchPoint> points) {
  std::vector<MatchSide> predictions, targets;
  for (const PredictedMask& mask : answer.masks) {
    predictions.push_back(
        {.samples = SampleLogits({.size = mask.grid, .data = mask.logits.data()}, points),
         .box = mask.box});
  }
  for (const TrueMask& truth : truths) {
    targets.push_back(
        {.samples = SampleMask(DecodeRunLengths(*truth.mask), answer.geometry, points),
         .box = MaskCenterBox(*truth.mask, answer.geometry)});
  }
  std::vector<double> costs;
  for (const MatchCost& cost : MatchCosts(predictions, targets)) {
    costs.push_back(cost.Total(MatchWeights{}));
  }
  return costs;
}

}  // namespace

absl::Status ValidateAnswer(const PromptAnswer& answer, ImageSize picture) {
  for (size_t i = 0; i < answer.masks.size(); ++i) {
    const PredictedMask& mask = answer.masks[i];
    absl::Status status = ValidateMask(mask, picture);
    if (status.ok() && HasLogits(mask) != HasLogits(answer.masks.front())) {
      status = absl::InvalidArgumentError("some masks have logits, others have not");
    }
    if (status.ok() && HasLogits(mask)) {
      status = ValidateLogits(mask, answer.geometry);
      if (status.ok() && answer.geometry.original != picture) {
        status = absl::InvalidArgumentError("the geometry is that of another picture");
      }
    }
    if (!status.ok()) {
      return absl::InvalidArgumentError(absl::StrCat("predicted mask ", i, ": ", status.message()));
    }
  }
  return absl::OkStatus();
}

double IouWithTruth(const RunLengths& predicted, const TrueMask& truth) {
  const int64_t shared = SharedArea(predicted, *truth.mask);
  int64_t either = MaskArea(predicted) + MaskArea(*truth.mask) - shared;
  if (truth.unsure != nullptr) either -= SharedArea(predicted, *truth.unsure);
  return either == 0 ? 0.0 : static_cast<double>(shared) / static_cast<double>(either);
}

PromptScore ScorePrompt(const PromptAnswer& answer, const TrueMask& truth) {
  PromptScore best;
  const PredictedMask* surest = nullptr;
  for (size_t i = 0; i < answer.masks.size(); ++i) {
    const double iou = IouWithTruth(answer.masks[i].mask, truth);
    if (best.oracle_mask < 0 || iou > best.oracle_iou) {
      best.oracle_iou = iou;
      best.oracle_mask = static_cast<int>(i);
    }
    if (surest == nullptr || answer.masks[i].score > surest->score) {
      surest = &answer.masks[i];
      best.max_iou = iou;
    }
  }
  return best;
}

int CountDistinctMasks(const PromptAnswer& answer, double max_iou) {
  std::vector<const RunLengths*> kept;
  for (const PredictedMask& mask : answer.masks) {
    if (MaskArea(mask.mask) == 0) continue;
    const bool repeats = std::any_of(kept.begin(), kept.end(), [&](const RunLengths* other) {
      return MaskIou(mask.mask, *other) >= max_iou;
    });
    if (!repeats) kept.push_back(&mask.mask);
  }
  return static_cast<int>(kept.size());
}

absl::StatusOr<std::vector<double>> ScoreGranularity(const PromptAnswer& answer,
                                                     std::span<const TrueMask> truths,
                                                     std::span<const MatchPoint> points) {
  std::vector<double> scores(truths.size());
  if (answer.masks.empty() || truths.empty()) return scores;
  std::vector<double> ious;
  ious.reserve(answer.masks.size() * truths.size());
  for (const PredictedMask& mask : answer.masks) {
    for (const TrueMask& truth : truths) ious.push_back(IouWithTruth(mask.mask, truth));
  }
  std::vector<double> costs;
  if (HasLogits(answer.masks.front())) {
    costs = LogitCosts(answer, truths, points);
  } else {
    for (const double iou : ious) costs.push_back(1 - iou);
  }
  const auto truth_of_mask = SolveAssignment(costs, static_cast<int>(answer.masks.size()),
                                             static_cast<int>(truths.size()));
  if (!truth_of_mask.ok()) {
    return absl::InternalError(absl::StrCat("matching: ", truth_of_mask.status().message()));
  }
  for (size_t mask = 0; mask < truth_of_mask->size(); ++mask) {
    const int truth = (*truth_of_mask)[mask];
    if (truth >= 0) scores[truth] = ious[mask * truths.size() + truth];
  }
  return scores;
}

}  // namespace semsam
