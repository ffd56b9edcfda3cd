#include "model/image/vocabulary_kernels.h"

#include <bit>

#include "model/image/cpu_features.h"
#include "model/image/upsample.h"

#if SEMSAM_X86
#include <immintrin.h>
#endif

namespace semsam {
namespace {

// The loops are written once and compiled twice, in forms that compilers vectorise.
#define SEMSAM_INLINE __attribute__((always_inline)) inline

// 1 / (1 + e^-x) from e^-|x|, which cannot overflow.
SEMSAM_INLINE float SigmoidOf(float x) {
  const float y = x < 0 ? x : -x;
  const float bounded = y < -87.0f ? -87.0f : y;
  // 1.5 * 2^23: adding it rounds to the nearest integer and leaves that integer in
  // the low mantissa bits.
  const float shifted = bounded * 1.44269504088896341f + 12582912.0f;
  const float n = shifted - 12582912.0f;
  float r = bounded - n * 0.693359375f;
  r = r - n * -2.12194440e-4f;
  float p = 1.9875691500e-4f;
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * (r * r) + r + 1.0f;
  const float power = std::bit_cast<float>(
      std::bit_cast<int32_t>(p) + static_cast<int32_t>(std::bit_cast<uint32_t>(shifted) << 23));
  const float e = y < -87.0f ? 0.0f : power;
  return (x < 0 ? e : 1.0f) / (1.0f + e);
}

SEMSAM_INLINE void SigmoidLoop(float* values, size_t count) {
  for (size_t i = 0; i < count; ++i) values[i] = SigmoidOf(values[i]);
}

SEMSAM_INLINE int32_t CompeteLoop(const float* logits, size_t count, float weight, int32_t query,
                                  float* score, int32_t* winner) {
  int32_t inside_count = 0;
  for (size_t i = 0; i < count; ++i) {
    const float value = SigmoidOf(logits[i]);
    const int32_t inside = value >= 0.5f ? 1 : 0;
    const float mine = weight * value;
    const bool wins = mine > score[i];
    score[i] = wins ? mine : score[i];
    winner[i] = wins ? 2 * query + inside : winner[i];
    inside_count += inside;
  }
  return inside_count;
}

SEMSAM_INLINE double SumInsideLoop(const float* logits, size_t count) {
  constexpr size_t kLanes = 16;
  float sums[kLanes] = {};
  size_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    for (size_t k = 0; k < kLanes; ++k) {
      const float value = SigmoidOf(logits[i + k]);
      sums[k] += logits[i + k] > 0 ? value : 0.0f;
    }
  }
  for (; i < count; ++i) sums[i % kLanes] += logits[i] > 0 ? SigmoidOf(logits[i]) : 0.0f;
  double total = 0;
  for (const float sum : sums) total += sum;
  return total;
}

SEMSAM_INLINE void AddScaledLoop(const float* values, float scale, float* sums, size_t count) {
  for (size_t i = 0; i < count; ++i) sums[i] += values[i] * scale;
}

SEMSAM_INLINE void AddAdvantagesLoop(const float* values, float base, float low, float high,
                                     float* sums, size_t count) {
  for (size_t i = 0; i < count; ++i) {
    const float difference = values[i] - base;
    sums[i] += difference * (difference > 0 ? high : low);
  }
}

void SigmoidPortable(float* values, size_t count) { SigmoidLoop(values, count); }
int32_t CompetePortable(const float* logits, size_t count, float weight, int32_t query,
                        float* score, int32_t* winner) {
  return CompeteLoop(logits, count, weight, query, score, winner);
}
double SumInsidePortable(const float* logits, size_t count) { return SumInsideLoop(logits, count); }
void AddScaledPortable(const float* values, float scale, float* sums, size_t count) {
  AddScaledLoop(values, scale, sums, count);
}
void AddAdvantagesPortable(const float* values, float base, float low, float high, float* sums,
                           size_t count) {
  AddAdvantagesLoop(values, base, low, high, sums, count);
}
void WeightedSumsPortable(const float* weights, const float* columns, size_t depth, float* sums) {
  float acc[kSumRows][kSumColumns] = {};
  for (size_t k = 0; k < depth; ++k, weights += kSumRows, columns += kSumColumns) {
    for (size_t r = 0; r < kSumRows; ++r) {
      for (size_t x = 0; x < kSumColumns; ++x) acc[r][x] += weights[r] * columns[x];
    }
  }
  for (size_t r = 0; r < kSumRows; ++r) {
    for (size_t x = 0; x < kSumColumns; ++x) sums[r * kSumColumns + x] = acc[r][x];
  }
}

#if SEMSAM_X86

SEMSAM_TARGET_AVX2 void SigmoidAvx2(float* values, size_t count) { SigmoidLoop(values, count); }
SEMSAM_TARGET_AVX2 int32_t CompeteAvx2(const float* logits, size_t count, float weight,
                                       int32_t query, float* score, int32_t* winner) {
  return CompeteLoop(logits, count, weight, query, score, winner);
}
SEMSAM_TARGET_AVX2 double SumInsideAvx2(const float* logits, size_t count) {
  return SumInsideLoop(logits, count);
}
SEMSAM_TARGET_AVX2 void AddScaledAvx2(const float* values, float scale, float* sums, size_t count) {
  AddScaledLoop(values, scale, sums, count);
}
SEMSAM_TARGET_AVX2 void AddAdvantagesAvx2(const float* values, float base, float low, float high,
                                          float* sums, size_t count) {
  AddAdvantagesLoop(values, base, low, high, sums, count);
}
SEMSAM_TARGET_AVX2 void WeightedSumsAvx2(const float* weights, const float* columns, size_t depth,
                                         float* sums) {
  __m256 acc[kSumRows][2];
  for (auto& row : acc) row[0] = row[1] = _mm256_setzero_ps();
  for (size_t k = 0; k < depth; ++k, weights += kSumRows, columns += kSumColumns) {
    const __m256 left = _mm256_loadu_ps(columns);
    const __m256 right = _mm256_loadu_ps(columns + 8);
    for (size_t r = 0; r < kSumRows; ++r) {
      const __m256 weight = _mm256_broadcast_ss(weights + r);
      acc[r][0] = _mm256_fmadd_ps(weight, left, acc[r][0]);
      acc[r][1] = _mm256_fmadd_ps(weight, right, acc[r][1]);
    }
  }
  for (size_t r = 0; r < kSumRows; ++r) {
    _mm256_storeu_ps(sums + r * kSumColumns, acc[r][0]);
    _mm256_storeu_ps(sums + r * kSumColumns + 8, acc[r][1]);
  }
}

#endif  // SEMSAM_X86

struct Kernels {
  decltype(&SigmoidPortable) sigmoid = SigmoidPortable;
  decltype(&CompetePortable) compete = CompetePortable;
  decltype(&SumInsidePortable) sum_inside = SumInsidePortable;
  decltype(&AddScaledPortable) add_scaled = AddScaledPortable;
  decltype(&AddAdvantagesPortable) add_advantages = AddAdvantagesPortable;
  decltype(&WeightedSumsPortable) weighted_sums = WeightedSumsPortable;
};

const Kernels& BestKernels() {
#if SEMSAM_X86
  static const Kernels kernels = CpuHasAvx2()
                                     ? Kernels{SigmoidAvx2,   CompeteAvx2,       SumInsideAvx2,
                                               AddScaledAvx2, AddAdvantagesAvx2, WeightedSumsAvx2}
                                     : Kernels{};
#else
  static const Kernels kernels;
#endif
  return kernels;
}

}  // namespace

void Sigmoid(std::span<float> values) { BestKernels().sigmoid(values.data(), values.size()); }

int64_t Compete(std::span<const float> logits, float weight, int32_t query, Winners& winners) {
  return BestKernels().compete(logits.data(), logits.size(), weight, query, winners.score.data(),
                               winners.winner.data());
}

double SumInside(std::span<const float> logits, uint64_t* bits) {
  ThresholdRow(logits, 0.0f, bits);
  return BestKernels().sum_inside(logits.data(), logits.size());
}

void AddScaled(const float* values, float scale, std::span<float> sums) {
  BestKernels().add_scaled(values, scale, sums.data(), sums.size());
}

void AddAdvantages(const float* values, float base, float low, float high, std::span<float> sums) {
  BestKernels().add_advantages(values, base, low, high, sums.data(), sums.size());
}

void WeightedSums(const float* weights, const float* columns, size_t depth, float* sums) {
  BestKernels().weighted_sums(weights, columns, depth, sums);
}

}  // namespace semsam
