// Evaluates a model on data sets: clicks, boxes and labels by the protocol of
// model/evaluation with the six-disc baseline beside it, and words by AP, PQ and mIoU.
#ifndef SEMSAM_MODEL_TOOLS_EVAL_EVALUATE_H_
#define SEMSAM_MODEL_TOOLS_EVAL_EVALUATE_H_

#include <functional>
#include <memory>
#include <ostream>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "model/base/clock.h"
#include "model/segmenter.h"
#include "model/tools/eval/evaluate_options.h"

namespace semsam {

// One network. Called EvaluateOptions::networks times.
using SegmenterFactory =
    std::function<absl::StatusOr<std::unique_ptr<Segmenter>>(const EvaluateOptions& options)>;

struct EvaluateStreams {
  std::ostream& out;  // tables
  std::ostream& err;  // progress and remarks
  const Clock& clock;
};

// Writes the tables to `out` and, into the folder that options name, results.json and
// results.txt, anew after each source: what was measured before an error stays. Errors
// name the source and the file or picture; DATA_LOSS at the end where samples were left
// out.
absl::Status Evaluate(const EvaluateOptions& options, const SegmenterFactory& factory,
                      const EvaluateStreams& streams);

}  // namespace semsam

#endif  // SEMSAM_MODEL_TOOLS_EVAL_EVALUATE_H_
