// Which implementation an operator takes.
#ifndef SEMSAM_MODEL_OPS_PATH_H_
#define SEMSAM_MODEL_OPS_PATH_H_

#include "model/torch/torch.h"

namespace semsam::ops {

enum class Path {
  // Our own kernel where one exists for the tensor's device and type (float32
  // on a CPU), LibTorch's operators otherwise.
  kNative,
  // LibTorch's operators alone: the oracle of the tests, the baseline of the
  // benchmarks, and what a GPU runs until its kernels exist.
  kReference,
  // Differentiable: LibTorch's operators, nothing in place that a gradient needs,
  // and our own kernels where they have a backward (model/ops/level_sampling.h).
  // Networks on this path hold graphs of the weights they were built from: build
  // one for every step.
  kTraining,
};

// True where the CPU kernels take `tensor`.
inline bool UseCpuKernel(Path path, const at::Tensor& tensor) {
  return path == Path::kNative && tensor.is_cpu() && tensor.scalar_type() == at::kFloat;
}

}  // namespace semsam::ops

#endif  // SEMSAM_MODEL_OPS_PATH_H_
