#include "model/net/layers.h"

#include <algorithm>

namespace semsam {
namespace {

// Floats of hidden activations a block: a few MB, about a shared cache slice.
constexpr int64_t kBlockFloats = 1 << 20;

void Activate(FeedForwardActivation activation, at::Tensor& x) {
  if (activation == FeedForwardActivation::kRelu) {
    at::relu_(x);
  } else {
    at::gelu_(x);
  }
}

}  // namespace

at::Tensor FeedForward::operator()(const at::Tensor& x) const {
  if (path == ops::Path::kTraining) {
    const at::Tensor hidden = expand(x);
    return contract(activation == FeedForwardActivation::kRelu ? at::relu(hidden)
                                                               : at::gelu(hidden));
  }
  const int64_t rows = x.size(0);
  const int64_t block =
      x.is_cpu() ? std::max<int64_t>(256, kBlockFloats / expand.weight.size(0)) : rows;
  if (block >= rows) {
    at::Tensor hidden = expand(x);
    Activate(activation, hidden);
    return contract(hidden);
  }
  at::Tensor out = at::empty({rows, contract.weight.size(0)}, x.options());
  at::Tensor buffer = at::empty({block, expand.weight.size(0)}, x.options());
  const at::Tensor expand_weight = expand.weight.t();
  const at::Tensor contract_weight = contract.weight.t();
  for (int64_t begin = 0; begin < rows; begin += block) {
    const int64_t end = std::min(rows, begin + block);
    at::Tensor hidden = buffer.slice(0, 0, end - begin);
    at::addmm_out(hidden, expand.bias, x.slice(0, begin, end), expand_weight);
    Activate(activation, hidden);
    at::Tensor target = out.slice(0, begin, end);
    at::addmm_out(target, contract.bias, hidden, contract_weight);
  }
  return out;
}

at::Tensor GroupNorm::operator()(const at::Tensor& x) const {
  return at::group_norm(x.permute({0, 3, 1, 2}), groups, weight, bias, 1e-5)
      .permute({0, 2, 3, 1})
      .contiguous();
}

at::Tensor ConvChannelsLast(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                            int64_t stride, int64_t padding) {
  return at::conv2d(x.permute({0, 3, 1, 2}), weight, bias, stride, padding)
      .permute({0, 2, 3, 1})
      .contiguous();
}

Dense LoadDense(const TensorMap& weights, const std::string& prefix) {
  return {weights.Get(prefix + ".weight"), weights.Get(prefix + ".bias")};
}

Dense LoadPointwise(const TensorMap& weights, const std::string& prefix, bool bias) {
  const at::Tensor& weight = weights.Get(prefix + ".weight");
  return {weight.view({weight.size(0), weight.size(1)}),
          bias ? weights.Get(prefix + ".bias") : at::Tensor()};
}

ops::LayerNorm LoadLayerNorm(const TensorMap& weights, const std::string& prefix) {
  return {.weight = weights.Get(prefix + ".weight"), .bias = weights.Get(prefix + ".bias")};
}

GroupNorm LoadGroupNorm(const TensorMap& weights, const std::string& prefix, int64_t groups) {
  return {.weight = weights.Get(prefix + ".weight"),
          .bias = weights.Get(prefix + ".bias"),
          .groups = groups};
}

}  // namespace semsam
