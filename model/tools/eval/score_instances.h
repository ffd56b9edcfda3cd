// Average precision of a COCO results file against a COCO annotation file, without a
// model: the numbers of pycocotools on the same two files.
//
// Thread-safe: a free function without state.
#ifndef SEMSAM_MODEL_TOOLS_EVAL_SCORE_INSTANCES_H_
#define SEMSAM_MODEL_TOOLS_EVAL_SCORE_INSTANCES_H_

#include <string>

#include "absl/status/statusor.h"
#include "model/evaluation/average_precision.h"
#include "model/evaluation/report.h"

namespace semsam {

struct InstanceScores {
  ApResult result;
  ClassNames names;
};

// Masks of one picture are in memory at a time, and all predictions. Errors name the
// file and the record: broken JSON, an annotation without `segmentation` or `bbox` where
// it is compared, a prediction for a picture that `truth` does not list.
absl::StatusOr<InstanceScores> ScoreInstances(const std::string& truth,
                                              const std::string& predictions,
                                              const ApOptions& options);

}  // namespace semsam

#endif  // SEMSAM_MODEL_TOOLS_EVAL_SCORE_INSTANCES_H_
