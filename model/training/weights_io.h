// Where the weights of a training come from and where they go.
#ifndef SEMSAM_MODEL_TRAINING_WEIGHTS_IO_H_
#define SEMSAM_MODEL_TRAINING_WEIGHTS_IO_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "model/base/model_vocabulary.h"
#include "model/training/optimizer.h"
#include "model/training/recipe.h"

namespace semsam {

// Drawn by the recipe's seed, then overwritten by what its start files hold, float32
// on the CPU. A start file is anything that ModelFile::Open takes, a safetensors or
// .pth file with tensors of a part of the network, or "imagenet:PATH", what
// ImportEfficientNetLite reads. Errors name the file: a tensor
// that the network does not have or has in another shape, a file without tensors.
absl::StatusOr<NamedTensors> StartWeights(const Recipe& recipe);

// The names that are trained: all but those that a pattern of the recipe freezes and
// the text encoder's (its logit_scale is trained). Errors: INVALID_ARGUMENT that names a
// pattern which fits nothing.
absl::StatusOr<std::vector<std::string>> TrainedNames(const Recipe& recipe,
                                                      const NamedTensors& weights);

// Writes a file that ModelFile::Open reads; `vocabulary` becomes its own words.
absl::Status WriteResult(const std::string& path, const Recipe& recipe, const NamedTensors& weights,
                         const ModelVocabulary& vocabulary = {});

}  // namespace semsam

#endif  // SEMSAM_MODEL_TRAINING_WEIGHTS_IO_H_
