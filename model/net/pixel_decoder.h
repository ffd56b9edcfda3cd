// Multi-scale deformable encoder with one FPN step (paper, section 3; parity
// notes, section 2): backbone features in, the decoder's memory and the map that
// masks are read from out.
#ifndef SEMSAM_MODEL_NET_PIXEL_DECODER_H_
#define SEMSAM_MODEL_NET_PIXEL_DECODER_H_

#include <array>
#include <string>
#include <vector>

#include "model/base/model_config.h"
#include "model/net/layers.h"
#include "model/net/tensor_map.h"
#include "model/ops/deformable_attention.h"

namespace semsam {

struct PixelFeatures {
  // Finest first, strides 8, 16, 32, 64 (from 4 on where the configuration takes
  // four levels of the backbone): [B, H/s, W/s, C].
  std::vector<at::Tensor> multi_scale;
  // Stride 4, after its ReLU and before the 1x1 convolution that the published
  // code calls mask_features: [B, H/4, W/4, C], never negative.
  at::Tensor mask_map;
};

// Thread-safe: Forward changes nothing.
class PixelDecoder {
 public:
  PixelDecoder(const PixelDecoderConfig& config, const TensorMap& weights, ops::Path path);

  // features res2..res5 as Backbone::Forward gives them. Hooked outputs:
  // "input_proj0", "pos0", "enc_layer0_selfattn", "enc_layer0", "adapter_1",
  // "layer_1" and so on.
  PixelFeatures Forward(const std::array<at::Tensor, 4>& features,
                        const ForwardHook& hook = nullptr) const;

  // The 1x1 convolution left out of PixelFeatures::mask_map: weight [M, C], bias
  // [M]. A mask logit is <mask_embed, weight y + bias>.
  const Dense& mask_projection() const { return mask_projection_; }

 private:
  struct Layer {
    ops::LayerNorm norm1;
    ops::LayerNorm norm2;
    Dense values;
    Dense sampling;  // offsets and attention logits, one product
    Dense output;
    FeedForward ffn;
  };
  struct Projection {
    at::Tensor weight;
    at::Tensor bias;
    GroupNorm norm;
  };

  std::vector<at::Tensor> ProjectInputs(const std::array<at::Tensor, 4>& features,
                                        const ForwardHook& hook) const;
  at::Tensor RunLayer(const Layer& layer, const at::Tensor& tokens, const at::Tensor& position,
                      const std::vector<ImageSize>& levels, const at::Tensor& references,
                      const std::string& name, const ForwardHook& hook) const;
  at::Tensor FuseMaskMap(const at::Tensor& res2, const at::Tensor& eighth,
                         const ForwardHook& hook) const;

  PixelDecoderConfig config_;
  ops::Path path_;
  std::vector<Projection> inputs_;
  at::Tensor level_embedding_;  // [L, C]
  std::vector<Layer> layers_;
  Dense adapter_;
  GroupNorm adapter_norm_;
  at::Tensor fuse_weight_;  // [C, C, 3, 3]
  GroupNorm fuse_norm_;
  Dense mask_projection_;
};

// Sine position embedding of an h x w map: [h, w, C], first half y, second x,
// sine and cosine interleaved.
at::Tensor SinePositions(int64_t height, int64_t width, int64_t channels,
                         const at::TensorOptions& options);

}  // namespace semsam

#endif  // SEMSAM_MODEL_NET_PIXEL_DECODER_H_
