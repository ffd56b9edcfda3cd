// EfficientNet-Lite (Liu 2020) without its head; BatchNorm is folded into the
// convolutions.
//
// Every convolution is padded as TensorFlow's SAME pads it for the size at hand: a
// stride of 2 over an even side takes (k - 2) / 2 rows before and (k - 1) / 2 after. The
// PyTorch port of the published weights computes the same when told the size of the
// image; left alone it keeps the padding of the size that the weights were trained at.
#ifndef SEMSAM_MODEL_NET_EFFICIENTNET_LITE_H_
#define SEMSAM_MODEL_NET_EFFICIENTNET_LITE_H_

#include <array>
#include <optional>
#include <string>
#include <vector>

#include "model/base/model_config.h"
#include "model/net/backbone.h"
#include "model/net/tensor_map.h"
#include "model/ops/inverted_residual.h"

namespace semsam {

// In training the depthwise kernels and their biases stay as they are: no gradient
// reaches them, whatever the tensors ask for. Their weight gradient is slow on a CPU, and
// ImageNet's are good for any picture. Everything else learns.
class EfficientNetLite final : public Backbone {
 public:
  EfficientNetLite(const EfficientNetLiteConfig& config, const TensorMap& weights, ops::Path path);

  // Neither side needs to be a multiple of 32: a stage of stride 2 rounds up.
  std::array<at::Tensor, 4> Forward(const at::Tensor& image) const override;

 private:
  struct Convolution {
    at::Tensor weight;  // [Cout, Cin / groups, k, k]
    at::Tensor bias;    // [Cout]
    int64_t stride = 1;
    int64_t groups = 1;

    // x [B, Cin, H, W] in the order of channels last -> [B, Cout, ceil(H / stride), ...]
    at::Tensor operator()(const at::Tensor& x) const;
  };
  struct Block {
    Convolution expand;  // without a weight in the first stage
    Convolution depthwise;
    Convolution project;
    bool residual = false;
    // All of it, and in the first block the stem too, where there are kernels.
    std::optional<ops::InvertedResidual> fused;
  };

  static Convolution Load(const TensorMap& weights, const std::string& prefix);
  Block LoadBlock(const TensorMap& weights, const std::string& prefix, int64_t stride) const;
  void FuseBlocks();
  // x and the result in the order of channels last: [B, H, W, C] where blocks are fused,
  // else [B, C, H, W].
  static at::Tensor RunBlock(const Block& block, const at::Tensor& x);

  ops::Path path_;
  bool fused_ = false;  // all blocks
  Convolution stem_;
  std::vector<std::vector<Block>> stages_;
};

}  // namespace semsam

#endif  // SEMSAM_MODEL_NET_EFFICIENTNET_LITE_H_
