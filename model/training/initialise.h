// Weights before any training, as the published code draws them (Swin Transformer,
// Mask DINO, Semantic-SAM); what it has not, as PyTorch does by default.
#ifndef SEMSAM_MODEL_TRAINING_INITIALISE_H_
#define SEMSAM_MODEL_TRAINING_INITIALISE_H_

#include <cstdint>

#include "absl/status/statusor.h"
#include "model/base/model_config.h"
#include "model/training/optimizer.h"

namespace semsam {

// Every tensor that TrainableParameters names, float32 on the CPU. A tensor depends on
// the seed, its name and the configuration alone.
absl::StatusOr<NamedTensors> InitialWeights(const ModelConfig& config, uint64_t seed);

}  // namespace semsam

#endif  // SEMSAM_MODEL_TRAINING_INITIALISE_H_
