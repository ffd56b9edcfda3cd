// Scores of the masks that one click or box was answered with (paper, section 4):
//   Max              IoU of the mask that the predictor is surest of
//   Oracle           the best IoU among its masks
//   All-Granularity  its masks matched one to one with all true masks that contain the
//                    click; the mean IoU of these, 0 for one that got none
//
// Thread-safe: free functions without state.
#ifndef SEMSAM_MODEL_EVALUATION_INTERACTIVE_SCORE_H_
#define SEMSAM_MODEL_EVALUATION_INTERACTIVE_SCORE_H_

#include <cstdint>
#include <span>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "model/base/types.h"
#include "model/evaluation/match_costs.h"

namespace semsam {

struct PredictedMask {
  RunLengths mask;   // original pixels
  double score = 0;  // how sure the predictor is; finite
  // Labels, best first, of which kTopLabels are looked at. Empty: none were given.
  std::vector<int> object_labels;
  std::vector<int> part_labels;
  // What the published matcher reads: logits row-major on a grid that covers the padded
  // picture, and the box, relative to it. An empty grid: masks are matched by IoU.
  ImageSize grid;
  std::vector<float> logits;
  CenterBox box;
};

// All masks of one prompt, one a token.
struct PromptAnswer {
  std::vector<PredictedMask> masks;
  ImageGeometry geometry;  // read where masks have logits
};

// INVALID_ARGUMENT naming the mask where one is not `picture` in size or its runs do not
// fill it, a score or logit is not finite, or masks with and without logits are mixed.
absl::Status ValidateAnswer(const PromptAnswer& answer, ImageSize picture);

struct TrueMask {
  const RunLengths* mask = nullptr;
  // Pixels of which it is not known whether they belong: they count neither way. Shares
  // none with `mask`. Null: there are none.
  const RunLengths* unsure = nullptr;
};

// The functions below take answers that ValidateAnswer has passed, and true masks of
// the same size.

// Intersection over union; 0 where both are empty.
double IouWithTruth(const RunLengths& predicted, const TrueMask& truth);

struct PromptScore {
  double max_iou = 0;  // 0 for an answer without masks; of equal scores the first mask
  double oracle_iou = 0;
  int oracle_mask = -1;  // the first of the best; -1 without masks
};

PromptScore ScorePrompt(const PromptAnswer& answer, const TrueMask& truth);

// How many masks are left when each must have an IoU below `max_iou` with all kept
// before it; empty masks are not counted.
int CountDistinctMasks(const PromptAnswer& answer, double max_iou);

// The IoU of each true mask with the mask that it was matched with, 0 where masks ran
// out. Matched by the published costs at `points`, or, for masks without logits, so
// that the sum of IoUs is highest. Errors: INTERNAL.
absl::StatusOr<std::vector<double>> ScoreGranularity(const PromptAnswer& answer,
                                                     std::span<const TrueMask> truths,
                                                     std::span<const MatchPoint> points);

}  // namespace semsam

#endif  // SEMSAM_MODEL_EVALUATION_INTERACTIVE_SCORE_H_
