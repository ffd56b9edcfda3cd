// The configuration of a weight file that carries none, from its shapes.
#ifndef SEMSAM_MODEL_WEIGHTS_INFER_CONFIG_H_
#define SEMSAM_MODEL_WEIGHTS_INFER_CONFIG_H_

#include <span>

#include "absl/status/statusor.h"
#include "model/base/model_config.h"
#include "model/weights/tensor_view.h"

namespace semsam {

// What shapes do not tell has the published value: 8 heads in both decoders,
// GroupNorm of 32 groups (fewer where the width demands it), preprocessing, the
// order of the levels of six tokens (any other number of tokens: token l - 1
// for level l). Equal to SwinT() or SwinL() for those models.
//
// INVALID_ARGUMENT that names the tensor without which it cannot be told.
//
// Thread-safe.
absl::StatusOr<ModelConfig> InferConfig(std::span<const TensorView> tensors);

}  // namespace semsam

#endif  // SEMSAM_MODEL_WEIGHTS_INFER_CONFIG_H_
