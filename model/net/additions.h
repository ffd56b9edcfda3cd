// What our own model adds to the published decoder (DecoderAdditions), each a module
// of its own. All are thread-safe: nothing changes after construction.
#ifndef SEMSAM_MODEL_NET_ADDITIONS_H_
#define SEMSAM_MODEL_NET_ADDITIONS_H_

#include "absl/types/span.h"
#include "model/base/model_config.h"
#include "model/net/tensor_map.h"
#include "model/ops/deformable_attention.h"
#include "model/ops/layer_norm.h"
#include "model/ops/linear.h"
#include "model/ops/path.h"
#include "model/ops/prompt_maps.h"

namespace semsam {

// Maps round the middle of a prompt, mixed by each of its queries.
class PromptMapHead {
 public:
  PromptMapHead(const ModelConfig& config, const TensorMap& weights, ops::Path path);

  // queries [P * T, C] as the mask head reads them, centres [P, 2] (x, y in 0..1 of the
  // padded image), logits [P * T, grid.area()] -> logits and maps. As
  // ops::AddPromptMaps: in place on the native path.
  at::Tensor AddTo(const at::Tensor& logits, const at::Tensor& queries, const at::Tensor& centres,
                   ImageSize grid) const;

 private:
  ops::Path path_;
  ops::PromptMapShape shape_;
  ops::Linear hidden_;   // [C, C]
  ops::Linear weights_;  // [maps, C]
};

// The memory at the middle of a prompt.
class ClickFeatures {
 public:
  ClickFeatures(const TensorMap& weights, ops::Path path);

  // As ops::PointFeatures -> [P, C], to be added to the tokens of each prompt.
  at::Tensor operator()(absl::Span<const ops::PyramidMemory> images,
                        absl::Span<const int> image_of_prompt, const at::Tensor& centres) const;

 private:
  ops::Path path_;
  ops::Linear project_;  // [C, L * C]
};

// The memory under a mask.
class PooledFeatures {
 public:
  PooledFeatures(const TensorMap& weights, ops::Path path);

  // logits [N, grid.area()] of masks on one image -> [N, C], to be added to their
  // queries. The masks learn nothing from what is read under them.
  at::Tensor operator()(const at::Tensor& logits, ImageSize grid,
                        const ops::PyramidMemory& image) const;

 private:
  ops::Path path_;
  ops::LayerNorm norm_;
  ops::Linear project_;  // [C, C]
};

}  // namespace semsam

#endif  // SEMSAM_MODEL_NET_ADDITIONS_H_
