// Trains a model by a recipe and keeps everything in one folder:
//
//   checkpoint.safetensors   where a training goes on, exactly
//   metrics.jsonl            a line every few steps (metrics.h)
//   curves.svg               the same as a picture
//   recipe.json              what it was made by
//   weights.safetensors      the result, once it is finished: averaged weights that
//                            ModelFile::Open reads (before: export.h)
//
// Guarantees
//   - A training that was interrupted at any step and resumed gives the same weights,
//     bit for bit on a CPU, as one that was not, whatever the number of loader threads.
//   - N processes with a batch of B pictures each take the steps of one process with a
//     batch of N * B, up to rounding.
//   - A file is replaced whole or not at all; errors name it.
#ifndef SEMSAM_MODEL_TRAINING_TRAINER_H_
#define SEMSAM_MODEL_TRAINING_TRAINER_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <ostream>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "model/base/clock.h"
#include "model/base/ordered_loader.h"
#include "model/training/checkpoint.h"
#include "model/training/criterion.h"
#include "model/training/metrics.h"
#include "model/training/optimizer.h"
#include "model/training/pass.h"
#include "model/training/processes.h"
#include "model/training/recipe.h"
#include "model/training/step_sums.h"
#include "model/training/training_data.h"
#include "model/training/word_embeddings.h"

namespace semsam {

struct TrainerOptions {
  std::string output;   // folder, made where it is not there
  bool resume = false;  // go on with the checkpoint there, if there is one
  std::string device = "cpu";
  LoaderOptions loader;
  ProcessOptions processes;
};
absl::Status Validate(const TrainerOptions& options);

struct TrainingEnd {
  int64_t steps = 0;
  bool finished = false;  // false: it was stopped, and can be resumed
  Metrics last;           // of the last line, empty where none was due
};

// One training. Not thread-safe, but for what `stop` points to.
class Trainer {
 public:
  // Opens the data, makes or resumes the weights and waits for the other processes.
  // `clock` and `progress`, which gets a line now and then, outlive it. Errors:
  // INVALID_ARGUMENT for a recipe that does not fit its data or weights, or another one
  // than the checkpoint's; ALREADY_EXISTS where a training is in the folder and
  // `resume` is not asked for.
  static absl::StatusOr<std::unique_ptr<Trainer>> Create(const Recipe& recipe,
                                                         const TrainerOptions& options,
                                                         const Clock& clock,
                                                         std::ostream& progress);

  // Steps until the last one, or until `stop` is true (any process's will do); then a
  // checkpoint is written. Errors: a sample that cannot be read, by its name, in all
  // processes; what the disk says; INVALID_ARGUMENT where the losses are no numbers any
  // more.
  absl::StatusOr<TrainingEnd> Run(const std::atomic<bool>& stop);

  // One step. Run calls it; tests look at weights between steps.
  absl::Status Step();

  int64_t steps() const { return optimizer_->steps(); }
  int64_t total_steps() const { return total_steps_; }
  // All parameters as they are now, frozen ones too.
  const NamedTensors& weights() const { return weights_; }

  absl::Status SaveCheckpoint() const;

 private:
  // Since the last line of metrics, of all processes.
  struct Sums {
    Metrics sums;  // loss and terms: sums over steps
    int64_t steps = 0;
    double pictures = 0;
    absl::Duration waited;  // for data; of this process
    absl::Time since;
  };

  Trainer(const Recipe& recipe, const TrainerOptions& options, const Clock& clock,
          std::ostream& progress, Criterion criterion)
      : recipe_(recipe),
        options_(options),
        clock_(clock),
        progress_(progress),
        criterion_(std::move(criterion)) {}

  absl::Status SetUp();
  absl::Status CheckFolder();
  absl::Status MakeWeights();
  absl::Status MakeWords();
  absl::Status Resume(const Checkpoint& checkpoint);
  void StartLoader();
  std::string Path(const char* file) const;
  int64_t PicturesAPass() const { return recipe_.batch; }
  int64_t PicturesAStep() const;

  absl::StatusOr<std::vector<TrainingSample>> NextSamples(StepSums& result);
  absl::Status RunPasses(StepSums& result);
  absl::Status AddMetrics(const StepSums& result, const StepReport& report);
  absl::Status WriteLine();
  absl::Status Finish();

  const Recipe recipe_;
  const TrainerOptions options_;
  const Clock& clock_;
  std::ostream& progress_;
  const Criterion criterion_;

  at::Device device_ = at::kCPU;
  Precision precision_ = Precision::kFloat32;
  std::unique_ptr<Processes> processes_;
  std::unique_ptr<TrainingData> data_;
  NamedTensors weights_;
  std::unique_ptr<Optimizer> optimizer_;
  std::unique_ptr<WordEmbeddings> words_;  // null: the model knows no words
  std::unique_ptr<OrderedLoader<TrainingSample>> loader_;
  int64_t total_steps_ = 0;
  int64_t position_ = 0;  // pictures taken by all processes
  int64_t bad_samples_ = 0;
  int64_t skipped_steps_ = 0;
  bool stop_wanted_ = false;  // by this process
  bool stopping_ = false;     // by any
  Sums sums_;
  std::vector<Metrics> lines_;
};

}  // namespace semsam

#endif  // SEMSAM_MODEL_TRAINING_TRAINER_H_
