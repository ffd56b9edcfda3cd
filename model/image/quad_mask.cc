#include "model/image/quad_mask.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <vector>

#include "model/image/cpu_features.h"
#include "model/image/run_lengths.h"
#include "model/image/upsample.h"

#if SEMSAM_X86
#include <immintrin.h>
#endif

namespace semsam {
namespace {

// Cell k of an axis spans output pixels 4k - 2 to 4k + 1, between grid points k - 1
// and k; the first and the last are half outside. All four pixels read the same two
// grid points.
struct CellAxis {
  int cells;
  std::vector<int> index0;
  std::vector<int> index1;
  std::vector<float> weight0;  // [cells, 4]; 0 outside the output
  std::vector<float> weight1;

  explicit CellAxis(int grid)
      : cells(grid + 1), index0(cells), index1(cells), weight0(4 * cells), weight1(4 * cells) {
    const BilinearAxis axis(grid, 4 * grid);
    for (int k = 0; k < cells; ++k) {
      const int inside = std::max(4 * k - 2, 0);
      index0[k] = axis.index0[inside];
      index1[k] = axis.index1[inside];
      for (int i = 0; i < 4; ++i) {
        const int pixel = 4 * k - 2 + i;
        if (pixel < 0 || pixel >= 4 * grid) continue;
        weight0[4 * k + i] = axis.weight0[pixel];
        weight1[4 * k + i] = axis.weight1[pixel];
      }
    }
  }
};

// Nibble-wise copies: bit i of a byte becomes bits 4i to 4i + 3.
constexpr std::array<uint32_t, 256> kQuadruple = [] {
  std::array<uint32_t, 256> table{};
  for (uint32_t byte = 0; byte < 256; ++byte) {
    for (int bit = 0; bit < 8; ++bit) {
      if (byte >> bit & 1) table[byte] |= 0xFu << 4 * bit;
    }
  }
  return table;
}();

// The two grid rows of a row of cells and the weights of its four output rows.
struct CellRow {
  const float* top;
  const float* bottom;
  const float* weight0;  // [4]
  const float* weight1;  // [4]
};

// ORs the exact answer of every cell in `mixed` into the four output rows, whose
// bits are 4 a cell.
void InterpolatePortable(const CellRow& row, const CellAxis& axis, float threshold,
                         std::span<const uint64_t> mixed, uint64_t* const* out) {
  for (size_t word = 0; word < mixed.size(); ++word) {
    for (uint64_t left = mixed[word]; left != 0; left &= left - 1) {
      const size_t k = word * 64 + std::countr_zero(left);
      const int c0 = axis.index0[k];
      const int c1 = axis.index1[k];
      for (int i = 0; i < 4; ++i) {
        const float w0 = axis.weight0[4 * k + i];
        const float w1 = axis.weight1[4 * k + i];
        const float top = std::fmaf(w0, row.top[c0], w1 * row.top[c1]);
        const float bottom = std::fmaf(w0, row.bottom[c0], w1 * row.bottom[c1]);
        for (int q = 0; q < 4; ++q) {
          const float value = std::fmaf(row.weight0[q], top, row.weight1[q] * bottom);
          out[q][k / 16] |= uint64_t{value > threshold} << (4 * (k % 16) + i);
        }
      }
    }
  }
}

#if SEMSAM_X86

SEMSAM_TARGET_AVX2 void InterpolateAvx2(const CellRow& row, const CellAxis& axis, float threshold,
                                        std::span<const uint64_t> mixed, uint64_t* const* out) {
  const __m256 limit = _mm256_set1_ps(threshold);
  __m256 h0[2];
  __m256 h1[2];
  for (int half = 0; half < 2; ++half) {
    h0[half] =
        _mm256_set_m128(_mm_set1_ps(row.weight0[2 * half + 1]), _mm_set1_ps(row.weight0[2 * half]));
    h1[half] =
        _mm256_set_m128(_mm_set1_ps(row.weight1[2 * half + 1]), _mm_set1_ps(row.weight1[2 * half]));
  }
  for (size_t word = 0; word < mixed.size(); ++word) {
    for (uint64_t left = mixed[word]; left != 0; left &= left - 1) {
      const size_t k = word * 64 + std::countr_zero(left);
      const int c0 = axis.index0[k];
      const int c1 = axis.index1[k];
      const __m128 w0 = _mm_loadu_ps(axis.weight0.data() + 4 * k);
      const __m128 w1 = _mm_loadu_ps(axis.weight1.data() + 4 * k);
      const __m128 top =
          _mm_fmadd_ps(w0, _mm_set1_ps(row.top[c0]), _mm_mul_ps(w1, _mm_set1_ps(row.top[c1])));
      const __m128 bottom = _mm_fmadd_ps(w0, _mm_set1_ps(row.bottom[c0]),
                                         _mm_mul_ps(w1, _mm_set1_ps(row.bottom[c1])));
      const __m256 tops = _mm256_set_m128(top, top);
      const __m256 bottoms = _mm256_set_m128(bottom, bottom);
      const int shift = 4 * (k % 16);
      for (int half = 0; half < 2; ++half) {
        const __m256 value = _mm256_fmadd_ps(h0[half], tops, _mm256_mul_ps(h1[half], bottoms));
        const uint64_t bits = _mm256_movemask_ps(_mm256_cmp_ps(value, limit, _CMP_GT_OQ));
        out[2 * half][k / 16] |= (bits & 0xF) << shift;
        out[2 * half + 1][k / 16] |= (bits >> 4) << shift;
      }
    }
  }
}

#endif  // SEMSAM_X86

// What a grid row says of its cells: are both corners surely above the threshold,
// is any corner not surely below it.
class CornerBits {
 public:
  CornerBits(int grid_width, float threshold)
      : width_(grid_width),
        points_(RowWords(grid_width + 1)),
        above_(points_.size()),
        not_below_(points_.size()) {
    // Wide enough for the rounding of four products and three sums.
    const float margin = std::max(std::fabs(threshold) * 1e-6f, 1e-30f);
    high_ = threshold + margin;
    low_ = threshold - margin;
  }

