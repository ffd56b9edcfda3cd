// Attention inside shifted windows (Swin Transformer, section 3.2).
#ifndef SEMSAM_MODEL_OPS_WINDOW_ATTENTION_H_
#define SEMSAM_MODEL_OPS_WINDOW_ATTENTION_H_

#include "model/ops/path.h"
#include "model/torch/torch.h"

namespace semsam::ops {

struct WindowAttentionWeights {
  at::Tensor qkv_bias;       // [3 * heads * head_dim]: keys and values of padding
  at::Tensor position_bias;  // [heads, N, N], N = window^2
  at::Tensor padded_bias;    // the kernel's copy, made by PrepareWindowAttention
  int64_t window = 7;
  int64_t heads = 3;
};

// Gathers position_bias from `table` [(2w-1)^2, heads] and the kernel's copy.
WindowAttentionWeights PrepareWindowAttention(const at::Tensor& qkv_bias, const at::Tensor& table,
                                              int64_t window, int64_t heads, Path path);

// qkv [B, H, W, 3C], the projection of real tokens only -> [B, H, W, C]. The map
// is padded right and bottom to whole windows; padded tokens are attended to as
// rows of qkv_bias, as the published model does. shift 0 or window / 2.
at::Tensor WindowAttention(const WindowAttentionWeights& weights, const at::Tensor& qkv,
                           int64_t shift, Path path);

}  // namespace semsam::ops

#endif  // SEMSAM_MODEL_OPS_WINDOW_ATTENTION_H_
