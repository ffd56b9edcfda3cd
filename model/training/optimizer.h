// AdamW as the paper trains with it, and the average of the weights that is kept
// beside it (paper, section 4; parity notes, section 7).
#ifndef SEMSAM_MODEL_TRAINING_OPTIMIZER_H_
#define SEMSAM_MODEL_TRAINING_OPTIMIZER_H_

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "model/base/model_config.h"
#include "model/torch/torch.h"

namespace semsam {

using NamedTensors = std::map<std::string, at::Tensor>;

// Before the names of averaged weights in Optimizer::State.
inline constexpr char kAveragePrefix[] = "average/";

// Factors on the learning rate over the steps of a training.
struct ScheduleOptions {
  int64_t total_steps = 0;  // must be set
  // Fractions of total_steps at which the rate is multiplied by `decay` (paper).
  std::vector<double> decay_at = {0.9, 0.95};
  double decay = 0.1;
  // Steps over which the rate rises in a line from warmup_start; the paper has none.
  int64_t warmup_steps = 0;
  double warmup_start = 0.001;
};
absl::Status Validate(const ScheduleOptions& options);

// For the `step`-th step, from 0 on.
double LearningRateFactor(const ScheduleOptions& options, int64_t step);

struct OptimizerOptions {
  // Published.
  double learning_rate = 1e-4;
  double backbone_factor = 0.1;  // on the learning rate
  double weight_decay = 0.05;    // 0 for norms, embeddings and relative positions
  double clip_norm = 0.01;       // of the gradient of the whole model; 0: no clipping
  // PyTorch's defaults, which the published code leaves alone.
  double beta1 = 0.9;
  double beta2 = 0.999;
  double epsilon = 1e-8;
  // Of the average, each step; 0: the average is the weights. Not in the paper.
  double average_decay = 0.999;
  ScheduleOptions schedule;
};
absl::Status Validate(const OptimizerOptions& options);

// How a parameter is treated, by what the weight table says it is.
struct ParameterTraits {
  bool backbone = false;
  bool decays = true;
};
// By canonical name; computed tensors and aliases are no parameters.
std::map<std::string, ParameterTraits> TrainableParameters(const ModelConfig& config);

struct StepReport {
  double gradient_norm = 0;  // before clipping
  double learning_rate = 0;  // of what is not the backbone
  // False where the gradient was not finite: the step counts, the weights stay.
  bool applied = false;
};

// Not thread-safe.
class Optimizer {
 public:
  // `parameters` are float32 leaves that require a gradient, by canonical name, and are
  // updated in place; what is frozen is left out. Errors: INVALID_ARGUMENT for options,
  // no parameters, or one that is none of the model's.
  static absl::StatusOr<std::unique_ptr<Optimizer>> Create(const ModelConfig& config,
                                                           NamedTensors parameters,
                                                           const OptimizerOptions& options);
  ~Optimizer();
  Optimizer(const Optimizer&) = delete;
  Optimizer& operator=(const Optimizer&) = delete;

  // Clips the gradients, updates parameters and average, and clears the gradients.
  // Parameters without a gradient stay.
  absl::StatusOr<StepReport> Step();

  int64_t steps() const { return steps_; }
  const NamedTensors& parameters() const { return parameters_; }
  const NamedTensors& averages() const { return averages_; }

  // Everything that the next step depends on but the gradients and steps():
  // "parameter/NAME", "average/NAME", "first_moment/NAME", "second_moment/NAME",
  // "updates/NAME". Views where possible: valid until the next step.
  NamedTensors State() const;

  // Goes on exactly where the optimizer stood that gave `state`, after `steps` steps.
  // Errors: INVALID_ARGUMENT that names a tensor that is missing, not known, or of
  // another shape or type; nothing has changed then.
  absl::Status Restore(const NamedTensors& state, int64_t steps);

 private:
  struct Adam;  // hides LibTorch's optimizer, whose headers are slow

  Optimizer(NamedTensors parameters, const OptimizerOptions& options, std::unique_ptr<Adam> adam);

  absl::Status CheckState(const NamedTensors& state) const;

  const OptimizerOptions options_;
  const NamedTensors parameters_;
  NamedTensors averages_;
  std::unique_ptr<Adam> adam_;
  int64_t steps_ = 0;
};

}  // namespace semsam

#endif  // SEMSAM_MODEL_TRAINING_OPTIMIZER_H_
