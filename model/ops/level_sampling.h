// Weighted bilinear samples of a pyramid: the part of deformable attention that
// LibTorch has no fast operator for, with its gradients.
#ifndef SEMSAM_MODEL_OPS_LEVEL_SAMPLING_H_
#define SEMSAM_MODEL_OPS_LEVEL_SAMPLING_H_

#include <vector>

#include "model/base/types.h"
#include "model/ops/path.h"
#include "model/torch/torch.h"

namespace semsam::ops {

struct SamplingShape {
  int64_t heads = 8;
  int64_t points = 4;
};

// values [B, T, C], C = heads * head_dim, T = the pixels of `levels` in order;
// locations [B, Q, heads, L, P, 2] (x, y in 0..1 of their level, pixel centres at
// +0.5, zero outside); weights [B, Q, heads, L * P] -> [B, Q, C] in the type of
// `values`.
//
// Path::kTraining: kernels of our own, forward and backward, in float32 and
// float64, on a CPU and, where the build had a CUDA compiler, on a GPU; half
// precision is sampled in float32. On a CPU the gradient is the same bit for bit
// whatever the number of threads. A second derivative is refused.
// Other paths and devices: grid_sample, differentiable by LibTorch.
// Throws c10::Error for shapes that do not fit each other.
at::Tensor SampleLevels(const SamplingShape& shape, const at::Tensor& values,
                        const std::vector<ImageSize>& levels, const at::Tensor& locations,
                        const at::Tensor& weights, Path path);

}  // namespace semsam::ops

#endif  // SEMSAM_MODEL_OPS_LEVEL_SAMPLING_H_
