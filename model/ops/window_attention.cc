#include "model/ops/window_attention.h"

#include <cmath>
#include <vector>

#include "model/ops/cpu/kernels.h"

namespace semsam::ops {
namespace {

int64_t RoundUp(int64_t value, int64_t multiple) {
  return (value + multiple - 1) / multiple * multiple;
}

// [N, N] rows of the bias table: relative offset of key to query.
at::Tensor RelativePositionIndex(int64_t window) {
  const int64_t tokens = window * window;
  at::Tensor index = at::empty({tokens, tokens}, at::kLong);
  int64_t* out = index.mutable_data_ptr<int64_t>();
  for (int64_t i = 0; i < tokens; ++i) {
    for (int64_t j = 0; j < tokens; ++j) {
      const int64_t dy = i / window - j / window + window - 1;
      const int64_t dx = i % window - j % window + window - 1;
      *out++ = dy * (2 * window - 1) + dx;
    }
  }
  return index;
}

// [windows, 1, N, N]: -100 between tokens that were not neighbours before the
// map was rolled.
at::Tensor ShiftMask(int64_t height, int64_t width, int64_t window, int64_t shift,
                     const at::TensorOptions& options) {
  at::Tensor region = at::zeros({height, width}, options);
  const std::vector<int64_t> rows = {0, height - window, height - shift, height};
  const std::vector<int64_t> columns = {0, width - window, width - shift, width};
  for (int y = 0; y < 3; ++y) {
    for (int x = 0; x < 3; ++x) {
      region.slice(0, rows[y], rows[y + 1]).slice(1, columns[x], columns[x + 1]).fill_(y * 3 + x);
    }
  }
  const at::Tensor windows = region.view({height / window, window, width / window, window})
                                 .permute({0, 2, 1, 3})
                                 .reshape({-1, 1, window * window});
  return at::where(windows.unsqueeze(-1) == windows.unsqueeze(-2), at::zeros({}, options),
                   at::full({}, -100.0, options));
}

at::Tensor ReferenceWindowAttention(const WindowAttentionWeights& weights, const at::Tensor& qkv,
                                    int64_t shift) {
  const int64_t batch = qkv.size(0);
  const int64_t height = qkv.size(1);
  const int64_t width = qkv.size(2);
  const int64_t channels = qkv.size(3) / 3;
  const int64_t window = weights.window;
  const int64_t tokens = window * window;
  const int64_t padded_h = RoundUp(height, window);
  const int64_t padded_w = RoundUp(width, window);
  const int64_t head_dim = channels / weights.heads;

  at::Tensor map = weights.qkv_bias.view({1, 1, 1, 3 * channels})
                       .expand({batch, padded_h, padded_w, 3 * channels})
                       .clone();
  map.slice(1, 0, height).slice(2, 0, width).copy_(qkv);
  if (shift > 0) map = at::roll(map, {-shift, -shift}, {1, 2});
  // [B, windows, 3, heads, N, head_dim]
  const at::Tensor parts = map.view({batch, padded_h / window, window, padded_w / window, window, 3,
                                     weights.heads, head_dim})
                               .permute({0, 1, 3, 5, 6, 2, 4, 7})
                               .reshape({batch, -1, 3, weights.heads, tokens, head_dim});
  const at::Tensor q = parts.select(2, 0) * (1.0 / std::sqrt(static_cast<double>(head_dim)));
  at::Tensor scores = at::matmul(q, parts.select(2, 1).transpose(-2, -1)) + weights.position_bias;
  if (shift > 0) scores = scores + ShiftMask(padded_h, padded_w, window, shift, qkv.options());
  const at::Tensor attended = at::matmul(at::softmax(scores, -1), parts.select(2, 2));
  at::Tensor out = attended
                       .view({batch, padded_h / window, padded_w / window, weights.heads, window,
                              window, head_dim})
                       .permute({0, 1, 4, 2, 5, 3, 6})
                       .reshape({batch, padded_h, padded_w, channels});
  if (shift > 0) out = at::roll(out, {shift, shift}, {1, 2});
  return out.slice(1, 0, height).slice(2, 0, width).contiguous();
}

}  // namespace

WindowAttentionWeights PrepareWindowAttention(const at::Tensor& qkv_bias, const at::Tensor& table,
                                              int64_t window, int64_t heads, Path path) {
  const int64_t tokens = window * window;
  const at::Tensor index = RelativePositionIndex(window).to(table.device()).view({-1});
  WindowAttentionWeights weights = {.qkv_bias = qkv_bias.contiguous(),
                                    .position_bias = table.index_select(0, index)
                                                         .view({tokens, tokens, heads})
                                                         .permute({2, 0, 1})
                                                         .contiguous(),
                                    .window = window,
                                    .heads = heads};
  if (UseCpuKernel(path, qkv_bias)) {
    const int64_t padded = RoundUp(tokens, cpu::kWindowRowMultiple);
    weights.padded_bias = at::zeros({heads, tokens, padded}, table.options());
    weights.padded_bias.slice(2, 0, tokens).copy_(weights.position_bias);
  }
  return weights;
}

at::Tensor WindowAttention(const WindowAttentionWeights& weights, const at::Tensor& qkv,
                           int64_t shift, Path path) {
  const int64_t channels = qkv.size(3) / 3;
  const int64_t head_dim = channels / weights.heads;
  if (!UseCpuKernel(path, qkv) || head_dim % 16 != 0 ||
      weights.window * weights.window > cpu::kMaxWindowTokens) {
    return ReferenceWindowAttention(weights, qkv, shift);
  }
  const at::Tensor input = qkv.contiguous();
  at::Tensor out = at::empty({qkv.size(0), qkv.size(1), qkv.size(2), channels}, qkv.options());
  const cpu::WindowAttentionArgs args = {
      .qkv = input.const_data_ptr<float>(),
      .qkv_bias = weights.qkv_bias.const_data_ptr<float>(),
      .position_bias = weights.padded_bias.const_data_ptr<float>(),
      .out = out.mutable_data_ptr<float>(),
      .batch = qkv.size(0),
      .height = qkv.size(1),
      .width = qkv.size(2),
      .heads = weights.heads,
      .head_dim = head_dim,
      .window = weights.window,
      .shift = shift,
  };
  const int64_t windows = args.batch * (RoundUp(args.height, args.window) / args.window) *
                          (RoundUp(args.width, args.window) / args.window);
  at::parallel_for(0, windows, 1, [&](int64_t begin, int64_t end) {
    std::vector<float> scratch(cpu::BestKernels().window_attention_scratch(args));
    cpu::BestKernels().window_attention(args, begin, end, scratch.data());
  });
  return out;
}

}  // namespace semsam::ops
