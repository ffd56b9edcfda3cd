#include "model/net/additions.h"

#include <string>

#include "model/net/layers.h"
#include "model/ops/mask_pooling.h"
#include "model/ops/point_features.h"

namespace semsam {
namespace {

constexpr char kPrefix[] = "sem_seg_head.predictor.";

ops::Linear LoadLinear(const TensorMap& weights, const std::string& name, ops::Path path) {
  const std::string prefix = kPrefix;
  return {weights.Get(prefix + name + ".weight"), weights.Get(prefix + name + ".bias"), path};
}

}  // namespace

PromptMapHead::PromptMapHead(const ModelConfig& config, const TensorMap& weights, ops::Path path)
    : path_(path),
      shape_{.sigmas = config.decoder.additions.prompt_maps.sigmas,
             .ramps = config.decoder.additions.prompt_maps.ramps},
      hidden_(LoadLinear(weights, "prompt_map_head.layers.0", path)),
      weights_(LoadLinear(weights, "prompt_map_head.layers.1", path)) {}

at::Tensor PromptMapHead::AddTo(const at::Tensor& logits, const at::Tensor& queries,
                                const at::Tensor& centres, ImageSize grid) const {
  return ops::AddPromptMaps(shape_, centres, weights_(hidden_.Relu(queries)), grid, logits, path_);
}

ClickFeatures::ClickFeatures(const TensorMap& weights, ops::Path path)
    : path_(path), project_(LoadLinear(weights, "click_features", path)) {}

at::Tensor ClickFeatures::operator()(absl::Span<const ops::PyramidMemory> images,
                                     absl::Span<const int> image_of_prompt,
                                     const at::Tensor& centres) const {
  return project_(ops::PointFeatures(images, image_of_prompt, centres, path_));
}

PooledFeatures::PooledFeatures(const TensorMap& weights, ops::Path path)
    : path_(path),
      norm_(LoadLayerNorm(weights, std::string(kPrefix) + "pooled_norm")),
      project_(LoadLinear(weights, "pooled_features", path)) {}

at::Tensor PooledFeatures::operator()(const at::Tensor& logits, ImageSize grid,
                                      const ops::PyramidMemory& image) const {
  // The memory ends with its finest level.
  const ImageSize level = image.levels.back();
  const at::Tensor features = image.memory.slice(0, image.memory.size(0) - level.area());
  const at::Tensor pooled = ops::PoolUnderMasks(logits, grid, features, level, path_);
  return project_(ops::AddLayerNorm(norm_, pooled, {}, path_));
}

}  // namespace semsam
