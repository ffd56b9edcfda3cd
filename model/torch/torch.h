// The one header that includes LibTorch. It costs seconds a file and drags in
// protobuf headers of its own, so nothing outside model/ may include it.
#ifndef SEMSAM_MODEL_TORCH_TORCH_H_
#define SEMSAM_MODEL_TORCH_TORCH_H_

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#endif  // SEMSAM_MODEL_TORCH_TORCH_H_
