// Layers over many rows, shared by the backbone and the pixel decoder. Products
// go to LibTorch's BLAS; what is cut here is memory traffic.
#ifndef SEMSAM_MODEL_NET_LAYERS_H_
#define SEMSAM_MODEL_NET_LAYERS_H_

#include <functional>
#include <string>

#include "model/net/tensor_map.h"
#include "model/ops/layer_norm.h"
#include "model/ops/path.h"
#include "model/torch/torch.h"

namespace semsam {

// Called with the name and output of an inner module, for people who compare
// numerics; what it leaves in `output` is what the network goes on with. May be
// empty.
using ForwardHook = std::function<void(const std::string& name, at::Tensor& output)>;

struct Dense {
  at::Tensor weight;  // [N, K]
  at::Tensor bias;    // [N] or undefined

  // x [..., K] -> [..., N]
  at::Tensor operator()(const at::Tensor& x) const { return at::linear(x, weight, bias); }
};

enum class FeedForwardActivation { kRelu, kGelu };

struct FeedForward {
  Dense expand;    // [ffn, C]
  Dense contract;  // [C, ffn]
  FeedForwardActivation activation = FeedForwardActivation::kRelu;
  ops::Path path = ops::Path::kNative;

  // contract(act(expand(x))); x [R, C] -> [R, C]. On a CPU in blocks of rows, so
  // that the hidden activations stay in the cache; not in training, whose backward
  // pass needs them all.
  at::Tensor operator()(const at::Tensor& x) const;
};

struct GroupNorm {
  at::Tensor weight;  // [C]
  at::Tensor bias;    // [C]
  int64_t groups = 32;

  // x [B, H, W, C] -> the same.
  at::Tensor operator()(const at::Tensor& x) const;
};

// x [B, H, W, Cin], weight [Cout, Cin, k, k] -> [B, H', W', Cout].
at::Tensor ConvChannelsLast(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                            int64_t stride, int64_t padding);

// `prefix`.weight and `prefix`.bias.
Dense LoadDense(const TensorMap& weights, const std::string& prefix);
// A 1x1 convolution as a dense layer; `bias` false where it has none.
Dense LoadPointwise(const TensorMap& weights, const std::string& prefix, bool bias);
ops::LayerNorm LoadLayerNorm(const TensorMap& weights, const std::string& prefix);
GroupNorm LoadGroupNorm(const TensorMap& weights, const std::string& prefix, int64_t groups);

}  // namespace semsam

#endif  // SEMSAM_MODEL_NET_LAYERS_H_
