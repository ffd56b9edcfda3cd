// Row by row resampling of a float map, with PyTorch's float arithmetic: what the
// mask tail is made of.
#ifndef SEMSAM_MODEL_IMAGE_UPSAMPLE_H_
#define SEMSAM_MODEL_IMAGE_UPSAMPLE_H_

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "model/base/types.h"

namespace semsam {

// interpolate(mode='bilinear', align_corners=False) of one axis: output i is
// weight0[i] * in[index0[i]] + weight1[i] * in[index1[i]].
struct BilinearAxis {
  std::vector<int> index0;
  std::vector<int> index1;
  std::vector<float> weight0;
  std::vector<float> weight1;

  BilinearAxis(int in, int out);
};

// interpolate(mode='bicubic', antialias=True, align_corners=False) of one axis
// (a = -0.5): output i is the sum over t < count[i] of weights[i * taps + t] *
// in[first[i] + t].
struct BicubicAxis {
  int taps = 0;
  std::vector<int> first;
  std::vector<int> count;
  std::vector<float> weights;  // [out, taps]
  // Values that ResizeRow may read (and ignores) beyond the end of its input.
  static constexpr int kOverread = 4;
  int most = 0;  // of count
  // Largest sum of the negative weights of an output, as a positive number.
  float negative = 0;

  BicubicAxis(int in, int out);
};

// Rows of a bilinear upsampling from `logits` to `padded`, cut to `width` columns,
// in any order, cheapest from top to bottom. The rounding is that of PyTorch's CPU
// kernel: fma(h0, fma(w0, a, w1 * b), h1 * fma(w0, c, w1 * d)).
class BilinearRows {
 public:
  // `logits` must outlive this.
  BilinearRows(LogitsView logits, ImageSize padded, int width);

  // Row y, valid until the next call.
  std::span<const float> Row(int y);

  const BilinearAxis& x_axis() const { return x_axis_; }
  const BilinearAxis& y_axis() const { return y_axis_; }

 private:
  std::span<const float> WideRow(int grid_row, int other_grid_row);

  LogitsView logits_;
  BilinearAxis x_axis_;
  BilinearAxis y_axis_;
  int width_;
  // Two grid rows, interpolated along x.
  struct WideRowCache {
    int grid_row = -1;
    std::vector<float> values;
  };
  std::array<WideRowCache, 2> wide_;
  std::vector<float> row_;
};

// out[x] for x in [begin, end): a grid row interpolated along x.
void WidenRow(const float* row, const BilinearAxis& axis, int begin, int end, float* out);

// out[x] = fma(weight0, top[x], weight1 * bottom[x]) for x in [begin, end).
void BlendRows(const float* top, float weight0, const float* bottom, float weight1, int begin,
               int end, float* out);

// out[x] for x in [begin, end), resized by `axis`. `in` can be read
// BicubicAxis::kOverread values beyond its end, where it is finite.
void ResizeRow(const float* in, const BicubicAxis& axis, int begin, int end, float* out);

// out[x] = sum over t of weights[t] * rows[t][x], in that order.
void CombineRows(std::span<const float* const> rows, const float* weights, size_t count,
                 float* out);

// Bit x of the result: values[x] > threshold. Bits beyond the end are 0.
void ThresholdRow(std::span<const float> values, float threshold, uint64_t* bits);

}  // namespace semsam

#endif  // SEMSAM_MODEL_IMAGE_UPSAMPLE_H_
