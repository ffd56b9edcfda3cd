// Convolution kernels of every instruction set that this processor runs, against plain
// double loops.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "model/ops/cpu/kernels.h"
#include "tests/model/ops/kernel_sets.h"

namespace semsam::ops::cpu {
namespace {

double Relu6(double value) { return std::clamp(value, 0.0, 6.0); }

using ConvolutionKernels = KernelSetTest;

struct PointwiseCase {
  int64_t pixels;
  int64_t n;
  bool relu6;
  bool residual;
};

// Two rows with gaps before, between and behind them, which must stay as they are.
void ExpectPlainProduct(const Kernels& kernels, const PointwiseCase& test) {
  constexpr int64_t kInputs = 27;
  constexpr int64_t kGap = 5;
  constexpr float kUntouched = 77;
  const int64_t n = test.n;
  const int64_t y_stride = test.pixels * n + kGap;
  const std::vector<float> x = Random(2 * test.pixels * kInputs, 1, 1);
  const std::vector<float> w = Random(n * kInputs, 3, 2);
  const std::vector<float> residual = Random(2 * y_stride, 1, 4);
  const int64_t panels = (n + kernels.panel_width - 1) / kernels.panel_width;
  std::vector<float> packed(panels * kInputs * kernels.panel_width);
  kernels.pack_panels(w.data(), kInputs, n, kInputs, packed.data());
  std::vector<float> bias = Random(n, 1, 3);
  bias.resize(panels * kernels.panel_width);
  std::vector<float> y(2 * y_stride + kGap, kUntouched);
  kernels.pointwise({.x = x.data(),
                     .x_stride = test.pixels * kInputs,
                     .rows = 2,
                     .pixels = test.pixels,
                     .k = kInputs,
                     .panels = packed.data(),
                     .bias = bias.data(),
                     .residual = test.residual ? residual.data() : nullptr,
                     .y = y.data() + kGap,
                     .y_stride = y_stride,
                     .n = n,
                     .relu6 = test.relu6});
  for (int64_t i = 0; i < static_cast<int64_t>(y.size()); ++i) {
    const int64_t at = i - kGap;
    const int64_t in_row = at - at / y_stride * y_stride;
    if (at < 0 || in_row >= test.pixels * n) {
      ASSERT_EQ(y[i], kUntouched) << i;
      continue;
    }
    const int64_t pixel = at / y_stride * test.pixels + in_row / n;
    const int64_t column = in_row % n;
    double sum = bias[column];
    for (int64_t k = 0; k < kInputs; ++k) {
      sum += double{x[pixel * kInputs + k]} * w[column * kInputs + k];
    }
    if (test.relu6) sum = Relu6(sum);
    if (test.residual) sum += residual[at];
    ASSERT_NEAR(y[i], sum, 1e-5) << "pixel " << pixel << " column " << column;
  }
}

TEST_P(ConvolutionKernels, PointwiseEqualsPlainProductForEveryRemainder) {
  for (const int64_t pixels : {1, 2, 5, 7, 8, 9, 13, 20}) {
    for (const int64_t n : {8, 16, 24, 40, 88, 96}) {
      SCOPED_TRACE(testing::Message() << pixels << " pixels, " << n << " columns");
      ExpectPlainProduct(*kernels_, {pixels, n, /*relu6=*/true, /*residual=*/false});
      ExpectPlainProduct(*kernels_, {pixels, n, /*relu6=*/false, /*residual=*/true});
    }
  }
}

struct DepthwiseCase {
  int kernel;
  int stride;
  int64_t width;
  int64_t channels;
};

void ExpectPlainConvolution(const Kernels& kernels, const DepthwiseCase& test) {
  constexpr int64_t kRows = 3;
  const int64_t columns = (test.width - 1) * test.stride + test.kernel;
  const int64_t rows = (kRows - 1) * test.stride + test.kernel;
  const int64_t x_stride = columns * test.channels + 3;
  const std::vector<float> x = Random(rows * x_stride, 3, 5);
  const std::vector<float> w = Random(test.kernel * test.kernel * test.channels, 1, 6);
  const std::vector<float> bias = Random(test.channels, 1, 7);
  std::vector<float> y(kRows * test.width * test.channels, NAN);
  kernels.depthwise({.x = x.data(),
                     .x_stride = x_stride,
                     .weights = w.data(),
                     .bias = bias.data(),
                     .y = y.data(),
                     .rows = kRows,
                     .width = test.width,
                     .channels = test.channels,
                     .kernel = test.kernel,
                     .stride = test.stride});
  for (int64_t i = 0; i < static_cast<int64_t>(y.size()); ++i) {
    const int64_t channel = i % test.channels;
    const int64_t column = i / test.channels % test.width;
    const int64_t row = i / test.channels / test.width;
    double sum = bias[channel];
    for (int ky = 0; ky < test.kernel; ++ky) {
      for (int kx = 0; kx < test.kernel; ++kx) {
        sum += double{x[(row * test.stride + ky) * x_stride +
                        (column * test.stride + kx) * test.channels + channel]} *
               w[(ky * test.kernel + kx) * test.channels + channel];
      }
    }
    ASSERT_NEAR(y[i], Relu6(sum), 1e-5) << row << ", " << column << ", " << channel;
  }
}

TEST_P(ConvolutionKernels, DepthwiseEqualsPlainConvolution) {
  for (const int kernel : {3, 5}) {
    for (const int stride : {1, 2}) {
      for (const int64_t width : {1, 3, 4, 9}) {
        for (const int64_t channels : {16, 32, 80}) {
          SCOPED_TRACE(testing::Message() << "kernel " << kernel << ", stride " << stride << ", "
                                          << width << " x " << channels);
          ExpectPlainConvolution(*kernels_, {kernel, stride, width, channels});
        }
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Sets, ConvolutionKernels, testing::Range(0, 3), [](const auto& info) {
  int count = 0;
  const Kernels* const* sets = AvailableKernels(&count);
  return info.param < count ? std::string(sets[info.param]->isa)
                            : "absent" + std::to_string(info.param);
});

}  // namespace
}  // namespace semsam::ops::cpu
