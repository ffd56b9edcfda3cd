#include "model/net/pixel_decoder.h"

#include <numbers>

#include "absl/strings/str_cat.h"

namespace semsam {
namespace {

constexpr char kPrefix[] = "sem_seg_head.pixel_decoder.";

// [n, channels]: interleaved sine and cosine of (i + 1) / (n + 1e-6) * 2 pi.
at::Tensor SineAxis(int64_t n, int64_t channels, const at::TensorOptions& options) {
  const at::Tensor position =
      (at::arange(1, n + 1, options) / (static_cast<double>(n) + 1e-6)) * (2 * std::numbers::pi);
  const at::Tensor exponent = at::arange(0, channels / 2, options) * 2 / channels;
  const at::Tensor angle = position.unsqueeze(-1) / at::pow(10000.0, exponent);
  return at::stack({angle.sin(), angle.cos()}, -1).flatten(-2);
}

// [T, 2]: centre of each pixel of each level, x and y in 0..1.
at::Tensor PixelCentres(const std::vector<ImageSize>& levels, const at::TensorOptions& options) {
  std::vector<at::Tensor> parts;
  for (const ImageSize& level : levels) {
    const at::Tensor y = (at::arange(level.height, options) + 0.5) / level.height;
    const at::Tensor x = (at::arange(level.width, options) + 0.5) / level.width;
    parts.push_back(at::stack({x.unsqueeze(0).expand({level.height, level.width}),
                               y.unsqueeze(1).expand({level.height, level.width})},
                              -1)
                        .reshape({-1, 2}));
  }
  return at::cat(parts);
}

}  // namespace

at::Tensor SinePositions(int64_t height, int64_t width, int64_t channels,
                         const at::TensorOptions& options) {
  const int64_t half = channels / 2;
  return at::cat({SineAxis(height, half, options).unsqueeze(1).expand({height, width, half}),
                  SineAxis(width, half, options).unsqueeze(0).expand({height, width, half})},
                 -1);
}

PixelDecoder::PixelDecoder(const PixelDecoderConfig& config, const TensorMap& weights,
                           ops::Path path)
    : config_(config), path_(path) {
  const std::string prefix = kPrefix;
  for (int l = 0; l < config.feature_levels; ++l) {
    const std::string name = absl::StrCat(prefix, "input_proj.", l);
    inputs_.push_back({.weight = weights.Get(name + ".0.weight"),
                       .bias = weights.Get(name + ".0.bias"),
                       .norm = LoadGroupNorm(weights, name + ".1", config.norm_groups)});
  }
  level_embedding_ = weights.Get(prefix + "transformer.level_embed");
  for (int i = 0; i < config.layers; ++i) {
    const std::string name = absl::StrCat(prefix, "transformer.encoder.layers.", i);
    const Dense offsets = LoadDense(weights, name + ".self_attn.sampling_offsets");
    const Dense logits = LoadDense(weights, name + ".self_attn.attention_weights");
    layers_.push_back({.norm1 = LoadLayerNorm(weights, name + ".norm1"),
                       .norm2 = LoadLayerNorm(weights, name + ".norm2"),
                       .values = LoadDense(weights, name + ".self_attn.value_proj"),
                       .sampling = {at::cat({offsets.weight, logits.weight}),
                                    at::cat({offsets.bias, logits.bias})},
                       .output = LoadDense(weights, name + ".self_attn.output_proj"),
                       .ffn = {.expand = LoadDense(weights, name + ".linear1"),
                               .contract = LoadDense(weights, name + ".linear2"),
                               .activation = FeedForwardActivation::kRelu,
                               .path = path}});
  }
  adapter_ = LoadPointwise(weights, prefix + "adapter_1", /*bias=*/false);
  adapter_norm_ = LoadGroupNorm(weights, prefix + "adapter_1.norm", config.norm_groups);
  fuse_weight_ = weights.Get(prefix + "layer_1.weight");
  if (path == ops::Path::kNative) {
    fuse_weight_ = fuse_weight_.contiguous(at::MemoryFormat::ChannelsLast);
  }
  fuse_norm_ = LoadGroupNorm(weights, prefix + "layer_1.norm", config.norm_groups);
  mask_projection_ = LoadPointwise(weights, prefix + "mask_features", /*bias=*/true);
}

std::vector<at::Tensor> PixelDecoder::ProjectInputs(const std::array<at::Tensor, 4>& features,
                                                    const ForwardHook& hook) const {
  std::vector<at::Tensor> maps;
  for (int l = 0; l < config_.feature_levels; ++l) {
    const Projection& input = inputs_[l];
    at::Tensor map;
    const int from_backbone = config_.backbone_levels;
    if (l < from_backbone) {
      const at::Tensor& weight = input.weight;
      map = at::linear(features[4 - from_backbone + l],
                       weight.view({weight.size(0), weight.size(1)}), input.bias);
    } else {
      // The first extra level comes from the raw backbone map, further ones from
      // the level before.
      map =
          ConvChannelsLast(l == from_backbone ? features[3] : maps.back(), input.weight, input.bias,
                           /*stride=*/2, /*padding=*/1);
    }
    maps.push_back(input.norm(map));
    if (hook) hook(absl::StrCat("input_proj", l), maps.back());
  }
  return maps;
}

PixelFeatures PixelDecoder::Forward(const std::array<at::Tensor, 4>& features,
                                    const ForwardHook& hook) const {
  const std::vector<at::Tensor> maps = ProjectInputs(features, hook);
  const int64_t batch = maps[0].size(0);
  const int64_t channels = config_.hidden_dim;
  std::vector<ImageSize> levels;
  std::vector<at::Tensor> tokens, positions;
  for (size_t l = 0; l < maps.size(); ++l) {
    const int64_t height = maps[l].size(1);
    const int64_t width = maps[l].size(2);
    levels.push_back({static_cast<int>(height), static_cast<int>(width)});
    tokens.push_back(maps[l].view({batch, height * width, channels}));
    at::Tensor sine = SinePositions(height, width, channels, maps[l].options());
    if (hook) hook(absl::StrCat("pos", l), sine);
    positions.push_back(
        (sine + level_embedding_[static_cast<int64_t>(l)]).view({height * width, channels}));
  }
  at::Tensor x = at::cat(tokens, 1);
  const at::Tensor position = at::cat(positions);
  const at::Tensor references = PixelCentres(levels, x.options());
  for (size_t i = 0; i < layers_.size(); ++i) {
    const std::string name = absl::StrCat("enc_layer", i);
    x = RunLayer(layers_[i], x, position, levels, references, name, hook);
    if (hook) hook(name, x);
  }

  PixelFeatures result;
  int64_t start = 0;
  for (const ImageSize& level : levels) {
    result.multi_scale.push_back(x.slice(1, start, start + level.area())
                                     .reshape({batch, level.height, level.width, channels}));
    start += level.area();
  }
  result.mask_map = FuseMaskMap(features[0], result.multi_scale[0], hook);
  return result;
}

at::Tensor PixelDecoder::RunLayer(const Layer& layer, const at::Tensor& tokens,
                                  const at::Tensor& position, const std::vector<ImageSize>& levels,
                                  const at::Tensor& references, const std::string& name,
                                  const ForwardHook& hook) const {
  const ops::SamplingShape shape = {.heads = config_.heads, .points = config_.points};
  const at::Tensor sampled = ops::DeformableAttention(
      shape, layer.values(tokens), levels, layer.sampling(tokens + position), references, path_);
  at::Tensor output = layer.output(sampled);
  if (hook) hook(name + "_selfattn", output);
  const at::Tensor x = ops::AddLayerNorm(layer.norm1, tokens, output, path_);
  const at::Tensor ffn = layer.ffn(x.view({-1, config_.hidden_dim})).view(x.sizes());
  return ops::AddLayerNorm(layer.norm2, x, ffn, path_);
}

at::Tensor PixelDecoder::FuseMaskMap(const at::Tensor& res2, const at::Tensor& eighth,
                                     const ForwardHook& hook) const {
  at::Tensor lateral = adapter_norm_(adapter_(res2));
  if (hook) hook("adapter_1", lateral);
  const at::Tensor upsampled =
      at::upsample_bilinear2d(eighth.permute({0, 3, 1, 2}), {res2.size(1), res2.size(2)},
                              /*align_corners=*/false)
          .permute({0, 2, 3, 1});
  const at::Tensor fused = fuse_norm_(ConvChannelsLast((lateral + upsampled).contiguous(),
                                                       fuse_weight_, {}, /*stride=*/1,
                                                       /*padding=*/1));
  at::Tensor map = at::relu(fused);
  if (hook) hook("layer_1", map);
  return map;
}

}  // namespace semsam
