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

// How much of each cell a mask covers.
struct Shares {
  at::Tensor cells;  // [masks, level.area()] in 0..1
  at::Tensor sums;   // [masks]
};

Shares SharesByMean(const at::Tensor& logits, ImageSize level, int64_t factor) {
  const int64_t masks = logits.size(0);
  const at::Tensor cells = logits.sigmoid()
                               .view({masks, level.height, factor, level.width, factor})
                               .mean({2, 4})
                               .view({masks, level.area()});
  return {cells, cells.sum(1)};
}

Shares SharesNatively(const at::Tensor& logits, ImageSize level, int64_t factor) {
  const int64_t masks = logits.size(0);
  const at::Tensor input = logits.to(at::kFloat).contiguous();
  Shares shares = {.cells = at::empty({masks, level.area()}, input.options()),
                   .sums = at::empty({masks}, input.options())};
  const cpu::MaskSharesArgs args = {.logits = input.const_data_ptr<float>(),
                                    .shares = shares.cells.mutable_data_ptr<float>(),
                                    .sums = shares.sums.mutable_data_ptr<float>(),
                                    .height = level.height,
                                    .width = level.width,
                                    .factor = factor};
  at::parallel_for(0, masks, Grain(input.size(1) * 8), [&](int64_t begin, int64_t end) {
    cpu::BestKernels().mask_shares(args, begin, end);
  });
  return shares;
}

// The features have a gradient, the masks none: a training on a CPU may take the kernel
// for what is their share alone.
at::Tensor PoolByProduct(const at::Tensor& logits, const at::Tensor& features, ImageSize level,
                         int64_t factor, Path path) {
  const at::Tensor masks = logits.detach();
  const bool fast = path == Path::kTraining && masks.is_cpu() && masks.scalar_type() != at::kDouble;
  const Shares shares =
      fast ? SharesNatively(masks, level, factor) : SharesByMean(masks, level, factor);
  return at::matmul(shares.cells, features) / (shares.sums.unsqueeze(1) + kEpsilon);
}

at::Tensor PoolNatively(const at::Tensor& logits, const at::Tensor& features, ImageSize level,
                        int64_t factor) {
  const int64_t masks = logits.size(0);
  const int64_t channels = features.size(1);
  const at::Tensor rows = features.contiguous();
  at::Tensor out = at::empty({masks, channels}, logits.options());
  const cpu::Kernels& kernels = cpu::BestKernels();
  const Shares shares = SharesNatively(logits, level, factor);
  const cpu::WeightedMeanArgs mean_args = {.shares = shares.cells.const_data_ptr<float>(),
                                           .sums = shares.sums.const_data_ptr<float>(),
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
  if (!UseCpuKernel(path, logits)) {
    return PoolByProduct(logits, features, level, factor, path);
  }
  return PoolNatively(logits, features, level, factor);
}

}  // namespace semsam::ops
