#include "model/training/points.h"

#include <c10/core/GradMode.h>

namespace semsam {
namespace {

// grid_sampler's codes.
constexpr int64_t kBilinear = 0;
constexpr int64_t kZeros = 0;

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

at::Tensor SampleMasksAt(const at::Tensor& masks, const at::Tensor& rows,
                         const at::Tensor& points) {
  const c10::NoGradGuard no_grad;
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

at::Tensor UncertainPoints(const at::Tensor& logits, const PointOptions& options,
                           UniformSource& random) {
  const c10::NoGradGuard no_grad;
  const int64_t rows = logits.size(0);
  const int64_t candidates = static_cast<int64_t>(options.count * options.oversample);
  const int64_t chosen = static_cast<int64_t>(options.count * options.importance);
  const at::Tensor points = random.Draw({rows, candidates, 2}).to(logits.device());
  const at::Tensor uncertainty = -SampleLogitsAt(logits, points).abs();
  const at::Tensor best = std::get<1>(uncertainty.topk(chosen, /*dim=*/1));
  const at::Tensor hard = points.gather(1, best.unsqueeze(2).expand({rows, chosen, 2}));
  if (chosen == options.count) return hard;
  return at::cat({hard, random.Draw({rows, options.count - chosen, 2}).to(logits.device())}, 1);
}

}  // namespace semsam
