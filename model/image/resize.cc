#include "model/image/resize.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "absl/strings/str_cat.h"
#include "model/base/errors.h"
#include "model/image/cpu_features.h"
#include "model/image/undecodable.h"

#if SEMSAM_X86
#include <immintrin.h>
#endif

namespace semsam {
namespace {

// PIL's fixed point: weights of 22 fractional bits, sums in 32 bits.
constexpr int kWeightBits = 22;
constexpr int32_t kHalf = 1 << (kWeightBits - 1);
// The vector loop multiplies 16-bit numbers: a weight is high * 2^11 + low.
constexpr int kLowBits = 11;
constexpr int kTapGroup = 4;  // taps that the vector loop takes at once
constexpr int kRowGroup = 4;  // rows that share the loads of the weights
// Bytes that the vector loop may read beyond the last pixel it needs.
constexpr size_t kOverread = 3 * kTapGroup + 16;

double BicubicKernel(double x) {
  constexpr double a = -0.5;
  x = std::fabs(x);
  if (x < 1.0) return ((a + 2.0) * x - (a + 3.0)) * x * x + 1;
  if (x < 2.0) return (((x - 5) * x + 8) * x - 4) * a;
  return 0.0;
}

// Weights of one axis: output i is the sum over t of weights[i * taps + t] times
// input first[i] + t. Unused taps weigh 0.
struct AxisWeights {
  int taps = 0;  // a multiple of kTapGroup
  std::vector<int> first;
  std::vector<int> used;         // taps of output i that lie inside the input
  std::vector<int32_t> weights;  // [out, taps]
};

AxisWeights MakeWeights(int in, int out) {
  const double scale = static_cast<double>(in) / out;
  const double filter_scale = std::max(scale, 1.0);
  const double support = 2.0 * filter_scale;
  const double inverse = 1.0 / filter_scale;
  AxisWeights axis;
  const int most = static_cast<int>(std::ceil(support)) * 2 + 1;
  axis.taps = (most + kTapGroup - 1) / kTapGroup * kTapGroup;
  axis.first.resize(out);
  axis.used.resize(out);
  axis.weights.assign(static_cast<size_t>(out) * axis.taps, 0);
  std::vector<double> exact(most);
  for (int i = 0; i < out; ++i) {
    const double center = (i + 0.5) * scale;
    const int begin = std::max(static_cast<int>(center - support + 0.5), 0);
    const int end = std::min(static_cast<int>(center + support + 0.5), in);
    double total = 0;
    for (int t = 0; t < end - begin; ++t) {
      exact[t] = BicubicKernel((t + begin - center + 0.5) * inverse);
      total += exact[t];
    }
    axis.first[i] = begin;
    axis.used[i] = end - begin;
    for (int t = 0; t < end - begin; ++t) {
      const double weight = (total != 0 ? exact[t] / total : exact[t]) * (1 << kWeightBits);
      axis.weights[static_cast<size_t>(i) * axis.taps + t] =
          static_cast<int32_t>(weight + (weight < 0 ? -0.5 : 0.5));
    }
  }
  return axis;
}

uint8_t Clip8(int32_t sum) { return static_cast<uint8_t>(std::clamp(sum >> kWeightBits, 0, 255)); }

// One row of pixels to out pixels.
void ResizeRow(const uint8_t* from, const AxisWeights& axis, uint8_t* to) {
  for (size_t i = 0; i < axis.first.size(); ++i) {
    const int32_t* weights = axis.weights.data() + i * axis.taps;
    const uint8_t* pixel = from + size_t{3} * axis.first[i];
    int32_t red = kHalf, green = kHalf, blue = kHalf;
    for (int t = 0; t < axis.used[i]; ++t, pixel += 3) {
      red += weights[t] * pixel[0];
      green += weights[t] * pixel[1];
      blue += weights[t] * pixel[2];
    }
    to[3 * i] = Clip8(red);
    to[3 * i + 1] = Clip8(green);
    to[3 * i + 2] = Clip8(blue);
  }
}

// out[x] = sum over t of weights[t] * rows[t][x].
__attribute__((always_inline)) inline void CombineRowsLoop(const uint8_t* rows, size_t row_bytes,
                                                           const int32_t* weights, int taps,
                                                           uint8_t* out) {
  constexpr size_t kBlock = 64;
  size_t x = 0;
  for (; x + kBlock <= row_bytes; x += kBlock) {
    int32_t sums[kBlock];
    for (size_t k = 0; k < kBlock; ++k) sums[k] = kHalf;
    for (int t = 0; t < taps; ++t) {
      const uint8_t* row = rows + t * row_bytes + x;
      for (size_t k = 0; k < kBlock; ++k) sums[k] += weights[t] * row[k];
    }
    for (size_t k = 0; k < kBlock; ++k) out[x + k] = Clip8(sums[k]);
  }
  for (; x < row_bytes; ++x) {
    int32_t sum = kHalf;
    for (int t = 0; t < taps; ++t) sum += weights[t] * rows[t * row_bytes + x];
    out[x] = Clip8(sum);
  }
}

void CombineRowsPortable(const uint8_t* rows, size_t row_bytes, const int32_t* weights, int taps,
                         uint8_t* out) {
  CombineRowsLoop(rows, row_bytes, weights, taps, out);
}

#if SEMSAM_X86

SEMSAM_TARGET_AVX2 void CombineRowsAvx2(const uint8_t* rows, size_t row_bytes,
                                        const int32_t* weights, int taps, uint8_t* out) {
  CombineRowsLoop(rows, row_bytes, weights, taps, out);
}

// The weights of four taps as pairs of 16-bit numbers: high 01, high 23, low 01,
// low 23.
std::vector<std::array<int16_t, 8>> SplitWeights(const AxisWeights& axis) {
  std::vector<std::array<int16_t, 8>> split(axis.weights.size() / kTapGroup);
  for (size_t i = 0; i < axis.weights.size(); ++i) {
    const int32_t high = axis.weights[i] >> kLowBits;
    const int32_t low = axis.weights[i] - high * (1 << kLowBits);
    split[i / kTapGroup][i % kTapGroup] = static_cast<int16_t>(high);
    split[i / kTapGroup][kTapGroup + i % kTapGroup] = static_cast<int16_t>(low);
  }
  return split;
}

// kRowGroup rows at once; every row may be read kOverread bytes beyond its end.
// A lane of 128 bits holds two taps as 16-bit pairs, R0 R1 G0 G1 B0 B1 - -, so
// that one multiply-add weighs and sums both.
SEMSAM_TARGET_AVX2 void ResizeRowsAvx2(const uint8_t* const* from, const AxisWeights& axis,
                                       const std::array<int16_t, 8>* split, uint8_t* const* to) {
  const __m256i pairs =
      _mm256_setr_epi8(0, -1, 3, -1, 1, -1, 4, -1, 2, -1, 5, -1, -1, -1, -1, -1, 6, -1, 9, -1, 7,
                       -1, 10, -1, 8, -1, 11, -1, -1, -1, -1, -1);
  const __m256i high_lanes = _mm256_setr_epi32(0, 0, 0, 0, 1, 1, 1, 1);
  const __m256i low_lanes = _mm256_setr_epi32(2, 2, 2, 2, 3, 3, 3, 3);
  const int groups = axis.taps / kTapGroup;
  for (size_t i = 0; i < axis.first.size(); ++i) {
    __m256i high_sums[kRowGroup];
    __m256i low_sums[kRowGroup];
    for (int r = 0; r < kRowGroup; ++r) high_sums[r] = low_sums[r] = _mm256_setzero_si256();
    const size_t offset = size_t{3} * axis.first[i];
    const int used_groups = (axis.used[i] + kTapGroup - 1) / kTapGroup;
    for (int g = 0; g < used_groups; ++g) {
      const __m256i weights = _mm256_castsi128_si256(
          _mm_loadu_si128(reinterpret_cast<const __m128i*>(split + i * groups + g)));
      const __m256i high = _mm256_permutevar8x32_epi32(weights, high_lanes);
      const __m256i low = _mm256_permutevar8x32_epi32(weights, low_lanes);
      for (int r = 0; r < kRowGroup; ++r) {
        const __m256i bytes = _mm256_broadcastsi128_si256(_mm_loadu_si128(
            reinterpret_cast<const __m128i*>(from[r] + offset + 3 * kTapGroup * g)));
        const __m256i taps = _mm256_shuffle_epi8(bytes, pairs);
        high_sums[r] = _mm256_add_epi32(high_sums[r], _mm256_madd_epi16(taps, high));
        low_sums[r] = _mm256_add_epi32(low_sums[r], _mm256_madd_epi16(taps, low));
      }
    }
    for (int r = 0; r < kRowGroup; ++r) {
      const __m256i both = _mm256_add_epi32(_mm256_slli_epi32(high_sums[r], kLowBits), low_sums[r]);
      __m128i sum = _mm_add_epi32(_mm256_castsi256_si128(both), _mm256_extracti128_si256(both, 1));
      sum = _mm_srai_epi32(_mm_add_epi32(sum, _mm_set1_epi32(kHalf)), kWeightBits);
      sum = _mm_packs_epi32(sum, sum);
      const int32_t rgb = _mm_cvtsi128_si32(_mm_packus_epi16(sum, sum));
      std::memcpy(to[r] + 3 * i, &rgb, 3);
    }
  }
}

void ResizeAllRowsAvx2(const Rgb8Image& image, const AxisWeights& axis, Rgb8Image& out) {
  const std::vector<std::array<int16_t, 8>> split = SplitWeights(axis);
  const size_t in_bytes = size_t{3} * image.size.width;
  const size_t out_bytes = size_t{3} * out.size.width;
  // Rows too near the end of the buffer are read from a copy with room behind it.
  const uint8_t* const safe_end =
      image.pixels.data() + image.pixels.size() - std::min(image.pixels.size(), kOverread);
  std::vector<uint8_t> copies(kRowGroup * (in_bytes + kOverread));
  std::vector<uint8_t> spill(out_bytes);
  for (int y = 0; y < image.size.height; y += kRowGroup) {
    const uint8_t* from[kRowGroup];
    uint8_t* to[kRowGroup];
    for (int r = 0; r < kRowGroup; ++r) {
      const bool inside = y + r < image.size.height;
      from[r] = image.row(inside ? y + r : y);
      to[r] = inside ? out.pixels.data() + (y + r) * out_bytes : spill.data();
      if (from[r] + in_bytes > safe_end) {
        uint8_t* copy = copies.data() + r * (in_bytes + kOverread);
        std::memcpy(copy, from[r], in_bytes);
        from[r] = copy;
      }
    }
    ResizeRowsAvx2(from, axis, split.data(), to);
  }
}

#endif  // SEMSAM_X86

Rgb8Image ResizeWidth(const Rgb8Image& image, int width) {
  const AxisWeights axis = MakeWeights(image.size.width, width);
  Rgb8Image out;
  out.size = {.height = image.size.height, .width = width};
  out.pixels.resize(static_cast<size_t>(out.size.area()) * 3);
#if SEMSAM_X86
  if (CpuHasAvx2()) {
    ResizeAllRowsAvx2(image, axis, out);
    return out;
  }
#endif
  for (int y = 0; y < image.size.height; ++y) {
    ResizeRow(image.row(y), axis, out.pixels.data() + size_t{3} * y * width);
  }
  return out;
}

Rgb8Image ResizeHeight(const Rgb8Image& image, int height) {
  const AxisWeights axis = MakeWeights(image.size.height, height);
  Rgb8Image out;
  out.size = {.height = height, .width = image.size.width};
  out.pixels.resize(static_cast<size_t>(out.size.area()) * 3);
  const size_t row_bytes = size_t{3} * image.size.width;
  auto* combine = CombineRowsPortable;
#if SEMSAM_X86
  if (CpuHasAvx2()) combine = CombineRowsAvx2;
#endif
  for (int y = 0; y < height; ++y) {
    combine(image.row(axis.first[y]), row_bytes,
            axis.weights.data() + static_cast<size_t>(y) * axis.taps, axis.used[y],
            out.pixels.data() + y * row_bytes);
  }
  return out;
}

}  // namespace

ImageSize NetworkSize(ImageSize original, int short_edge_px) {
  const int short_side = std::min(original.height, original.width);
  const int long_side = std::max(original.height, original.width);
  const int64_t exact = int64_t{short_edge_px} * long_side / short_side;
  const int scaled = static_cast<int>(std::min<int64_t>(exact, std::numeric_limits<int>::max()));
  return original.width < original.height ? ImageSize{.height = scaled, .width = short_edge_px}
                                          : ImageSize{.height = short_edge_px, .width = scaled};
}

absl::StatusOr<ImageSize> CheckedNetworkSize(ImageSize original, int short_edge_px,
                                             int64_t max_pixels) {
  const ImageSize network = NetworkSize(original, short_edge_px);
  if (network.area() > max_pixels) {
    return ImageTooLarge(absl::StrCat("an image of ", original.width, " x ", original.height,
                                      " pixels is too long and thin: the model would see ",
                                      network.width, " x ", network.height));
  }
  return network;
}

Rgb8Image ResizeBicubic(const Rgb8Image& image, ImageSize size) {
  // As PIL does, an axis that keeps its length is left alone.
  if (image.size.width == size.width) {
    return image.size.height == size.height ? image : ResizeHeight(image, size.height);
  }
  Rgb8Image wide = ResizeWidth(image, size.width);
  return wide.size.height == size.height ? wide : ResizeHeight(wide, size.height);
}

}  // namespace semsam
