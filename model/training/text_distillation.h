// Teaches a small text encoder what a large one knows about names.
#ifndef SEMSAM_MODEL_TRAINING_TEXT_DISTILLATION_H_
#define SEMSAM_MODEL_TRAINING_TEXT_DISTILLATION_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "model/base/model_config.h"
#include "model/training/checkpoint.h"
#include "model/training/optimizer.h"
#include "model/training/text_batches.h"
#include "model/training/text_loss.h"
#include "model/training/text_score.h"
#include "model/training/text_targets.h"
#include "model/weights/dtype.h"

namespace semsam {

struct TextDistillationOptions {
  TextConfig text = *SemsamLite().text;
  TextBatchOptions batches;  // its context is that of `text`
  TextLossOptions loss;
  OptimizerOptions optimizer = {
      .learning_rate = 1.5e-3,
      .weight_decay = 0.01,
      .clip_norm = 1,
      .average_decay = 0.99,
      .schedule = {.decay_at = {0.5, 0.65, 0.8, 0.9}, .decay = 0.4, .warmup_steps = 100}};
  // False: held-out names are learnt too, so that no score means anything.
  bool hold_out = true;
};
// The schedule's total_steps must be set.
absl::Status Validate(const TextDistillationOptions& options);

// What a step did, before its update.
struct TextStep {
  int64_t step = 0;  // from 1 on
  double distance = 0;
  double relation = 0;
  StepReport optimizer;
};

// Not thread-safe. Steps depend on options, targets and the number of the step alone:
// with one thread, or another fixed number of them, the same every time.
class TextDistillation {
 public:
  // `start`: weights to begin with (ReadTextWeights), which are trained in place, or
  // empty for StartText. Errors: INVALID_ARGUMENT for options, targets without names to
  // learn, or a start of another configuration.
  static absl::StatusOr<std::unique_ptr<TextDistillation>> Create(
      TextTargets targets, const TextDistillationOptions& options, NamedTensors start = {});

  absl::StatusOr<TextStep> Step();

  // Of the averaged weights on at most `names` of the held-out names, evenly chosen.
  absl::StatusOr<TextScore> Score(int64_t names) const;

  Checkpoint Save() const;
  // Goes on exactly where `checkpoint` was saved. Errors: FAILED_PRECONDITION where it is
  // of other options or other names; INVALID_ARGUMENT for tensors that do not fit.
  absl::Status Resume(const Checkpoint& checkpoint);

  // The averaged weights; every piece that was in no name has the row of the unknown one.
  NamedTensors Weights() const;

  int64_t steps() const { return optimizer_->steps(); }
  int64_t names() const { return static_cast<int64_t>(learnt_.size()); }
  int64_t unmet_pieces() const { return static_cast<int64_t>(batches_.unmet().size()); }
  const ModelConfig& config() const { return config_; }

 private:
  TextDistillation(TextTargets targets, const TextDistillationOptions& options, ModelConfig config,
                   std::vector<int64_t> learnt, TextBatches batches);

  std::string Recipe() const;

  const TextDistillationOptions options_;
  const ModelConfig config_;
  const TextTargets targets_;
  const std::vector<int64_t> learnt_;  // indices of targets_
  at::Tensor learnt_rows_;             // [names(), D]
  TextBatches batches_;
  std::unique_ptr<Optimizer> optimizer_;
};

// A configuration whose text part is `text`; the rest of it stands for nothing.
ModelConfig TextModelConfig(const TextConfig& text, int text_dim);

// Embeddings [texts, D] of norm 1 of plain names.
absl::StatusOr<at::Tensor> EmbedNames(const ModelConfig& config, const NamedTensors& weights,
                                      absl::Span<const std::string> names);

// The text encoder alone as safetensors, named as in the weight table, in `dtype`;
// metadata `semsam.text` holds the configuration as JSON. Never half written.
absl::Status WriteTextWeights(const std::string& path, const ModelConfig& config,
                              const NamedTensors& weights, DType dtype);

// Float32 copies of what of the text encoder is in a safetensors file, a file of
// WriteTextWeights or a whole model. Errors name the file and the tensor: NOT_FOUND;
// INVALID_ARGUMENT where one is missing or of another shape than `config` says.
absl::StatusOr<NamedTensors> ReadTextWeights(const std::string& path, const ModelConfig& config);

}  // namespace semsam

#endif  // SEMSAM_MODEL_TRAINING_TEXT_DISTILLATION_H_
