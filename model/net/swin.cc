#include "model/net/swin.h"

#include "absl/strings/str_cat.h"

namespace semsam {

Swin::Swin(const SwinConfig& config, const TensorMap& weights, ops::Path path)
    : config_(config), path_(path) {
  const at::Tensor& patch = weights.Get("backbone.patch_embed.proj.weight");
  patch_projection_ = {patch.reshape({patch.size(0), -1}),
                       weights.Get("backbone.patch_embed.proj.bias")};
  patch_norm_ = LoadLayerNorm(weights, "backbone.patch_embed.norm");
  for (int s = 0; s < 4; ++s) {
    const std::string stage_name = absl::StrCat("backbone.layers.", s);
    Stage stage;
    for (int b = 0; b < config.depths[s]; ++b) {
      const std::string name = absl::StrCat(stage_name, ".blocks.", b);
      Block block;
      block.norm1 = LoadLayerNorm(weights, name + ".norm1");
      block.qkv = LoadDense(weights, name + ".attn.qkv");
      block.attention = ops::PrepareWindowAttention(
          block.qkv.bias, weights.Get(name + ".attn.relative_position_bias_table"),
          config.window_size, config.heads[s], path);
      block.projection = LoadDense(weights, name + ".attn.proj");
      block.norm2 = LoadLayerNorm(weights, name + ".norm2");
      block.mlp = {.expand = LoadDense(weights, name + ".mlp.fc1"),
                   .contract = LoadDense(weights, name + ".mlp.fc2"),
                   .activation = FeedForwardActivation::kGelu,
                   .path = path};
      block.shift = b % 2 == 1 ? config.window_size / 2 : 0;
      stage.blocks.push_back(std::move(block));
    }
    stage.output_norm = LoadLayerNorm(weights, absl::StrCat("backbone.norm", s));
    if (s < 3) {
      stage.merge_norm = LoadLayerNorm(weights, stage_name + ".downsample.norm");
      stage.merge.weight = weights.Get(stage_name + ".downsample.reduction.weight");
    }
    stages_.push_back(std::move(stage));
  }
}

std::array<at::Tensor, 4> Swin::Forward(const at::Tensor& image, const ForwardHook& hook) const {
  std::array<at::Tensor, 4> features;
  at::Tensor x = EmbedPatches(image);
  if (hook) hook("patch_embed", x);
  for (int s = 0; s < 4; ++s) {
    const Stage& stage = stages_[s];
    for (size_t b = 0; b < stage.blocks.size(); ++b) {
      const std::string name = absl::StrCat("layers", s, "_block", b);
      x = RunBlock(stage.blocks[b], x, name, hook);
      if (hook) hook(name, x);
    }
    features[s] = ops::AddLayerNorm(stage.output_norm, x, {}, path_);
    if (s < 3) {
      // The next stage takes the map as it was before the output norm.
      x = MergePatches(stage, x);
      if (hook) hook(absl::StrCat("layers", s, "_downsample"), x);
    }
  }
  return features;
}

at::Tensor Swin::EmbedPatches(const at::Tensor& image) const {
  const int64_t patch = config_.patch_size;
  const int64_t batch = image.size(0);
  const int64_t height = image.size(2) / patch;
  const int64_t width = image.size(3) / patch;
  // A convolution whose stride is its kernel is one product over the patches.
  const at::Tensor patches = image.reshape({batch, 3, height, patch, width, patch})
                                 .permute({0, 2, 4, 1, 3, 5})
                                 .reshape({batch, height, width, 3 * patch * patch});
  return ops::AddLayerNorm(patch_norm_, patch_projection_(patches), {}, path_);
}

at::Tensor Swin::RunBlock(const Block& block, const at::Tensor& x, const std::string& name,
                          const ForwardHook& hook) const {
  const at::Tensor qkv = block.qkv(ops::AddLayerNorm(block.norm1, x, {}, path_));
  const at::Tensor attended = ops::WindowAttention(block.attention, qkv, block.shift, path_);
  at::Tensor sum = block.projection(attended);
  if (hook) hook(name + "_attn", sum);
  sum.add_(x);
  const at::Tensor normed = ops::AddLayerNorm(block.norm2, sum, {}, path_);
  const int64_t channels = x.size(3);
  const at::Tensor mlp = block.mlp(normed.view({-1, channels})).view(x.sizes());
  // The gradient of the norm needs the sum as it is.
  return path_ == ops::Path::kTraining ? sum + mlp : sum.add_(mlp);
}

at::Tensor Swin::MergePatches(const Stage& stage, const at::Tensor& x) const {
  at::Tensor map = x;
  const int64_t pad_h = map.size(1) % 2;
  const int64_t pad_w = map.size(2) % 2;
  if (pad_h + pad_w > 0) map = at::constant_pad_nd(map, {0, 0, 0, pad_w, 0, pad_h});
  const auto corner = [&map](int64_t row, int64_t column) {
    return map.slice(1, row, c10::nullopt, 2).slice(2, column, c10::nullopt, 2);
  };
  // Row parity varies first: the order the published weights were trained with.
  const at::Tensor merged = at::cat({corner(0, 0), corner(1, 0), corner(0, 1), corner(1, 1)}, -1);
  return stage.merge(ops::AddLayerNorm(stage.merge_norm, merged, {}, path_));
}

}  // namespace semsam
