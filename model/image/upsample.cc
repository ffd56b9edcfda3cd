#include "model/image/upsample.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "model/image/cpu_features.h"

#if SEMSAM_X86
#include <immintrin.h>
#endif

namespace semsam {
namespace {

float BicubicKernel(float x) {
  constexpr float a = -0.5f;
  x = std::fabs(x);
  if (x < 1.0f) return ((a + 2.0f) * x - (a + 3.0f)) * x * x + 1.0f;
  if (x < 2.0f) return (((x - 5.0f) * x + 8.0f) * x - 4.0f) * a;
  return 0.0f;
}

// The loops are written once and compiled twice: with hardware fused multiply-add
// and, for processors without it, with the library's.
__attribute__((always_inline)) inline void BlendLoop(const float* top, float weight0,
                                                     const float* bottom, float weight1,
                                                     size_t count, float* out) {
  for (size_t x = 0; x < count; ++x) {
    out[x] = __builtin_fmaf(weight0, top[x], weight1 * bottom[x]);
  }
}
__attribute__((always_inline)) inline void WidenLoop(const float* row, const BilinearAxis& axis,
                                                     size_t begin, size_t end, float* out) {
  for (size_t x = begin; x < end; ++x) {
    out[x] =
        __builtin_fmaf(axis.weight0[x], row[axis.index0[x]], axis.weight1[x] * row[axis.index1[x]]);
  }
}
__attribute__((always_inline)) inline void CombineLoop(const float* const* rows, size_t row_count,
                                                       const float* weights, size_t count,
                                                       float* out) {
  constexpr size_t kBlock = 16;
  size_t x = 0;
  for (; x + kBlock <= count; x += kBlock) {
    float sums[kBlock];
    for (size_t k = 0; k < kBlock; ++k) sums[k] = weights[0] * rows[0][x + k];
    for (size_t t = 1; t < row_count; ++t) {
      for (size_t k = 0; k < kBlock; ++k) sums[k] += weights[t] * rows[t][x + k];
    }
    for (size_t k = 0; k < kBlock; ++k) out[x + k] = sums[k];
  }
  for (; x < count; ++x) {
    float sum = weights[0] * rows[0][x];
    for (size_t t = 1; t < row_count; ++t) sum += weights[t] * rows[t][x];
    out[x] = sum;
  }
}

void BlendPortable(const float* top, float weight0, const float* bottom, float weight1,
                   size_t count, float* out) {
  BlendLoop(top, weight0, bottom, weight1, count, out);
}
void WidenPortable(const float* row, const BilinearAxis& axis, size_t begin, size_t end,
                   float* out) {
  WidenLoop(row, axis, begin, end, out);
}
void CombinePortable(const float* const* rows, size_t row_count, const float* weights, size_t count,
                     float* out) {
  CombineLoop(rows, row_count, weights, count, out);
}
void ThresholdPortable(const float* values, size_t count, float threshold, uint64_t* bits) {
  std::fill_n(bits, (count + 63) / 64, 0);
  for (size_t x = 0; x < count; ++x) bits[x / 64] |= uint64_t{values[x] > threshold} << (x % 64);
}

#if SEMSAM_X86

SEMSAM_TARGET_AVX2 void BlendAvx2(const float* top, float weight0, const float* bottom,
                                  float weight1, size_t count, float* out) {
  BlendLoop(top, weight0, bottom, weight1, count, out);
}
SEMSAM_TARGET_AVX2 void WidenAvx2(const float* row, const BilinearAxis& axis, size_t begin,
                                  size_t end, float* out) {
  WidenLoop(row, axis, begin, end, out);
}
SEMSAM_TARGET_AVX2 void CombineAvx2(const float* const* rows, size_t row_count,
                                    const float* weights, size_t count, float* out) {
  CombineLoop(rows, row_count, weights, count, out);
}
SEMSAM_TARGET_AVX2 void ThresholdAvx2(const float* values, size_t count, float threshold,
                                      uint64_t* bits) {
  const __m256 limit = _mm256_set1_ps(threshold);
  size_t x = 0;
  for (; x + 64 <= count; x += 64) {
    uint64_t word = 0;
    for (int k = 0; k < 8; ++k) {
      const __m256 above = _mm256_cmp_ps(_mm256_loadu_ps(values + x + 8 * k), limit, _CMP_GT_OQ);
      word |= static_cast<uint64_t>(_mm256_movemask_ps(above)) << 8 * k;
    }
    bits[x / 64] = word;
  }
  if (x == count) return;
  uint64_t word = 0;
  const size_t begin = x;
  for (; x + 8 <= count; x += 8) {
    const __m256 above = _mm256_cmp_ps(_mm256_loadu_ps(values + x), limit, _CMP_GT_OQ);
    word |= static_cast<uint64_t>(_mm256_movemask_ps(above)) << (x - begin);
  }
  for (; x < count; ++x) word |= uint64_t{values[x] > threshold} << (x - begin);
  bits[begin / 64] = word;
}

#endif  // SEMSAM_X86

// Four floats in a vector register of any architecture.
typedef float Float4 __attribute__((vector_size(16)));

Float4 Load4(const float* from) {
  Float4 values;
  std::memcpy(&values, from, sizeof(values));
  return values;
}

// Element i of the result: the sum of the elements of rows[i], first to last.
Float4 TransposedSum(const Float4 rows[4]) {
  const Float4 low01 = __builtin_shufflevector(rows[0], rows[1], 0, 4, 1, 5);
  const Float4 high01 = __builtin_shufflevector(rows[0], rows[1], 2, 6, 3, 7);
  const Float4 low23 = __builtin_shufflevector(rows[2], rows[3], 0, 4, 1, 5);
  const Float4 high23 = __builtin_shufflevector(rows[2], rows[3], 2, 6, 3, 7);
  return __builtin_shufflevector(low01, low23, 0, 1, 4, 5) +
         __builtin_shufflevector(low01, low23, 2, 3, 6, 7) +
         __builtin_shufflevector(high01, high23, 0, 1, 4, 5) +
         __builtin_shufflevector(high01, high23, 2, 3, 6, 7);
}

struct Kernels {
  decltype(&BlendPortable) blend = BlendPortable;
  decltype(&WidenPortable) widen = WidenPortable;
  decltype(&CombinePortable) combine = CombinePortable;
  decltype(&ThresholdPortable) threshold = ThresholdPortable;
};

const Kernels& BestKernels() {
#if SEMSAM_X86
  static const Kernels kernels =
      CpuHasAvx2() ? Kernels{BlendAvx2, WidenAvx2, CombineAvx2, ThresholdAvx2} : Kernels{};
#else
  static const Kernels kernels;
#endif
  return kernels;
}

}  // namespace

BilinearAxis::BilinearAxis(int in, int out) : index0(out), index1(out), weight0(out), weight1(out) {
  const float scale = static_cast<float>(in) / static_cast<float>(out);
  for (int i = 0; i < out; ++i) {
    const float source = std::max(scale * (static_cast<float>(i) + 0.5f) - 0.5f, 0.0f);
    index0[i] = std::min(static_cast<int>(source), in - 1);
    index1[i] = std::min(index0[i] + 1, in - 1);
    weight1[i] = std::clamp(source - static_cast<float>(index0[i]), 0.0f, 1.0f);
    weight0[i] = 1.0f - weight1[i];
  }
}

BicubicAxis::BicubicAxis(int in, int out) : first(out), count(out) {
  const float scale = static_cast<float>(in) / static_cast<float>(out);
  const float support = scale >= 1.0f ? 2.0f * scale : 2.0f;
  const float inverse = scale >= 1.0f ? 1.0f / scale : 1.0f;
  taps = static_cast<int>(std::ceil(support)) * 2 + 1;
  weights.assign(static_cast<size_t>(out) * taps, 0.0f);
  for (int i = 0; i < out; ++i) {
    const float center = scale * (static_cast<float>(i) + 0.5f);
    const int begin = std::max(static_cast<int>(center - support + 0.5f), 0);
    const int end = std::min(static_cast<int>(center + support + 0.5f), in);
    float* const row = weights.data() + static_cast<size_t>(i) * taps;
    first[i] = begin;
    count[i] = std::clamp(end - begin, 1, taps);
    most = std::max(most, count[i]);
    float total = 0;
    for (int t = 0; t < count[i]; ++t) {
      row[t] = BicubicKernel((static_cast<float>(t + begin) - center + 0.5f) * inverse);
      total += row[t];
    }
    float below = 0;
    for (int t = 0; t < count[i]; ++t) {
      if (total != 0) row[t] /= total;
      below -= std::min(row[t], 0.0f);
    }
    negative = std::max(negative, below);
  }
}

BilinearRows::BilinearRows(LogitsView logits, ImageSize padded, int width)
    : logits_(logits),
      x_axis_(logits.size.width, padded.width),
      y_axis_(logits.size.height, padded.height),
      width_(width),
      row_(width) {
  for (WideRowCache& cache : wide_) cache.values.resize(width);
}

std::span<const float> BilinearRows::WideRow(int grid_row, int other_grid_row) {
  for (const WideRowCache& cache : wide_) {
    if (cache.grid_row == grid_row) return cache.values;
  }
  WideRowCache& cache = wide_[0].grid_row == other_grid_row ? wide_[1] : wide_[0];
  cache.grid_row = grid_row;
  WidenRow(logits_.data + static_cast<size_t>(grid_row) * logits_.size.width, x_axis_, 0, width_,
           cache.values.data());
  return cache.values;
}

std::span<const float> BilinearRows::Row(int y) {
  const int top = y_axis_.index0[y];
  const int bottom = y_axis_.index1[y];
  const std::span<const float> top_row = WideRow(top, bottom);
  const std::span<const float> bottom_row = WideRow(bottom, top);
  BlendRows(top_row.data(), y_axis_.weight0[y], bottom_row.data(), y_axis_.weight1[y], 0, width_,
            row_.data());
  return row_;
}

void WidenRow(const float* row, const BilinearAxis& axis, int begin, int end, float* out) {
  BestKernels().widen(row, axis, begin, end, out);
}

void BlendRows(const float* top, float weight0, const float* bottom, float weight1, int begin,
               int end, float* out) {
  BestKernels().blend(top + begin, weight0, bottom + begin, weight1, end - begin, out + begin);
}

void ResizeRow(const float* in, const BicubicAxis& axis, int begin, int end, float* out) {
  int x = begin;
  // Making larger takes four taps: four outputs at a time, by transposing their
  // products.
  for (; axis.most <= 4 && x + 4 <= end; x += 4) {
    Float4 products[4];
    for (int i = 0; i < 4; ++i) {
      products[i] = Load4(in + axis.first[x + i]) *
                    Load4(axis.weights.data() + static_cast<size_t>(x + i) * axis.taps);
    }
    const Float4 sum = TransposedSum(products);
    std::memcpy(out + x, &sum, sizeof(sum));
  }
  for (; x < end; ++x) {
    const float* weights = axis.weights.data() + static_cast<size_t>(x) * axis.taps;
    const float* from = in + axis.first[x];
    float sum = weights[0] * from[0];
    for (int t = 1; t < axis.count[x]; ++t) sum += weights[t] * from[t];
    out[x] = sum;
  }
}

void CombineRows(std::span<const float* const> rows, const float* weights, size_t count,
                 float* out) {
  BestKernels().combine(rows.data(), rows.size(), weights, count, out);
}

void ThresholdRow(std::span<const float> values, float threshold, uint64_t* bits) {
  BestKernels().threshold(values.data(), values.size(), threshold, bits);
}

}  // namespace semsam
