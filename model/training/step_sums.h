// What a step adds up over its passes, and then over all processes, so that every
// process takes the same step.
//
// Thread-safe: free functions; all processes call the same ones in the same order.
#ifndef SEMSAM_MODEL_TRAINING_STEP_SUMS_H_
#define SEMSAM_MODEL_TRAINING_STEP_SUMS_H_

#include <array>

#include "absl/status/status.h"
#include "model/training/criterion.h"
#include "model/training/optimizer.h"
#include "model/training/processes.h"

namespace semsam {

struct StepSums {
  double loss = 0;
  double pairs = 0;         // of predictions and truths that the loss is of
  double prompt_pairs = 0;  // those of prompts, which `terms` are of
  std::array<double, LossTerms::kCount> terms{};
  double pictures = 0;
  double bad_samples = 0;
  double stop = 0;  // processes that were asked to stop
};

// Adds up those of all processes. A process whose passes came to nothing calls it too,
// with the error as `own`: all processes get that error then, or the first by rank, with
// the name of its process. Errors else: UNAVAILABLE where a process has ended.
absl::Status SumOverProcesses(Processes& processes, const absl::Status& own, StepSums& sums);

// Adds up the gradients of all processes and divides them by `pairs`. What no process
// has a gradient for keeps none: such a weight is left alone, not decayed.
absl::Status SumGradients(Processes& processes, const NamedTensors& parameters, double pairs);

}  // namespace semsam

#endif  // SEMSAM_MODEL_TRAINING_STEP_SUMS_H_
