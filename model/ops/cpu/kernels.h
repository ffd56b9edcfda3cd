// CPU kernels on raw pointers, compiled once for each instruction set and
// chosen at run time. No Torch here: these are the twins of CUDA launchers.
//
// All arrays are float32, row-major. Kernels run on one thread over the range
// they are given; the callers in model/ops split the work. A row of a result
// depends on its own inputs alone and is summed in a fixed order, so results
// never depend on what else is in a batch.
#ifndef SEMSAM_MODEL_OPS_CPU_KERNELS_H_
#define SEMSAM_MODEL_OPS_CPU_KERNELS_H_

#include <cstdint>

namespace semsam::ops::cpu {

// kQuickGelu: x * sigmoid(1.702 x).
enum class Activation { kNone, kRelu, kQuickGelu };

// y[m, n] = act(sum_k x[m, k] * w[n, k] + bias[n] * bias_scale[m])
struct LinearArgs {
  const float* x = nullptr;  // [M, K], row stride ldx
  int64_t ldx = 0;
  int64_t m = 0;
  int64_t k = 0;
  const float* panels = nullptr;      // [ceil(N / panel_width), K, panel_width]
  const float* bias = nullptr;        // [N], may be null
  const float* bias_scale = nullptr;  // [M], row stride bias_stride; null means 1
  int64_t bias_stride = 0;
  float* y = nullptr;  // [M, N], row stride ldy
  int64_t ldy = 0;
  int64_t n = 0;
  Activation activation = Activation::kNone;
};

// A 1x1 convolution over rows of pixels: y = act(x w + bias) + residual, where act is
// ReLU6 or nothing.
struct PointwiseArgs {
  const float* x = nullptr;  // [rows, pixels, K]
  int64_t x_stride = 0;      // floats between rows
  int64_t rows = 1;
  int64_t pixels = 0;  // a row
  int64_t k = 0;
  const float* panels = nullptr;    // as LinearArgs
  const float* bias = nullptr;      // [N rounded up to the panel width]
  const float* residual = nullptr;  // as y; may be null
  float* y = nullptr;               // [rows, pixels, N]
  int64_t y_stride = 0;             // floats between rows, of the residual too
  int64_t n = 0;
  bool relu6 = false;
};

// A depthwise convolution and ReLU6 over rows that are padded already.
struct DepthwiseArgs {
  const float* x = nullptr;        // the first tap of the first output: [.., .., channels]
  int64_t x_stride = 0;            // floats between rows
  const float* weights = nullptr;  // [kernel, kernel, channels]
  const float* bias = nullptr;     // [channels]
  float* y = nullptr;              // [rows, width, channels]
  int64_t rows = 0;                // of outputs
  int64_t width = 0;               // outputs a row
  int64_t channels = 0;            // multiple of 16
  int kernel = 3;                  // 3 or 5
  int stride = 1;                  // 1 or 2
};

// y = LayerNorm(x + residual) over the last dimension.
struct AddLayerNormArgs {
  const float* x = nullptr;         // [M, C]
  const float* residual = nullptr;  // [M, C], may be null
  const float* weight = nullptr;    // [C]
  const float* bias = nullptr;      // [C]
  float* y = nullptr;               // [M, C]
  int64_t channels = 0;
  float eps = 1e-5f;
};

inline constexpr int64_t kMaxWindowTokens = 1024;

// Multi-head attention inside (shifted) windows of a padded map (Swin, section
// 3.2): tokens that only pad the map are keys and values made of the qkv bias.
struct WindowAttentionArgs {
  const float* qkv = nullptr;            // [B, H, W, 3, heads, head_dim]
  const float* qkv_bias = nullptr;       // [3, heads, head_dim]
  const float* position_bias = nullptr;  // [heads, N, N rounded up to kWindowRowMultiple]
  float* out = nullptr;                  // [B, H, W, heads, head_dim]
  int64_t batch = 0;
  int64_t height = 0;
  int64_t width = 0;
  int64_t heads = 0;
  int64_t head_dim = 0;  // multiple of 16
  int64_t window = 0;    // N = window * window tokens, at most kMaxWindowTokens
  int64_t shift = 0;
};

// One level of a feature pyramid inside its flattened memory.
struct PyramidLevel {
  int64_t height = 0;
  int64_t width = 0;
  int64_t start = 0;  // row of its first pixel
};

inline constexpr int kMaxPyramidLevels = 8;
inline constexpr int kMaxSamples = 64;  // levels * points a head

// Multi-scale deformable attention over projected values (Deformable DETR,
// equation 3). Sampling is bilinear, zero outside, pixel centres at +0.5.
struct DeformableArgs {
  const float* values = nullptr;       // [T, heads * head_dim] of one image
  const float* projections = nullptr;  // [Q, heads*L*P*2 offsets, heads*L*P logits]
  const float* references = nullptr;   // [Q, 2] x, y in 0..1
  float* out = nullptr;                // [Q, heads * head_dim]
  int64_t heads = 0;
  int64_t head_dim = 0;  // multiple of 16
  int levels = 0;
  int points = 0;
  PyramidLevel level[kMaxPyramidLevels];
};

// The sampling alone, with attention weights and places given: what training
// differentiates. T is float, or double for the checks of gradients.
template <typename T>
struct LevelSamplingArgs {
  const T* values = nullptr;     // [B, tokens, heads, head_dim]
  const T* locations = nullptr;  // [B, Q, heads, L * P, 2] x, y in 0..1
  const T* weights = nullptr;    // [B, Q, heads, L * P]
  int64_t tokens = 0;
  int64_t queries = 0;
  int64_t heads = 0;
  int64_t head_dim = 0;  // any
  int levels = 0;
  int points = 0;
  PyramidLevel level[kMaxPyramidLevels];
};

template <typename T>
struct LevelSamplingGrads {
  const T* out = nullptr;  // [B, Q, heads, head_dim], the gradient that comes in
  T* values = nullptr;     // added to
  T* locations = nullptr;  // written
  T* weights = nullptr;    // written
};

// The memory that one query looks at.
struct QueryMemory {
  const float* memory = nullptr;        // [T, channels]
  const PyramidLevel* level = nullptr;  // [levels]
};

// The same with box references, each query over the values of its own image.
struct BoxDeformableArgs {
  const QueryMemory* queries = nullptr;  // [Q], memories of projected values
  const float* projections = nullptr;    // [Q, heads*L*P*2 offsets, heads*L*P logits]
  const float* references = nullptr;     // [Q, 4] cx, cy, w, h in 0..1
  float* out = nullptr;                  // [Q, heads * head_dim]
  int64_t heads = 0;
  int64_t head_dim = 0;  // multiple of 16
  int levels = 0;
  int points = 0;
};

// The same for few queries: samples the raw memory with each head's weights and
// leaves the value projection to the caller, which applies it to the sampled sums
// (exact, attention is linear in its values).
struct LazyDeformableArgs {
  const QueryMemory* queries = nullptr;  // [Q], memories that are not projected
  const float* projections = nullptr;    // [Q, heads*L*P*2 offsets, heads*L*P logits]
  const float* references = nullptr;     // [Q, 4] cx, cy, w, h in 0..1
  float* sampled = nullptr;              // [Q, heads, channels]
  float* weight_sums = nullptr;          // [Q, heads]: attention that fell inside
  int64_t heads = 0;
  int64_t channels = 0;  // multiple of 16
  int levels = 0;
  int points = 0;
};

// Self-attention among the tokens of one prompt.
struct PromptAttentionArgs {
  const float* qk = nullptr;  // [prompts, tokens, 2, heads, head_dim]
  const float* v = nullptr;   // [prompts, tokens, heads, head_dim]
  float* out = nullptr;       // [prompts, tokens, heads, head_dim]
  int64_t tokens = 0;         // at most kMaxSamples
  int64_t heads = 0;
  int64_t head_dim = 0;  // multiple of 16
};

// Causal self-attention of texts that share beginnings: nodes of a tree, each of
// which attends to itself and to what lies between it and the root.
struct PrefixAttentionArgs {
  const float* qkv = nullptr;        // [nodes, 3, heads, head_dim]
  const int32_t* parents = nullptr;  // [nodes]; less than the node, -1: a root
  const int32_t* rows = nullptr;     // [R] nodes to compute
  float* out = nullptr;              // [R, heads, head_dim]
  int64_t heads = 0;
  int64_t head_dim = 0;
};
inline constexpr int64_t kMaxPrefix = 512;  // nodes from a root to a leaf

// Box coordinates as sines and cosines for the position head: [N, 4] cx, cy, w, h
// -> [N, 4 * 2 * periods], in the order y, x, w, h, sine and cosine interleaved.
struct SineBoxesArgs {
  const float* boxes = nullptr;    // [N, 4] in 0..1
  const float* periods = nullptr;  // [P], P a multiple of 16: divide the angle
  float* out = nullptr;            // [N, 8 P]
  int64_t periods_count = 0;
};

// sigmoid(delta + inverse_sigmoid(box)), element by element.
struct RefineBoxesArgs {
  const float* deltas = nullptr;  // [N, 4], may be null: zeros
  const float* boxes = nullptr;   // [N, 4]
  float* out = nullptr;           // [N, 4]
  float epsilon = 1e-5f;          // of the inverse sigmoid
};

// What the cells of a feature level have of soft masks on a finer grid.
struct MaskSharesArgs {
  const float* logits = nullptr;  // [N, height * factor, width * factor]
  float* shares = nullptr;        // [N, height, width]: mean of sigmoid(logits)
  float* sums = nullptr;          // [N], of shares
  int64_t height = 0;
  int64_t width = 0;
  int64_t factor = 1;  // at most kMaxPoolingFactor
};
inline constexpr int64_t kMaxPoolingFactor = 8;

// out[n] = sum_t shares[n, t] * features[t] / (sums[n] + epsilon)
struct WeightedMeanArgs {
  const float* shares = nullptr;    // [N, T]
  const float* sums = nullptr;      // [N]
  const float* features = nullptr;  // [T, C]
  float* out = nullptr;             // [N, C]
  int64_t masks = 0;
  int64_t cells = 0;
  int64_t channels = 0;
  float epsilon = 0;
};

// A tensor [outer, channels, inner] of which each channel has a range of its own.
struct ChannelShape {
  int64_t channels = 0;
  int64_t inner = 1;
};

struct Kernels {
  const char* isa;      // "avx512", "avx2", "generic"
  int64_t panel_width;  // columns that LinearArgs::panels interleaves

