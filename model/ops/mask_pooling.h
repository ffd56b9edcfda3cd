// Means of features under soft masks.
#ifndef SEMSAM_MODEL_OPS_MASK_POOLING_H_
#define SEMSAM_MODEL_OPS_MASK_POOLING_H_

#include "model/base/types.h"
#include "model/ops/path.h"
#include "model/torch/torch.h"

namespace semsam::ops {

// logits [N, grid.area()], features [level.area(), C] -> [N, C]: the mean of the
// features weighted by sigmoid(logits), averaged over the cells of the grid that lie
// in one of the level; next to 0 for an empty mask. The grid is one to eight times as
// fine as the level, both ways alike. Differentiable by the features, not by the
// logits. Native path: a row depends on its own mask alone, bit for bit.
at::Tensor PoolUnderMasks(const at::Tensor& logits, ImageSize grid, const at::Tensor& features,
                          ImageSize level, Path path);

}  // namespace semsam::ops

#endif  // SEMSAM_MODEL_OPS_MASK_POOLING_H_
