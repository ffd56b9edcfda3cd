// The configuration of a weight file that carries none, from its shapes.
#ifndef SEMSAM_MODEL_WEIGHTS_INFER_CONFIG_H_
#define SEMSAM_MODEL_WEIGHTS_INFER_CONFIG_H_

#include <span>

#include "absl/status/statusor.h"
#include "model/base/model_config.h"
#include "model/weights/tensor_view.h"

namespace semsam {

// The backbone is an EfficientNet-Lite where there is backbone.stem.weight, else a Swin.
// What shapes do not tell has the published value: 8 heads in both decoders and in
// the text encoder, GroupNorm of 32 groups (fewer where the width demands it),
// preprocessing, the order of the levels of six tokens (any other number of tokens:
// token l - 1 for level l), 300 chosen queries and the defaults of inference. Equal
// to SwinT(), SwinL() or OpenSeedSwinT() for those models.
//
// Of words: there is text where there is a text encoder, and nothing else of words
// without it, whatever class heads a file holds. `object_labels` takes class_embed
// and prompts to label (a model without prompts has them false: its words are what
// `vocabulary` stands for), `part_labels` class_embed_part, `vocabulary` enc_output.
//
// INVALID_ARGUMENT that names the tensor without which it cannot be told, or where
// learned queries come without enc_output or only in half.
//
// Thread-safe.
absl::StatusOr<ModelConfig> InferConfig(std::span<const TensorView> tensors);

}  // namespace semsam

#endif  // SEMSAM_MODEL_WEIGHTS_INFER_CONFIG_H_
