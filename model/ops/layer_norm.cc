#include "model/ops/layer_norm.h"

#include "model/ops/cpu/kernels.h"

namespace semsam::ops {

at::Tensor AddLayerNorm(const LayerNorm& norm, const at::Tensor& x, const at::Tensor& residual,
                        Path path) {
  const int64_t channels = x.size(-1);
  if (!UseCpuKernel(path, x)) {
    const at::Tensor sum = residual.defined() ? x + residual : x;
    return at::layer_norm(sum, {channels}, norm.weight, norm.bias, norm.eps);
  }
  const at::Tensor input = x.contiguous();
  const at::Tensor added = residual.defined() ? residual.contiguous() : residual;
  at::Tensor out = at::empty_like(input, at::MemoryFormat::Contiguous);
  const cpu::AddLayerNormArgs args = {
      .x = input.const_data_ptr<float>(),
      .residual = added.defined() ? added.const_data_ptr<float>() : nullptr,
      .weight = norm.weight.const_data_ptr<float>(),
      .bias = norm.bias.const_data_ptr<float>(),
      .y = out.mutable_data_ptr<float>(),
      .channels = channels,
      .eps = static_cast<float>(norm.eps),
  };
  at::parallel_for(0, input.numel() / channels, 256, [&](int64_t begin, int64_t end) {
    cpu::BestKernels().add_layer_norm(args, begin, end);
  });
  return out;
}

}  // namespace semsam::ops
