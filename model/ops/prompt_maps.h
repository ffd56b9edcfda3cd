// Maps round the middle of a prompt, added to mask logits: Gaussians and ramps, each
// the product of a function of x and one of y. A sum of such maps has the rank of
// their number, so that it costs a fraction of the mask product.
#ifndef SEMSAM_MODEL_OPS_PROMPT_MAPS_H_
#define SEMSAM_MODEL_OPS_PROMPT_MAPS_H_

#include <vector>

#include "model/base/types.h"
#include "model/ops/path.h"
#include "model/torch/torch.h"

namespace semsam::ops {

// With d the distance of a cell's middle from the centre, in units of the longer side
// of the grid: first exp(-d^2 / (2 sigma^2)) of each sigma, then tanh(dx / ramp) of
// each ramp, then tanh(dy / ramp).
struct PromptMapShape {
  std::vector<float> sigmas;
  std::vector<float> ramps;

  int64_t count() const { return static_cast<int64_t>(sigmas.size() + 2 * ramps.size()); }
};

// centres [P, 2] (x, y in 0..1 of the grid), weights [P * T, count()] (T queries a
// prompt, prompt-major), logits [P * T, grid.area()] -> logits plus the weighted maps.
// Native path: adds to `logits` in place; a row depends on its own query alone, bit
// for bit. Other paths: a new tensor, differentiable by logits and weights.
at::Tensor AddPromptMaps(const PromptMapShape& shape, const at::Tensor& centres,
                         const at::Tensor& weights, ImageSize grid, const at::Tensor& logits,
                         Path path);

}  // namespace semsam::ops

#endif  // SEMSAM_MODEL_OPS_PROMPT_MAPS_H_
