#include "model/training/points.h"

#include <c10/core/GradMode.h>

#include <cmath>

namespace semsam {
namespace {

// grid_sampler's codes.
constexpr int64_t kBilinear = 0;
constexpr int64_t kZeros = 0;

// One bilinear value of a mask [height, width]; zeros outside.
float ValueAt(const uint8_t* mask, int64_t height, int64_t width, float px, float py) {
  const float x = px * static_cast<float>(width) - 0.5f;
  const float y = py * static_cast<float>(height) - 0.5f;
  const float left = std::floor(x), top = std::floor(y);
  const float right_share = x - left, lower_share = y - top;
  const auto value = [&](float column, float row) -> float {
    const bool inside = column >= 0 && row >= 0 && column < static_cast<float>(width) &&
                        row < static_cast<float>(height);
    return inside ? mask[static_cast<int64_t>(row) * width + static_cast<int64_t>(column)] : 0;
  };
  const float upper = (1 - right_share) * value(left, top) + right_share * value(left + 1, top);
  const float lower =
      (1 - right_share) * value(left, top + 1) + right_share * value(left + 1, top + 1);
  return (1 - lower_share) * upper + lower_share * lower;
}

// On a CPU: one pass instead of some fifty over tensors of points.
at::Tensor SampleMasksOnCpu(const at::Tensor& masks, const at::Tensor& rows,
                            const at::Tensor& points) {
  const int64_t count = points.size(1), height = masks.size(1), width = masks.size(2);
  const at::Tensor packed = masks.contiguous(), places = points.contiguous();
  const at::Tensor chosen = rows.contiguous();
  at::Tensor values = at::empty({rows.size(0), count}, at::kFloat);
  if (values.numel() == 0) return values;
  TORCH_CHECK(chosen.min().item<int64_t>() >= 0 && chosen.max().item<int64_t>() < masks.size(0),
              "no such mask");
  float* out = values.mutable_data_ptr<float>();
  const float* place = places.const_data_ptr<float>();
  const int64_t stride = points.size(0) == 1 ? 0 : 2 * count;
  at::parallel_for(0, rows.size(0), /*grain_size=*/1, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      const uint8_t* mask =
          packed.const_data_ptr<uint8_t>() + chosen.const_data_ptr<int64_t>()[row] * height * width;
      const float* xy = place + row * stride;
      for (int64_t i = 0; i < count; ++i) {
        out[row * count + i] = ValueAt(mask, height, width, xy[2 * i], xy[2 * i + 1]);
      }
    }
  });
  return values;
}

// The same by LibTorch's operators, on any device.
at::Tensor GatherMasks(const at::Tensor& masks, const at::Tensor& rows, const at::Tensor& points) {
  const int64_t height = masks.size(1), width = masks.size(2);
  const at::Tensor pixels = masks.reshape({-1});
  const at::Tensor first = (rows * (height * width)).unsqueeze(1);  // [N, 1]
  const at::Tensor x = points.select(2, 0) * width - 0.5;
  const at::Tensor y = points.select(2, 1) * height - 0.5;
  const at::Tensor left = x.floor(), top = y.floor();
  at::Tensor sum;
  for (const int down : {0, 1}) {
    for (const int right : {0, 1}) {
      const at::Tensor column = left + right, row = top + down;
      const at::Tensor inside = (column >= 0) & (column < width) & (row >= 0) & (row < height);
      const at::Tensor share = (1 - (x - column).abs()) * (1 - (y - row).abs()) * inside;
      const at::Tensor index =
          row.clamp(0, height - 1).to(at::kLong) * width + column.clamp(0, width - 1).to(at::kLong);
      const at::Tensor part = pixels.take(first + index).to(at::kFloat) * share;
      sum = sum.defined() ? sum + part : part;
    }
  }
  return sum;
}

}  // namespace

at::Tensor FullPrecision(const at::Tensor& values) {
  return values.scalar_type() == at::kDouble ? values : values.to(at::kFloat);
}

at::Tensor SampleLogitsAt(const at::Tensor& logits, const at::Tensor& points) {
  const int64_t rows = logits.size(0), count = points.size(1);
  const bool shared = points.size(0) == 1;
  const at::Tensor maps = FullPrecision(logits).unsqueeze(shared ? 0 : 1);
  const at::Tensor grid = (points * 2 - 1).unsqueeze(1).to(maps.scalar_type());
  return at::grid_sampler_2d(maps, grid, kBilinear, kZeros, /*align_corners=*/false)
      .reshape({rows, count});
}

at::Tensor SampleMasksAt(const at::Tensor& masks, const at::Tensor& rows, const at::Tensor& points,
                         ops::Path path) {
  const c10::NoGradGuard no_grad;
  TORCH_CHECK(masks.scalar_type() == at::kByte && masks.dim() == 3, "masks are uint8 [G, H, W]");
  TORCH_CHECK(points.scalar_type() == at::kFloat && points.size(-1) == 2,
              "points are float [.., 2]");
  TORCH_CHECK(points.size(0) == 1 || points.size(0) == rows.size(0), "points of other masks");
  if (path == ops::Path::kNative && masks.is_cpu()) return SampleMasksOnCpu(masks, rows, points);
  return GatherMasks(masks, rows, points);
}

at::Tensor MaskShares(const at::Tensor& masks, int64_t height, int64_t width) {
  const c10::NoGradGuard no_grad;
  TORCH_CHECK(masks.scalar_type() == at::kByte && masks.dim() == 3, "masks are uint8 [G, H, W]");
  at::Tensor shares = at::empty({masks.size(0), height, width}, masks.options().dtype(at::kFloat));
  // One by one: all of them as floats would be four times the masks.
  for (int64_t i = 0; i < masks.size(0); ++i) {
    shares[i].copy_(
        at::adaptive_avg_pool2d(masks[i].to(at::kFloat).unsqueeze(0), {height, width})[0]);
  }
  return shares.flatten(1);
}

at::Tensor UncertainPoints(const at::Tensor& logits, const PointOptions& options,
                           UniformSource& random) {
  const c10::NoGradGuard no_grad;
  const int64_t rows = logits.size(0);
  const int64_t candidates = static_cast<int64_t>(options.count * options.oversample);
  const int64_t chosen = static_cast<int64_t>(options.count * options.importance);
  const at::Tensor points = random.Draw({rows, candidates, 2}).to(logits.device());
  const at::Tensor uncertainty = -SampleLogitsAt(logits, points).abs();
  const at::Tensor best =
      std::get<1>(uncertainty.topk(chosen, /*dim=*/1, /*largest=*/true, /*sorted=*/false));
  const at::Tensor hard = points.gather(1, best.unsqueeze(2).expand({rows, chosen, 2}));
  if (chosen == options.count) return hard;
  return at::cat({hard, random.Draw({rows, options.count - chosen, 2}).to(logits.device())}, 1);
}

}  // namespace semsam
