// From a file of targets to a file of weights: the loop round TextDistillation.
#ifndef SEMSAM_MODEL_TRAINING_TEXT_TRAINING_H_
#define SEMSAM_MODEL_TRAINING_TEXT_TRAINING_H_

#include <cstdint>
#include <ostream>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "model/base/clock.h"
#include "model/training/text_distillation.h"
#include "model/weights/dtype.h"

namespace semsam {

struct TextTrainingOptions {
  std::string targets;     // file of recipes/text/make_targets.py
  std::string out;         // file of WriteTextWeights
  std::string checkpoint;  // written now and then and at the end, gone on from where it
                           // is there; empty: none
  std::string metrics;     // a JSON object a line, appended; empty: none
  std::string start;       // file of weights to begin with; empty: StartText
  DType dtype = DType::kFloat16;
  TextDistillationOptions distillation;  // the schedule says how many steps
  // Ends after the step in which it is over; a later call goes on from the checkpoint.
  absl::Duration time_limit = absl::InfiniteDuration();
  int64_t report_every = 20;  // steps
  int64_t score_every = 400;  // steps; a checkpoint is written at the same time
  int64_t score_names = 4000;
};
absl::Status Validate(const TextTrainingOptions& options);

// Lines for people go to `out`. Metrics: "step", "distance", "relation",
// "gradient_norm", "learning_rate", "names_per_second" of the time since the line
// before, and with a score "held_out_names", "held_out_cosine", "held_out_neighbours".
// Errors name the file; what was written before stays whole.
absl::Status TrainText(const TextTrainingOptions& options, const Clock& clock, std::ostream& out);

}  // namespace semsam

#endif  // SEMSAM_MODEL_TRAINING_TEXT_TRAINING_H_
