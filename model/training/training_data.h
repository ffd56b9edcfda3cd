// The pictures of a recipe as a training step takes them: augmented, with prompts,
// targets and words.
#ifndef SEMSAM_MODEL_TRAINING_TRAINING_DATA_H_
#define SEMSAM_MODEL_TRAINING_TRAINING_DATA_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "model/data/dataset.h"
#include "model/torch/torch.h"
#include "model/training/prompts.h"
#include "model/training/recipe.h"
#include "model/training/sample_plan.h"

namespace semsam {

struct TrainingSample {
  std::string name;          // data set and sample
  absl::Status status;       // not OK: the sample cannot be read, and the rest is empty
  at::Tensor picture;        // [S, S, 3] uint8
  TrainingPrompts truth;     // on the CPU
  StepWords words;           // of this picture alone
  bool queries = false;      // whether generic queries are trained on it
  DenoisingBoxes denoising;  // of truth.targets; undefined: none
  uint64_t losses_seed = 0;  // of the random numbers of its losses

  int64_t size_bytes() const;
};

// The targets that are no parts: what generic queries and denoising are trained on. Of
// a picture without names of parts all of them. Prompts are left out.
ImageTargets WholeTargets(const ImageTargets& targets);

// Thread-safe: constant after Create.
class TrainingData {
 public:
  // Opens all sources of `recipe`. Errors name the source.
  static absl::StatusOr<std::unique_ptr<TrainingData>> Create(const Recipe& recipe);

  // Pictures of an epoch.
  int64_t epoch_pictures() const { return plan_.epoch_pictures(); }

  // The `position`-th picture of the training. Depends on recipe and position alone.
  TrainingSample Load(int64_t position) const;

 private:
  TrainingData(const Recipe& recipe, std::vector<std::shared_ptr<const Dataset>> sources,
               SamplePlan plan)
      : recipe_(recipe), sources_(std::move(sources)), plan_(std::move(plan)) {}

  absl::StatusOr<LoadedSample> Augmented(SamplePlan::Pick pick, Random& random) const;
  StepWords WordsOf(const Sample& sample, Random& random) const;
  absl::Status Fill(SamplePlan::Pick pick, Random& random, TrainingSample& sample) const;

  const Recipe recipe_;
  const std::vector<std::shared_ptr<const Dataset>> sources_;
  const SamplePlan plan_;
};

// "scenes:count=1000,size=320,seed=1", or what ParseDatasetSpec reads.
absl::StatusOr<std::unique_ptr<Dataset>> OpenTrainingSource(const std::string& source);

}  // namespace semsam

#endif  // SEMSAM_MODEL_TRAINING_TRAINING_DATA_H_
