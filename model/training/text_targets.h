// Names and the embeddings that a teacher gives them: what a text encoder learns.
#ifndef SEMSAM_MODEL_TRAINING_TEXT_TARGETS_H_
#define SEMSAM_MODEL_TRAINING_TEXT_TARGETS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "model/torch/torch.h"

namespace semsam {

struct TextTargets {
  std::vector<std::string> texts;  // UTF-8
  at::Tensor rows;                 // [N, D] float32 on the CPU, of norm 1
  std::vector<bool> held_out;      // N: not for training
};

// Reads what recipes/text/make_targets.py writes: a safetensors file with `texts`
// (uint8, a name a line), `targets` [N, D] of a float type and `held_out` [N] uint8.
// Errors name the file: NOT_FOUND; INVALID_ARGUMENT where a tensor is missing or of
// another shape or type, the numbers of names and rows differ, or a row is not finite
// or far from norm 1.
absl::StatusOr<TextTargets> ReadTextTargets(const std::string& path);

}  // namespace semsam

#endif  // SEMSAM_MODEL_TRAINING_TEXT_TARGETS_H_
