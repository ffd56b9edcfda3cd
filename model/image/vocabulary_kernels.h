// The inner loops of vocabulary inference, vectorised where the processor allows.
//
// Thread-safe: free functions without state.
#ifndef SEMSAM_MODEL_IMAGE_VOCABULARY_KERNELS_H_
#define SEMSAM_MODEL_IMAGE_VOCABULARY_KERNELS_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace semsam {

// values[i] = 1 / (1 + e^-values[i]), to about 2 ulp; infinities give 0 and 1.
void Sigmoid(std::span<float> values);

// The best query of each pixel so far, and whether its own mask holds the pixel.
struct Winners {
  std::vector<float> score;     // starts below every score: -1
  std::vector<int32_t> winner;  // 2 * query + (1 where its sigmoid is at least .5)
};

// Puts `query` in where `weight` * sigmoid(logits) is above the score there.
// Returns how many of the pixels have a sigmoid of at least .5.
int64_t Compete(std::span<const float> logits, float weight, int32_t query, Winners& winners);

// Sum of sigmoid(logit) over the logits above 0, and bit i of `bits` for each of
// them; bits beyond the end are 0.
double SumInside(std::span<const float> logits, uint64_t* bits);

// Columns that WeightedSums takes at once, and rows that it gives.
inline constexpr size_t kSumColumns = 16;
inline constexpr size_t kSumRows = 6;

// sums[r, x] = sum over k < depth of weights[k * kSumRows + r] * columns[k * kSumColumns +
// x], in that order: a sum depends on its own weights and column alone.
// sums [kSumRows, kSumColumns].
void WeightedSums(const float* weights, const float* columns, size_t depth, float* sums);

// sums[i] += values[i] * scale, sums.size() values.
void AddScaled(const float* values, float scale, std::span<float> sums);

// sums[i] += the larger of d * low and d * high, d = values[i] - base; low is at
// most high.
void AddAdvantages(const float* values, float base, float low, float high, std::span<float> sums);

}  // namespace semsam

#endif  // SEMSAM_MODEL_IMAGE_VOCABULARY_KERNELS_H_