  void Read(const float* row) {
    ThresholdRow({row, static_cast<size_t>(width_)}, high_, points_.data());
    Pair(above_, [](uint64_t left, uint64_t right) { return left & right; });
    ThresholdRow({row, static_cast<size_t>(width_)}, low_, points_.data());
    Pair(not_below_, [](uint64_t left, uint64_t right) { return left | right; });
  }

  const std::vector<uint64_t>& above() const { return above_; }
  const std::vector<uint64_t>& not_below() const { return not_below_; }

 private:
  bool Point(int index) const { return points_[index / 64] >> (index % 64) & 1; }

  // Bit k of `out` joins points k - 1 and k, repeated at the edges.
  template <typename Join>
  void Pair(std::vector<uint64_t>& out, Join join) {
    uint64_t carry = Point(0);
    const uint64_t last = Point(width_ - 1);
    // The word of cell `width_` was not written where it starts a word of its own.
    if (width_ % 64 == 0) points_.back() = 0;
    points_[width_ / 64] |= last << (width_ % 64);
    for (size_t word = 0; word < points_.size(); ++word) {
      const uint64_t left = points_[word] << 1 | carry;
      carry = points_[word] >> 63;
      out[word] = join(left, points_[word]);
    }
    // `left` put the last point one too far.
    const int used = (width_ + 1) % 64;
    if (used != 0) out.back() &= (uint64_t{1} << used) - 1;
  }

  int width_;
  float high_;
  float low_;
  std::vector<uint64_t> points_;
  std::vector<uint64_t> above_;
  std::vector<uint64_t> not_below_;
};

// Drops the two bits that lie left of the image and what lies right of it.
void CutRow(std::span<const uint64_t> wide, int width, std::span<uint64_t> row) {
  for (size_t word = 0; word < row.size(); ++word) {
    const uint64_t next = word + 1 < wide.size() ? wide[word + 1] : 0;
    row[word] = wide[word] >> 2 | next << 62;
  }
  if (width % 64 != 0) row.back() &= (uint64_t{1} << (width % 64)) - 1;
}

}  // namespace

void ForEachQuadMaskRow(LogitsView logits, ImageSize size, float threshold,
                        const MaskRowSink& sink) {
  auto* interpolate = InterpolatePortable;
#if SEMSAM_X86
  if (CpuHasAvx2()) interpolate = InterpolateAvx2;
#endif
  const CellAxis x_axis(logits.size.width);
  const CellAxis y_axis(logits.size.height);
  CornerBits corners[2] = {{logits.size.width, threshold}, {logits.size.width, threshold}};
  const size_t cell_words = RowWords(x_axis.cells);
  const size_t wide_words = RowWords(4 * x_axis.cells);
  std::vector<uint64_t> mixed(cell_words);
  std::vector<uint64_t> wide[4];
  uint64_t* wide_rows[4];
  for (int q = 0; q < 4; ++q) {
    wide[q].resize(4 * cell_words);
    wide_rows[q] = wide[q].data();
  }
  std::vector<uint64_t> row(RowWords(size.width));

  const auto grid_row = [&](int g) { return logits.data + size_t(g) * logits.size.width; };
  for (int k = 0; k < y_axis.cells && 4 * k - 2 < size.height; ++k) {
    const CornerBits& top = corners[(k + 1) % 2];
    CornerBits& bottom = corners[k % 2];
    if (k < logits.size.height) bottom.Read(grid_row(k));
    // The first row of cells has grid row 0 on both sides, the last one the last.
    const CornerBits& upper = k == 0 ? bottom : top;
    const CornerBits& lower = k < logits.size.height ? bottom : top;
    for (size_t word = 0; word < cell_words; ++word) {
      const uint64_t above = upper.above()[word] & lower.above()[word];
      mixed[word] = (upper.not_below()[word] | lower.not_below()[word]) & ~above;
      for (int part = 0; part < 4; ++part) {
        const uint32_t low = kQuadruple[above >> 16 * part & 0xFF];
        const uint64_t high = kQuadruple[above >> (16 * part + 8) & 0xFF];
        for (auto& out : wide) out[4 * word + part] = high << 32 | low;
      }
    }
    const CellRow cells{.top = grid_row(y_axis.index0[k]),
                        .bottom = grid_row(y_axis.index1[k]),
                        .weight0 = y_axis.weight0.data() + 4 * k,
                        .weight1 = y_axis.weight1.data() + 4 * k};
    interpolate(cells, x_axis, threshold, mixed, wide_rows);
    for (int q = 0; q < 4; ++q) {
      const int y = 4 * k - 2 + q;
      if (y < 0 || y >= size.height) continue;
      CutRow({wide[q].data(), wide_words}, size.width, row);
      sink(y, row);
    }
  }
}

}  // namespace semsam
