// Causal self-attention over texts that share their beginnings.
#ifndef SEMSAM_MODEL_OPS_PREFIX_ATTENTION_H_
#define SEMSAM_MODEL_OPS_PREFIX_ATTENTION_H_

#include "model/torch/torch.h"

namespace semsam::ops {

// qkv [N, 3C] (queries, keys, values; heads divides C) of the nodes of a tree, float32
// on a CPU; parents [N] int32, each less than its node or -1; rows [R] int32 -> [R, C]:
// each row attends to its own node and to those above it, at most
// cpu::kMaxPrefix in all. A row depends on its chain alone, bit for bit.
at::Tensor PrefixAttention(const at::Tensor& qkv, const at::Tensor& parents, const at::Tensor& rows,
                           int64_t heads);

}  // namespace semsam::ops

#endif  // SEMSAM_MODEL_OPS_PREFIX_ATTENTION_H_
