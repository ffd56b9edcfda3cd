// The kernels under model/ops/mask_pooling.h in every instruction set that this
// processor runs, against plain double loops.
#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

#include "model/ops/cpu/kernels.h"
#include "tests/model/ops/kernel_sets.h"

namespace semsam::ops::cpu {
namespace {

using CpuMaskKernels = KernelSetTest;

TEST_P(CpuMaskKernels, SharesAreMeansOfProbabilities) {
  for (const int64_t factor : {1, 2, 3, 8}) {
    const int64_t height = 3, width = 70, masks = 2;
    const size_t pixels = static_cast<size_t>(height * width * factor * factor);
    // Far beyond where an exponential overflows.
    std::vector<float> logits = Random(masks * pixels, 120, 1);
    std::vector<float> shares(masks * height * width, NAN), sums(masks, NAN);
    kernels_->mask_shares({.logits = logits.data(),
                           .shares = shares.data(),
                           .sums = sums.data(),
                           .height = height,
                           .width = width,
                           .factor = factor},
                          0, masks);
    for (int64_t mask = 0; mask < masks; ++mask) {
      double total = 0;
      for (int64_t y = 0; y < height; ++y) {
        for (int64_t x = 0; x < width; ++x) {
          double sum = 0;
          for (int64_t i = 0; i < factor * factor; ++i) {
            const int64_t row = y * factor + i / factor;
            const int64_t column = x * factor + i % factor;
            const double logit = logits[mask * pixels + row * width * factor + column];
            sum += 1 / (1 + std::exp(-logit));
          }
          const double share = sum / static_cast<double>(factor * factor);
          ASSERT_NEAR(shares[(mask * height + y) * width + x], share, 1e-6);
          total += share;
        }
      }
      EXPECT_NEAR(sums[mask], total, 1e-4);
    }
  }
}

TEST_P(CpuMaskKernels, MeansAreWeightedSumsOfEveryRemainder) {
  for (const int64_t masks : {1, 2, 5, 6, 13}) {
    for (const int64_t channels : {4, 32, 50, 64, 128}) {
      const int64_t cells = 300;  // more than a block
      const std::vector<float> shares = Random(masks * cells, 1, 2);
      const std::vector<float> features = Random(cells * channels, 1, 3);
      const std::vector<float> sums(masks, 3);
      std::vector<float> out(masks * channels, NAN);
      kernels_->weighted_mean({.shares = shares.data(),
                               .sums = sums.data(),
                               .features = features.data(),
                               .out = out.data(),
                               .masks = masks,
                               .cells = cells,
                               .channels = channels,
                               .epsilon = 1},
                              0, (channels + kernels_->panel_width - 1) / kernels_->panel_width);
      for (int64_t n = 0; n < masks; ++n) {
        for (int64_t c = 0; c < channels; ++c) {
          double total = 0;
          for (int64_t t = 0; t < cells; ++t) {
            total += double{shares[n * cells + t]} * features[t * channels + c];
          }
          ASSERT_NEAR(out[n * channels + c], total / 4, 1e-5) << n << " " << c;
        }
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Sets, CpuMaskKernels, ::testing::Range(0, 3));

}  // namespace
}  // namespace semsam::ops::cpu
