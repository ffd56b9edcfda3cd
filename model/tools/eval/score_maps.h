// Scores of predicted maps against true ones, without a model.
//
// Thread-safe: free functions without state.
#ifndef SEMSAM_MODEL_TOOLS_EVAL_SCORE_MAPS_H_
#define SEMSAM_MODEL_TOOLS_EVAL_SCORE_MAPS_H_

#include <string>

#include "absl/status/statusor.h"
#include "model/evaluation/panoptic_quality.h"
#include "model/evaluation/report.h"
#include "model/evaluation/semantic_iou.h"

namespace semsam {

// A panoptic JSON file and the folder of its PNG maps.
struct PanopticFiles {
  std::string json;
  std::string folder;  // empty: the path of `json` without its ending, as panopticapi
};

struct PanopticScoresByName {
  PanopticResult result;
  ClassNames names;
};

// The numbers of panopticapi's pq_compute on the same files. The maps of one picture are
// in memory at a time. Errors name the file and the record: broken JSON or PNG, a
// picture without a prediction, and what PanopticAccumulator::Add finds.
absl::StatusOr<PanopticScoresByName> ScorePanoptic(const PanopticFiles& truth,
                                                   const PanopticFiles& predictions);

// mIoU of folders of PNG label maps: each map of `truth` with the one of its name in
// `predictions`. Errors name the file.
absl::StatusOr<SemanticResult> ScoreSemantic(const std::string& truth,
                                             const std::string& predictions,
                                             const SemanticIouOptions& options);

}  // namespace semsam

#endif  // SEMSAM_MODEL_TOOLS_EVAL_SCORE_MAPS_H_
