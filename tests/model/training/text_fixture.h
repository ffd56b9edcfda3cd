// A language of a hundred names, small enough to be learnt in a second.
#ifndef SEMSAM_TESTS_MODEL_TRAINING_TEXT_FIXTURE_H_
#define SEMSAM_TESTS_MODEL_TRAINING_TEXT_FIXTURE_H_

#include <unistd.h>

#include <filesystem>
#include <string>
#include <vector>

#include "model/training/text_distillation.h"
#include "model/training/uniform.h"

namespace semsam {

inline TextConfig TinyText(int token_rank) {
  return {.width = 32, .layers = 2, .heads = 4, .context = 18, .token_rank = token_rank};
}

inline std::string TemporaryPath(const std::string& name) {
  return (std::filesystem::temp_directory_path() / (name + std::to_string(getpid()))).string();
}

// Names of two words each; the target of a name is the direction of the sum of what its
// words stand for, so that it can be told from words that were met in other names.
inline TextTargets Names() {
  const std::vector<std::string> first = {"red",  "old",   "small", "wooden", "wet",
                                          "dark", "round", "quiet", "heavy",  "zyxwv"};
  const std::vector<std::string> second = {"house", "dog",   "boat",   "chair", "river",
                                           "cloud", "apple", "bottle", "train", "hat"};
  SeededUniform random(3);
  const at::Tensor left = random.Draw({10, 16}) - 0.5;
  const at::Tensor right = random.Draw({10, 16}) - 0.5;
  TextTargets targets;
  std::vector<at::Tensor> rows;
  for (size_t i = 0; i < first.size(); ++i) {
    for (size_t j = 0; j < second.size(); ++j) {
      targets.texts.push_back(first[i] + " " + second[j]);
      rows.push_back(left[static_cast<int64_t>(i)] + right[static_cast<int64_t>(j)]);
      targets.held_out.push_back((i + j) % 10 == 0);
    }
  }
  targets.rows = at::stack(rows);
  targets.rows = targets.rows / at::linalg_vector_norm(targets.rows, 2, {1}, true);
  return targets;
}

inline TextDistillationOptions Options() {
  TextDistillationOptions options;
  options.text = TinyText(/*token_rank=*/16);
  options.batches.texts = 45;
  options.batches.phrase_share = 0.25;
  options.optimizer.learning_rate = 3e-3;
  options.optimizer.average_decay = 0.9;
  options.optimizer.schedule.total_steps = 150;
  options.optimizer.schedule.warmup_steps = 5;
  return options;
}

}  // namespace semsam

#endif  // SEMSAM_TESTS_MODEL_TRAINING_TEXT_FIXTURE_H_
