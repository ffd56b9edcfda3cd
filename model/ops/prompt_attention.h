// Self-attention of the interactive decoder.
#ifndef SEMSAM_MODEL_OPS_PROMPT_ATTENTION_H_
#define SEMSAM_MODEL_OPS_PROMPT_ATTENTION_H_

#include "model/ops/path.h"
#include "model/torch/torch.h"

namespace semsam::ops {

// qk [G, T, 2C] (queries, then keys), v [G, T, C], heads divides C -> [G, T, C].
// Tokens attend within their own group alone: with one prompt a group, a
// prompt's result never depends on another.
at::Tensor GroupAttention(const at::Tensor& qk, const at::Tensor& v, int64_t heads, Path path);

}  // namespace semsam::ops

#endif  // SEMSAM_MODEL_OPS_PROMPT_ATTENTION_H_
