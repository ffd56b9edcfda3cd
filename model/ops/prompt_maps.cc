#include "model/ops/prompt_maps.h"

#include <algorithm>
#include <cmath>

#include "model/ops/linear.h"

namespace semsam::ops {
namespace {

// The maps of one query are the product of two matrices, of `rank` terms each:
//   term      of a row                       of a column
//   sigma k   weight_k * gauss_k(y)          gauss_k(x)
//   ramp r    weight of the ramp along x     tanh_r(x)
//   the last  sum_r weight_r * tanh_r(y)     1
int64_t Rank(const PromptMapShape& shape) {
  return static_cast<int64_t>(shape.sigmas.size() + shape.ramps.size()) + 1;
}

int64_t LongerSide(ImageSize grid) { return std::max(grid.height, grid.width); }

// --- LibTorch's operators ---

// [P, cells]: distance of each cell's middle from the centre along one axis.
at::Tensor Distances(const at::Tensor& centre, int64_t cells, int64_t unit) {
  const at::Tensor middle = at::arange(cells, centre.options()) + 0.5;
  return (middle - centre.unsqueeze(1) * cells) / unit;
}

// [P, sigmas, cells]
at::Tensor Gaussians(const PromptMapShape& shape, const at::Tensor& distances) {
  const at::Tensor sigmas = at::tensor(shape.sigmas).to(distances.options()).view({1, -1, 1});
  return (-0.5 * (distances.unsqueeze(1) / sigmas).square()).exp();
}

// [P, ramps, cells]
at::Tensor Ramps(const PromptMapShape& shape, const at::Tensor& distances) {
  const at::Tensor ramps = at::tensor(shape.ramps).to(distances.options()).view({1, -1, 1});
  return (distances.unsqueeze(1) / ramps).tanh();
}

at::Tensor AddByProduct(const PromptMapShape& shape, const at::Tensor& centres,
                        const at::Tensor& weights, ImageSize grid, const at::Tensor& logits) {
  const int64_t prompts = centres.size(0);
  const int64_t tokens = weights.size(0) / prompts;
  const int64_t sigmas = static_cast<int64_t>(shape.sigmas.size());
  const int64_t ramps = static_cast<int64_t>(shape.ramps.size());
  const int64_t unit = LongerSide(grid);
  const at::Tensor x = Distances(centres.select(1, 0), grid.width, unit);
  const at::Tensor y = Distances(centres.select(1, 1), grid.height, unit);

  const at::Tensor of_query = weights.view({prompts, tokens, 1, shape.count()});
  const at::Tensor gauss_y = Gaussians(shape, y).transpose(1, 2).unsqueeze(1);  // [P, 1, H, K]
  const at::Tensor ramp_y = Ramps(shape, y).transpose(1, 2).unsqueeze(1);
  const at::Tensor rows = at::cat(
      {of_query.slice(3, 0, sigmas) * gauss_y,
       of_query.slice(3, sigmas, sigmas + ramps).expand({prompts, tokens, grid.height, ramps}),
       (of_query.slice(3, sigmas + ramps) * ramp_y).sum(3, true)},
      3);
  const at::Tensor columns =
      at::cat({Gaussians(shape, x), Ramps(shape, x), at::ones_like(x).unsqueeze(1)}, 1);
  const at::Tensor maps =
      at::matmul(rows.view({prompts, tokens * grid.height, Rank(shape)}), columns);
  return logits + maps.view(logits.sizes());
}

// --- Our own: every number of a prompt computed alone ---

// out[cell * stride]: distances as above.
void FillDistances(float centre, int64_t cells, int64_t unit, std::vector<float>& out) {
  out.resize(static_cast<size_t>(cells));
  for (int64_t i = 0; i < cells; ++i) {
    const float offset = static_cast<float>(i) + 0.5f - centre * static_cast<float>(cells);
    out[static_cast<size_t>(i)] = offset / static_cast<float>(unit);
  }
}

float Gaussian(float distance, float sigma) {
  const float scaled = distance / sigma;
  return std::exp(-0.5f * scaled * scaled);
}

// [W, rank]: what stands in each column.
at::Tensor NativeColumns(const PromptMapShape& shape, float centre, ImageSize grid) {
  at::Tensor columns = at::empty({grid.width, Rank(shape)}, at::kFloat);
  float* out = columns.mutable_data_ptr<float>();
  std::vector<float> distances;
  FillDistances(centre, grid.width, LongerSide(grid), distances);
  for (const float distance : distances) {
    for (const float sigma : shape.sigmas) *out++ = Gaussian(distance, sigma);
    for (const float ramp : shape.ramps) *out++ = std::tanh(distance / ramp);
    *out++ = 1;
  }
  return columns;
}

// [T * H, rank]: what stands in each row of each query; weights [T, count()].
at::Tensor NativeRows(const PromptMapShape& shape, float centre, const float* weights,
                      int64_t tokens, ImageSize grid) {
  at::Tensor rows = at::empty({tokens * grid.height, Rank(shape)}, at::kFloat);
  float* out = rows.mutable_data_ptr<float>();
  const size_t sigmas = shape.sigmas.size();
  const size_t ramps = shape.ramps.size();
  // The same for all queries of the prompt: [H, sigmas + ramps].
  std::vector<float> distances, factors;
  FillDistances(centre, grid.height, LongerSide(grid), distances);
  for (const float distance : distances) {
    for (const float sigma : shape.sigmas) factors.push_back(Gaussian(distance, sigma));
    for (const float ramp : shape.ramps) factors.push_back(std::tanh(distance / ramp));
  }
  for (int64_t token = 0; token < tokens; ++token) {
    const float* weight = weights + token * shape.count();
    const float* factor = factors.data();
    for (int64_t y = 0; y < grid.height; ++y) {
      for (size_t k = 0; k < sigmas; ++k) *out++ = weight[k] * *factor++;
      for (size_t r = 0; r < ramps; ++r) *out++ = weight[sigmas + r];
      float along_y = 0;
      for (size_t r = 0; r < ramps; ++r) along_y += weight[sigmas + ramps + r] * *factor++;
      *out++ = along_y;
    }
  }
  return rows;
}

void AddNatively(const PromptMapShape& shape, const at::Tensor& centres, const at::Tensor& weights,
                 ImageSize grid, const at::Tensor& logits) {
  const int64_t prompts = centres.size(0);
  const int64_t tokens = weights.size(0) / prompts;
  const at::Tensor middles = centres.contiguous();
  const at::Tensor factors = weights.contiguous();
  at::Tensor maps = at::empty({tokens * grid.height, grid.width}, logits.options());
  for (int64_t p = 0; p < prompts; ++p) {
    const float* middle = middles.const_data_ptr<float>() + 2 * p;
    const at::Tensor columns = NativeColumns(shape, middle[0], grid);
    const at::Tensor rows =
        NativeRows(shape, middle[1], factors.const_data_ptr<float>() + p * tokens * shape.count(),
                   tokens, grid);
    PackedLinear(rows, PackPanels(columns), /*bias=*/{}, cpu::Activation::kNone, maps);
    at::Tensor target = logits.slice(0, p * tokens, (p + 1) * tokens);
    target.add_(maps.view(target.sizes()));
  }
}

}  // namespace

at::Tensor AddPromptMaps(const PromptMapShape& shape, const at::Tensor& centres,
                         const at::Tensor& weights, ImageSize grid, const at::Tensor& logits,
                         Path path) {
  const int64_t prompts = centres.size(0);
  TORCH_CHECK(centres.dim() == 2 && centres.size(1) == 2 && prompts > 0 &&
                  weights.size(0) % prompts == 0 && weights.size(1) == shape.count() &&
                  logits.size(0) == weights.size(0) && logits.size(1) == grid.area(),
              "maps, prompts and masks do not fit");
  if (!UseCpuKernel(path, logits)) return AddByProduct(shape, centres, weights, grid, logits);
  TORCH_CHECK(logits.is_contiguous(), "maps are added to whole rows");
  AddNatively(shape, centres, weights, grid, logits);
  return logits;
}

}  // namespace semsam::ops
