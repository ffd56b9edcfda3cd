// Residual addition and LayerNorm in one pass.
#ifndef SEMSAM_MODEL_OPS_LAYER_NORM_H_
#define SEMSAM_MODEL_OPS_LAYER_NORM_H_

#include "model/ops/path.h"
#include "model/torch/torch.h"

namespace semsam::ops {

struct LayerNorm {
  at::Tensor weight;  // [C]
  at::Tensor bias;    // [C]
  double eps = 1e-5;
};

// LayerNorm(x + residual) over the last dimension; x [..., C], residual the same
// shape or undefined. Rows are independent of each other bit for bit.
at::Tensor AddLayerNorm(const LayerNorm& norm, const at::Tensor& x, const at::Tensor& residual,
                        Path path);

}  // namespace semsam::ops

#endif  // SEMSAM_MODEL_OPS_LAYER_NORM_H_
