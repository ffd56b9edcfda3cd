// What the matcher and the mask losses look at: masks at random points instead of all
// pixels (Kirillov et al. 2020, PointRend), or at every cell of the predicted maps.
//
// Points are (x, y) in [0, 1] of the padded picture, which a grid of any size covers;
// values between cell centres are bilinear, with zeros outside.
// Thread-safe: free functions.
#ifndef SEMSAM_MODEL_TRAINING_POINTS_H_
#define SEMSAM_MODEL_TRAINING_POINTS_H_

#include "model/ops/path.h"
#include "model/torch/torch.h"
#include "model/training/uniform.h"

namespace semsam {

// Losses are computed in float32 whatever the network runs in; float64 (checks of
// gradients) is left as it is.
at::Tensor FullPrecision(const at::Tensor& values);

// logits [N, h, w], points [N, P, 2] or [1, P, 2] (the same for all) -> [N, P] in
// full precision. Differentiable in the logits.
at::Tensor SampleLogitsAt(const at::Tensor& logits, const at::Tensor& points);

// Rows `rows` [N] int64 of masks [G, H, W] uint8 at points [N, P, 2] or [1, P, 2] ->
// float32 [N, P]. Reads the pixels it needs alone: masks are not copied. kReference: by
// LibTorch's operators on a CPU too.
at::Tensor SampleMasksAt(const at::Tensor& masks, const at::Tensor& rows, const at::Tensor& points,
                         ops::Path path = ops::Path::kNative);

// Masks [G, H, W] uint8 as shares of the cells of an h x w grid: [G, h * w] float32 in
// 0..1. No gradient.
at::Tensor MaskShares(const at::Tensor& masks, int64_t height, int64_t width);

struct PointOptions {
  int count = 12544;         // points a mask (112 x 112)
  double oversample = 3;     // candidates a point
  double importance = 0.75;  // share of the points that are the least certain candidates
};

// [N, count, 2]: of count * oversample uniform candidates those where |logit| is
// least, and fresh uniform points. Draws [N, candidates, 2], then [N, rest, 2]. No
// gradient.
at::Tensor UncertainPoints(const at::Tensor& logits, const PointOptions& options,
                           UniformSource& random);

}  // namespace semsam

#endif  // SEMSAM_MODEL_TRAINING_POINTS_H_
