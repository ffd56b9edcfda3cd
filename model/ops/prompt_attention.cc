#include "model/ops/prompt_attention.h"

#include <cmath>

#include "model/ops/cpu/kernels.h"

namespace semsam::ops {

at::Tensor GroupAttention(const at::Tensor& qk, const at::Tensor& v, int64_t heads, Path path) {
  const int64_t groups = v.size(0);
  const int64_t tokens = v.size(1);
  const int64_t channels = v.size(2);
  const int64_t head_dim = channels / heads;
  if (!UseCpuKernel(path, v) || head_dim % 16 != 0 || tokens > cpu::kMaxSamples) {
    const auto split = [&](const at::Tensor& x) {
      return x.reshape({groups, tokens, heads, head_dim}).transpose(1, 2);
    };
    const at::Tensor q = split(qk.slice(2, 0, channels)) * (1.0 / std::sqrt(double(head_dim)));
    const at::Tensor scores = at::matmul(q, split(qk.slice(2, channels)).transpose(-2, -1));
    return at::matmul(at::softmax(scores, -1), split(v))
        .transpose(1, 2)
        .reshape({groups, tokens, channels});
  }
  const at::Tensor queries_and_keys = qk.contiguous();
  const at::Tensor values = v.contiguous();
  at::Tensor out = at::empty_like(values);
  const cpu::PromptAttentionArgs args = {
      .qk = queries_and_keys.const_data_ptr<float>(),
      .v = values.const_data_ptr<float>(),
      .out = out.mutable_data_ptr<float>(),
      .tokens = tokens,
      .heads = heads,
      .head_dim = head_dim,
  };
  at::parallel_for(0, groups, 8, [&](int64_t begin, int64_t end) {
    cpu::BestKernels().prompt_attention(args, begin, end);
  });
  return out;
}

}  // namespace semsam::ops
