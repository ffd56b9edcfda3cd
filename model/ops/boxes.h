// Reference boxes of the decoder. LibTorch's elementwise functions round the tail
// of a tensor otherwise than its body, so a row's value would follow its place in
// the batch; the native path computes each element alone.
#ifndef SEMSAM_MODEL_OPS_BOXES_H_
#define SEMSAM_MODEL_OPS_BOXES_H_

#include "model/ops/path.h"
#include "model/torch/torch.h"

namespace semsam::ops {

// boxes [N, 4] (cx, cy, w, h in 0..1), periods [P] -> [N, 8 P]: sine and cosine of
// 2 pi * coordinate / period, interleaved, in the order y, x, w, h (the published
// code swaps the first two).
at::Tensor SineBoxes(const at::Tensor& boxes, const at::Tensor& periods, Path path);

// sigmoid(deltas + inverse_sigmoid(boxes)); deltas [N, 4] or undefined for zeros.
at::Tensor RefineBoxes(const at::Tensor& deltas, const at::Tensor& boxes, Path path);

}  // namespace semsam::ops

#endif  // SEMSAM_MODEL_OPS_BOXES_H_
