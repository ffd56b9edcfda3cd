#include "model/ops/mask_pooling.h"

#include <algorithm>

#include "model/ops/cpu/kernels.h"

namespace semsam::ops {
namespace {

// Keeps the mean of an empty mask finite.
constexpr double kEpsilon = 1e-6;
// Below this many multiply-adds a second thread costs more than it saves.
constexpr int64_t kParallelWork = 100'000;

int64_t Grain(int64_t work_of_one) {
  return std::max<int64_t>(1, kParallelWork / std::max<int64_t>(1, work_of_one));
}

at::Tensor PoolByProduct(const at::Tensor& logits, const at::Tensor& features, ImageSize level,
                         int64_t factor) {
  const int64_t masks = logits.size(0);
  const at::Tensor shares = logits.detach()
                                .sigmoid()
                                .view({masks, level.height, factor, level.width, factor})
                                .mean({2, 4})
                                .view({masks, level.area()});
  return at::matmul(shares, features) / (shares.sum(1, /*keepdim=*/true) + kEpsilon);
}

at::Tensor PoolNatively(const at::Tensor& logits, const at::Tensor& features, ImageSize level,
                        int64_t factor) {
  const int64_t masks = logits.size(0);
  const int64_t channels = features.size(1);
  const at::Tensor input = logits.contiguous();
  const at::Tensor rows = features.contiguous();
  at::Tensor shares = at::empty({masks, level.area()}, logits.options());
  at::Tensor sums = at::empty({masks}, logits.options());
  at::Tensor out = at::empty({masks, channels}, logits.options());
  const cpu::Kernels& kernels = cpu::BestKernels();
  const cpu::MaskSharesArgs share_args = {.logits = input.const_data_ptr<float>(),
                                          .shares = shares.mutable_data_ptr<float>(),
                                          .sums = sums.mutable_data_ptr<float>(),
                                          .height = level.height,
                                          .width = level.width,
                                          .factor = factor};
  at::parallel_for(0, masks, Grain(input.size(1) * 8), [&](int64_t begin, int64_t end) {
    kernels.mask_shares(share_args, begin, end);
  });
  const cpu::WeightedMeanArgs mean_args = {.shares = shares.const_data_ptr<float>(),
                                           .sums = sums.const_data_ptr<float>(),
                                           .features = rows.const_data_ptr<float>(),
                                           .out = out.mutable_data_ptr<float>(),
                                           .masks = masks,
                                           .cells = level.area(),
                                           .channels = channels,
                                           .epsilon = static_cast<float>(kEpsilon)};
  const int64_t panels = (channels + kernels.panel_width - 1) / kernels.panel_width;
  at::parallel_for(
      0, panels, Grain(masks * level.area() * kernels.panel_width),
      [&](int64_t begin, int64_t end) { kernels.weighted_mean(mean_args, begin, end); });
  return out;
}

}  // namespace

at::Tensor PoolUnderMasks(const at::Tensor& logits, ImageSize grid, const at::Tensor& features,
                          ImageSize level, Path path) {
  const int64_t factor = level.height > 0 ? grid.height / level.height : 0;
  TORCH_CHECK(factor >= 1 && factor <= cpu::kMaxPoolingFactor &&
                  grid.height == level.height * factor && grid.width == level.width * factor &&
                  logits.size(1) == grid.area() && features.size(0) == level.area(),
              "masks and features do not fit");
  if (!UseCpuKernel(path, logits)) return PoolByProduct(logits, features, level, factor);
  return PoolNatively(logits, features, level, factor);
}

}  // namespace semsam::ops
