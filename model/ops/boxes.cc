#include "model/ops/boxes.h"

#include <numbers>

#include "model/ops/cpu/kernels.h"

namespace semsam::ops {
namespace {

// The published epsilon; it matters for boxes at the border alone.
constexpr double kLogitEpsilon = 1e-5;

}  // namespace

at::Tensor SineBoxes(const at::Tensor& boxes, const at::Tensor& periods, Path path) {
  const int64_t count = boxes.size(0);
  if (!UseCpuKernel(path, boxes) || periods.size(0) % 16 != 0) {
    const at::Tensor ordered = at::stack(
        {boxes.select(1, 1), boxes.select(1, 0), boxes.select(1, 2), boxes.select(1, 3)}, 1);
    const at::Tensor angle = (ordered * (2 * std::numbers::pi)).unsqueeze(-1) / periods;
    return at::stack({angle.sin(), angle.cos()}, -1).view({count, 8 * periods.size(0)});
  }
  const at::Tensor input = boxes.contiguous();
  at::Tensor out = at::empty({count, 8 * periods.size(0)}, boxes.options());
  const cpu::SineBoxesArgs args = {.boxes = input.const_data_ptr<float>(),
                                   .periods = periods.const_data_ptr<float>(),
                                   .out = out.mutable_data_ptr<float>(),
                                   .periods_count = periods.size(0)};
  at::parallel_for(0, count, 64, [&](int64_t begin, int64_t end) {
    cpu::BestKernels().sine_boxes(args, begin, end);
  });
  return out;
}

at::Tensor RefineBoxes(const at::Tensor& deltas, const at::Tensor& boxes, Path path) {
  if (!UseCpuKernel(path, boxes)) {
    const at::Tensor clamped = boxes.clamp(0, 1);
    const at::Tensor logits =
        (clamped.clamp_min(kLogitEpsilon) / (1 - clamped).clamp_min(kLogitEpsilon)).log();
    return (deltas.defined() ? deltas + logits : logits).sigmoid();
  }
  const at::Tensor input = boxes.contiguous();
  const at::Tensor added = deltas.defined() ? deltas.contiguous() : deltas;
  at::Tensor out = at::empty_like(input);
  const cpu::RefineBoxesArgs args = {
      .deltas = added.defined() ? added.const_data_ptr<float>() : nullptr,
      .boxes = input.const_data_ptr<float>(),
      .out = out.mutable_data_ptr<float>(),
      .epsilon = static_cast<float>(kLogitEpsilon)};
  cpu::BestKernels().refine_boxes(args, 0, input.size(0));
  return out;
}

}  // namespace semsam::ops
