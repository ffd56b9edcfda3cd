// A training that can be taken up again exactly where it stood: one safetensors
// file, tensors as they are, counters and random states as JSON in its header. One
// file, so that the two can never be of different steps.
//
// Thread-safe: free functions.
#ifndef SEMSAM_MODEL_TRAINING_CHECKPOINT_H_
#define SEMSAM_MODEL_TRAINING_CHECKPOINT_H_

#include <cstdint>
#include <map>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "model/training/optimizer.h"

namespace semsam {

// Before the names of weights that are not trained.
inline constexpr char kFrozenPrefix[] = "frozen/";

struct Checkpoint {
  NamedTensors tensors;  // Optimizer::State() and what else is to be kept
  // "steps", "epoch", "pictures": whatever the training counts.
  std::map<std::string, int64_t> counters;
  // States of generators by their use: SeededUniform::state(), Random::state().
  std::map<std::string, uint64_t> random;
  // What the training was started with; a resume with another recipe can refuse.
  std::string recipe;
};

// Writes beside `path` and renames: a full disk or a kill leaves the old checkpoint as
// it was, and no other file after an error. Errors name the file and the system's
// reason ("No space left on device"). Tensors of a GPU are copied, one by one.
absl::Status SaveCheckpoint(const std::string& path, const Checkpoint& checkpoint);

// Tensors on the CPU, in memory of their own. Errors: NOT_FOUND; INVALID_ARGUMENT that
// names the file where it is cut short, broken, or no checkpoint.
absl::StatusOr<Checkpoint> LoadCheckpoint(const std::string& path);

}  // namespace semsam

#endif  // SEMSAM_MODEL_TRAINING_CHECKPOINT_H_
