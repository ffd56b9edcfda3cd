#include "model/ops/prefix_attention.h"

#include "model/ops/cpu/kernels.h"

namespace semsam::ops {

at::Tensor PrefixAttention(const at::Tensor& qkv, const at::Tensor& parents, const at::Tensor& rows,
                           int64_t heads) {
  const int64_t width = qkv.size(1) / 3;
  TORCH_CHECK(qkv.is_cpu() && qkv.is_contiguous() && width % heads == 0,
              "PrefixAttention needs the rows of a CPU");
  at::Tensor out = at::empty({rows.size(0), width}, qkv.options());
  const cpu::PrefixAttentionArgs args = {
      .qkv = qkv.const_data_ptr<float>(),
      .parents = parents.const_data_ptr<int32_t>(),
      .rows = rows.const_data_ptr<int32_t>(),
      .out = out.mutable_data_ptr<float>(),
      .heads = heads,
      .head_dim = width / heads,
  };
  at::parallel_for(0, rows.size(0), 16, [&](int64_t begin, int64_t end) {
    cpu::BestKernels().prefix_attention(args, begin, end);
  });
  return out;
}

}  // namespace semsam::ops
