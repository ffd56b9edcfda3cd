// Overlap of boxes cx, cy, w, h, any unit.
#ifndef SEMSAM_MODEL_TRAINING_BOXES_H_
#define SEMSAM_MODEL_TRAINING_BOXES_H_

#include "model/torch/torch.h"

namespace semsam {

// Generalised IoU (Rezatofighi et al. 2019) of a [..., 4] and b [..., 4], which are
// broadcast -> [...]. Divisors have 1e-6 added, as published. Differentiable.
at::Tensor GeneralisedIou(const at::Tensor& a, const at::Tensor& b);

}  // namespace semsam

#endif  // SEMSAM_MODEL_TRAINING_BOXES_H_
