#include "model/ops/linear.h"

namespace semsam::ops {
namespace {

// Below this many multiply-adds a second thread costs more than it saves.
constexpr int64_t kParallelWork = 100'000;

int64_t PanelCount(int64_t n) {
  const int64_t width = cpu::BestKernels().panel_width;
  return (n + width - 1) / width;
}

int64_t PanelGrain(int64_t m, int64_t k) {
  const int64_t work = std::max<int64_t>(1, m * k * cpu::BestKernels().panel_width);
  return std::max<int64_t>(1, kParallelWork / work);
}

at::Tensor Activate(const at::Tensor& x, cpu::Activation activation) {
  switch (activation) {
    case cpu::Activation::kNone:
      return x;
    case cpu::Activation::kRelu:
      return at::relu(x);
    case cpu::Activation::kQuickGelu:
      return x * at::sigmoid(x * 1.702);
  }
  return x;
}

}  // namespace

at::Tensor PackPanels(const at::Tensor& weight) {
  const cpu::Kernels& kernels = cpu::BestKernels();
  TORCH_CHECK(weight.dim() == 2 && weight.stride(1) == 1, "PackPanels needs rows");
  const int64_t n = weight.size(0);
  const int64_t k = weight.size(1);
  at::Tensor panels = at::empty({PanelCount(n), k, kernels.panel_width}, weight.options());
  const float* source = weight.const_data_ptr<float>();
  float* target = panels.mutable_data_ptr<float>();
  at::parallel_for(0, panels.size(0), 16, [&](int64_t begin, int64_t end) {
    const int64_t first = begin * kernels.panel_width;
    const int64_t last = std::min(n, end * kernels.panel_width);
    kernels.pack_panels(source + first * weight.stride(0), weight.stride(0), last - first, k,
                        target + begin * k * kernels.panel_width);
  });
  return panels;
}

void PackedLinear(const at::Tensor& x, const at::Tensor& panels, const at::Tensor& bias,
                  cpu::Activation activation, at::Tensor& out) {
  const cpu::LinearArgs args = {
      .x = x.const_data_ptr<float>(),
      .ldx = x.stride(0),
      .m = x.size(0),
      .k = x.size(1),
      .panels = panels.const_data_ptr<float>(),
      .bias = bias.defined() ? bias.const_data_ptr<float>() : nullptr,
      .y = out.mutable_data_ptr<float>(),
      .ldy = out.stride(0),
      .n = out.size(1),
      .activation = activation,
  };
  TORCH_CHECK(panels.size(0) == PanelCount(args.n) && panels.size(1) == args.k,
              "packed weights do not fit the product");
  at::parallel_for(0, panels.size(0), PanelGrain(args.m, args.k), [&](int64_t begin, int64_t end) {
    cpu::BestKernels().linear(args, begin, end);
  });
}

Linear::Linear(at::Tensor weight, at::Tensor bias, Path path)
    : weight_(std::move(weight)), bias_(std::move(bias)) {
  if (UseCpuKernel(path, weight_)) {
    panels_ = PackPanels(weight_);
    if (bias_.defined()) bias_ = bias_.contiguous();
  }
}

at::Tensor Linear::Run(const at::Tensor& x, cpu::Activation activation) const {
  if (!panels_.defined()) return Activate(at::linear(x, weight_, bias_), activation);
  const at::Tensor rows = x.reshape({-1, in_features()}).contiguous();
  std::vector<int64_t> shape = x.sizes().vec();
  shape.back() = out_features();
  at::Tensor y = at::empty({rows.size(0), out_features()}, x.options());
  PackedLinear(rows, panels_, bias_, activation, y);
  return y.view(shape);
}

HeadProjection::HeadProjection(const at::Tensor& weight, const at::Tensor& bias, int64_t heads)
    : bias_(bias.view({heads, -1}).contiguous()) {
  std::vector<at::Tensor> packed;
  for (const at::Tensor& head : weight.chunk(heads, 0)) packed.push_back(PackPanels(head));
  panels_ = at::stack(packed);
}

at::Tensor HeadProjection::operator()(const at::Tensor& sampled,
                                      const at::Tensor& weight_sums) const {
  const int64_t m = sampled.size(0);
  const int64_t heads = sampled.size(1);
  const int64_t k = sampled.size(2);
  const int64_t head_dim = bias_.size(1);
  at::Tensor out = at::empty({m, heads, head_dim}, sampled.options());
  const int64_t panels_per_head = panels_.size(1);
  at::parallel_for(0, heads, PanelGrain(m, k), [&](int64_t begin, int64_t end) {
    for (int64_t head = begin; head < end; ++head) {
      const cpu::LinearArgs args = {
          .x = sampled.const_data_ptr<float>() + head * k,
          .ldx = heads * k,
          .m = m,
          .k = k,
          .panels = panels_.const_data_ptr<float>() + head * panels_.stride(0),
          .bias = bias_.const_data_ptr<float>() + head * head_dim,
          .bias_scale = weight_sums.const_data_ptr<float>() + head,
          .bias_stride = heads,
          .y = out.mutable_data_ptr<float>() + head * head_dim,
          .ldy = heads * head_dim,
          .n = head_dim,
      };
      cpu::BestKernels().linear(args, 0, panels_per_head);
    }
  });
  return out.view({m, heads * head_dim});
}

}  // namespace semsam::ops
