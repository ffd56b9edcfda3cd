// Swin Transformer (Liu et al. 2021) as the published models run it; details in
// which implementations differ are in the parity notes, section 2.
#ifndef SEMSAM_MODEL_NET_SWIN_H_
#define SEMSAM_MODEL_NET_SWIN_H_

#include <array>
#include <string>
#include <vector>

#include "model/base/model_config.h"
#include "model/net/backbone.h"
#include "model/net/layers.h"
#include "model/net/tensor_map.h"
#include "model/ops/window_attention.h"

namespace semsam {

class Swin final : public Backbone {
 public:
  Swin(const SwinConfig& config, const TensorMap& weights, ops::Path path);

  std::array<at::Tensor, 4> Forward(const at::Tensor& image) const override {
    return Forward(image, nullptr);
  }
  // Hooked outputs: "patch_embed", "layers0_block1_attn" (before its residual),
  // "layers0_block1", "layers0_downsample" and so on, [B, H, W, C] before any
  // output norm.
  std::array<at::Tensor, 4> Forward(const at::Tensor& image, const ForwardHook& hook) const;

 private:
  struct Block {
    ops::LayerNorm norm1;
    Dense qkv;
    ops::WindowAttentionWeights attention;
    Dense projection;
    ops::LayerNorm norm2;
    FeedForward mlp;
    int64_t shift = 0;
  };
  struct Stage {
    std::vector<Block> blocks;
    ops::LayerNorm output_norm;
    // Patch merging; the last stage has none.
    ops::LayerNorm merge_norm;
    Dense merge;
  };

  at::Tensor EmbedPatches(const at::Tensor& image) const;
  at::Tensor RunBlock(const Block& block, const at::Tensor& x, const std::string& name,
                      const ForwardHook& hook) const;
  at::Tensor MergePatches(const Stage& stage, const at::Tensor& x) const;

  SwinConfig config_;
  ops::Path path_;
  Dense patch_projection_;
  ops::LayerNorm patch_norm_;
  std::vector<Stage> stages_;
};

}  // namespace semsam

#endif  // SEMSAM_MODEL_NET_SWIN_H_