  // w [N, K] with row stride ldw -> panels.
  void (*pack_panels)(const float* w, int64_t ldw, int64_t n, int64_t k, float* panels);
  void (*linear)(const LinearArgs& args, int64_t panel_begin, int64_t panel_end);
  void (*pointwise)(const PointwiseArgs& args);
  void (*depthwise)(const DepthwiseArgs& args);
  void (*add_layer_norm)(const AddLayerNormArgs& args, int64_t row_begin, int64_t row_end);
  // `scratch` holds window_attention_scratch floats.
  int64_t (*window_attention_scratch)(const WindowAttentionArgs& args);
  void (*window_attention)(const WindowAttentionArgs& args, int64_t window_begin,
                           int64_t window_end, float* scratch);
  void (*deformable)(const DeformableArgs& args, int64_t query_begin, int64_t query_end);
  // Over query * heads + head, as the next.
  void (*box_deformable)(const BoxDeformableArgs& args, int64_t begin, int64_t end);
  void (*lazy_deformable)(const LazyDeformableArgs& args, int64_t begin, int64_t end);
  // Over (image * queries + query) * heads + head; `out` as LevelSamplingGrads::out.
  void (*sample_levels)(const LevelSamplingArgs<float>& args, float* out, int64_t begin,
                        int64_t end);
  void (*sample_levels_double)(const LevelSamplingArgs<double>& args, double* out, int64_t begin,
                               int64_t end);
  // Over image * heads + head: what two of them write never overlaps, and each is
  // summed in the order of its queries.
  void (*sample_levels_backward)(const LevelSamplingArgs<float>& args,
                                 const LevelSamplingGrads<float>& grads, int64_t begin,
                                 int64_t end);
  void (*sample_levels_backward_double)(const LevelSamplingArgs<double>& args,
                                        const LevelSamplingGrads<double>& grads, int64_t begin,
                                        int64_t end);
  void (*prompt_attention)(const PromptAttentionArgs& args, int64_t prompt_begin,
                           int64_t prompt_end);
  void (*prefix_attention)(const PrefixAttentionArgs& args, int64_t row_begin, int64_t row_end);
  void (*sine_boxes)(const SineBoxesArgs& args, int64_t begin, int64_t end);
  void (*mask_shares)(const MaskSharesArgs& args, int64_t mask_begin, int64_t mask_end);
  // Over panels of panel_width channels, the last one perhaps not whole.
  void (*weighted_mean)(const WeightedMeanArgs& args, int64_t panel_begin, int64_t panel_end);
  void (*refine_boxes)(const RefineBoxesArgs& args, int64_t begin, int64_t end);
  // Half precision, rounded to nearest even; what is too large for it becomes its
  // largest number. False, and `y` means nothing, if a number is not finite.
  bool (*to_half)(const float* x, int64_t n, uint16_t* y);
  // Of what to_half wrote; any other bits give finite numbers, too.
  void (*from_half)(const uint16_t* x, int64_t n, float* y);
  // low[c], high[c] with channel c of x [outer, channels, inner] taken in. False, and
  // they mean nothing, if a number is not finite.
  bool (*channel_range)(const float* x, int64_t outer, const ChannelShape& shape, float* low,
                        float* high);
  // x * factors[c] as the nearest integer, its low 8 bits; |x * factors[c]| < 2^22.
  void (*to_bytes)(const float* x, int64_t outer, const ChannelShape& shape, const float* factors,
                   uint8_t* y);
  // x * scales[c].
  void (*from_signed_bytes)(const int8_t* x, int64_t outer, const ChannelShape& shape,
                            const float* scales, float* y);
  void (*from_unsigned_bytes)(const uint8_t* x, int64_t outer, const ChannelShape& shape,
                              const float* scales, float* y);
  // Independent multiply-adds in registers, for measuring a core's peak; returns
  // how many floating-point operations it did.
  double (*multiply_add)(int64_t iterations);
};

// What windows attention rows are padded to, floats.
inline constexpr int64_t kWindowRowMultiple = 16;

// The best set for this processor. Thread-safe.
const Kernels& BestKernels();
// Every set this processor can run, best first: for tests and benchmarks.
const Kernels* const* AvailableKernels(int* count);

}  // namespace semsam::ops::cpu

#endif  // SEMSAM_MODEL_OPS_CPU_KERNELS_H_
