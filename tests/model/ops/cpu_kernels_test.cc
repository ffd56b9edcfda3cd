// Every instruction set that this processor runs, against plain double loops.
// (model_ops_test checks the chosen set against LibTorch.)
#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <type_traits>
#include <vector>

#include "model/ops/cpu/kernels.h"
#include "tests/model/ops/kernel_sets.h"

namespace semsam::ops::cpu {
namespace {

using CpuKernels = KernelSetTest;

std::vector<float> RunLinear(const Kernels& kernels, const std::vector<float>& x, int64_t m,
                             int64_t k, const std::vector<float>& w, int64_t n, const float* bias,
                             Activation activation) {
  const int64_t panel_count = (n + kernels.panel_width - 1) / kernels.panel_width;
  std::vector<float> panels(panel_count * k * kernels.panel_width);
  kernels.pack_panels(w.data(), k, n, k, panels.data());
  std::vector<float> y(m * n, NAN);
  kernels.linear({.x = x.data(),
                  .ldx = k,
                  .m = m,
                  .k = k,
                  .panels = panels.data(),
                  .bias = bias,
                  .y = y.data(),
                  .ldy = n,
                  .n = n,
                  .activation = activation},
                 0, panel_count);
  return y;
}

TEST_P(CpuKernels, LinearEqualsPlainProductForEveryRemainder) {
  for (int64_t m : {1, 2, 3, 4, 5, 6, 7, 11, 12, 13, 25}) {
    for (int64_t n : {1, 4, 31, 32, 33, 257}) {
      const int64_t k = 37;
      const std::vector<float> x = Random(m * k, 1, 1);
      const std::vector<float> w = Random(n * k, 1, 2);
      const std::vector<float> bias = Random(n, 1, 3);
      const std::vector<float> y =
          RunLinear(*kernels_, x, m, k, w, n, bias.data(), Activation::kRelu);
      for (int64_t i = 0; i < m; ++i) {
        for (int64_t j = 0; j < n; ++j) {
          double sum = bias[j];
          for (int64_t c = 0; c < k; ++c) sum += double{x[i * k + c]} * w[j * k + c];
          ASSERT_NEAR(y[i * n + j], std::max(0.0, sum), 1e-5) << m << "x" << n;
        }
      }
    }
  }
}

TEST_P(CpuKernels, QuickGeluOfTheProductForAnySize) {
  const int64_t k = 3;
  for (int64_t n : {1, 32, 40}) {
    const std::vector<float> x = {1e-3f, 2, -1, 40, 3, 50, -40, 7, -60, 0, 0, 0};
    const std::vector<float> w = Random(n * k, 1, 21);
    const std::vector<float> y =
        RunLinear(*kernels_, x, 4, k, w, n, nullptr, Activation::kQuickGelu);
    for (int64_t i = 0; i < 4; ++i) {
      for (int64_t j = 0; j < n; ++j) {
        double sum = 0;
        for (int64_t c = 0; c < k; ++c) sum += double{x[i * k + c]} * w[j * k + c];
        const double expected = sum / (1 + std::exp(-1.702 * sum));
        ASSERT_NEAR(y[i * n + j], expected, 1e-5 * std::max(1.0, std::abs(expected))) << sum;
      }
    }
  }
}

// A tree of seven nodes with two roots, against plain attention over each chain.
TEST_P(CpuKernels, PrefixAttentionSeesAncestorsAlone) {
  const std::vector<int32_t> parents = {-1, 0, 1, 1, 3, -1, 5};
  const std::vector<int32_t> rows = {2, 4, 0, 6};
  for (int64_t dim : {5, 8, 64, 72}) {
    const int64_t heads = 2, width = heads * dim;
    const std::vector<float> qkv = Random(7 * 3 * width, 1, 22);
    std::vector<float> out(rows.size() * width, NAN);
    kernels_->prefix_attention({.qkv = qkv.data(),
                                .parents = parents.data(),
                                .rows = rows.data(),
                                .out = out.data(),
                                .heads = heads,
                                .head_dim = dim},
                               0, rows.size());
    for (size_t r = 0; r < rows.size(); ++r) {
      for (int64_t c = 0; c < width; ++c) {
        const int64_t head = c / dim;
        double total = 0, weighted = 0;
        for (int32_t node = rows[r]; node >= 0; node = parents[node]) {
          double score = 0;
          for (int64_t d = 0; d < dim; ++d) {
            score += double{qkv[rows[r] * 3 * width + head * dim + d]} *
                     qkv[(node * 3 + 1) * width + head * dim + d];
          }
          const double weight = std::exp(score / std::sqrt(double(dim)));
          total += weight;
          weighted += weight * qkv[(node * 3 + 2) * width + c];
        }
        ASSERT_NEAR(out[r * width + c], weighted / total, 1e-5) << dim;
      }
    }
  }
}

TEST_P(CpuKernels, LinearRowsDoNotDependOnTheirNeighbours) {
  const int64_t k = 256, n = 96;
  const std::vector<float> x = Random(17 * k, 1, 4);
  const std::vector<float> w = Random(n * k, 1, 5);
  const std::vector<float> together =
      RunLinear(*kernels_, x, 17, k, w, n, nullptr, Activation::kNone);
  for (int64_t row = 0; row < 17; ++row) {
    const std::vector<float> one(x.begin() + row * k, x.begin() + (row + 1) * k);
    const std::vector<float> alone =
        RunLinear(*kernels_, one, 1, k, w, n, nullptr, Activation::kNone);
    for (int64_t j = 0; j < n; ++j) ASSERT_EQ(together[row * n + j], alone[j]) << row;
  }
}

TEST_P(CpuKernels, AddLayerNormEqualsPlainForm) {
  for (int64_t channels : {16, 96, 100, 256}) {
    const std::vector<float> x = Random(3 * channels, 2, 6);
    const std::vector<float> residual = Random(3 * channels, 2, 7);
    const std::vector<float> weight = Random(channels, 1, 8);
    const std::vector<float> bias = Random(channels, 1, 9);
    std::vector<float> y(3 * channels, NAN);
    kernels_->add_layer_norm({.x = x.data(),
                              .residual = residual.data(),
                              .weight = weight.data(),
                              .bias = bias.data(),
                              .y = y.data(),
                              .channels = channels},
                             0, 3);
    for (int row = 0; row < 3; ++row) {
      double mean = 0, variance = 0;
      const auto sum = [&](int64_t c) {
        return double{x[row * channels + c]} + residual[row * channels + c];
      };
      for (int64_t c = 0; c < channels; ++c) mean += sum(c) / channels;
      for (int64_t c = 0; c < channels; ++c) {
        variance += (sum(c) - mean) * (sum(c) - mean) / channels;
      }
      for (int64_t c = 0; c < channels; ++c) {
        const double expected = (sum(c) - mean) / std::sqrt(variance + 1e-5) * weight[c] + bias[c];
        ASSERT_NEAR(y[row * channels + c], expected, 1e-5);
      }
    }
  }
}

// Plain bilinear sample of channel c of a [H, W, C] map at pixel coordinates,
// zero outside.
double Bilinear(const float* map, const PyramidLevel& level, int64_t channels, int64_t c, double x,
                double y) {
  const auto at = [&](int64_t yi, int64_t xi) -> double {
    if (xi < 0 || yi < 0 || xi >= level.width || yi >= level.height) return 0;
    return map[(level.start + yi * level.width + xi) * channels + c];
  };
  const double fx = std::floor(x), fy = std::floor(y);
  const double ax = x - fx, ay = y - fy;
  const int64_t x0 = static_cast<int64_t>(fx), y0 = static_cast<int64_t>(fy);
  return (1 - ay) * ((1 - ax) * at(y0, x0) + ax * at(y0, x0 + 1)) +
         ay * ((1 - ax) * at(y0 + 1, x0) + ax * at(y0 + 1, x0 + 1));
}

std::vector<double> Softmax(const float* logits, int count) {
  double peak = logits[0], sum = 0;
  for (int i = 1; i < count; ++i) peak = std::max<double>(peak, logits[i]);
  std::vector<double> result(count);
  for (int i = 0; i < count; ++i) sum += result[i] = std::exp(logits[i] - peak);
  for (double& value : result) value /= sum;
  return result;
}

TEST_P(CpuKernels, DeformableAttentionEqualsPlainSampling) {
  const int64_t heads = 2, dim = 16, width = heads * dim;
  const int levels = 2, points = 3, samples = levels * points;
  const std::vector<PyramidLevel> pyramid = {{5, 7, 0}, {3, 4, 35}};
  const int64_t queries = 9;
  const std::vector<float> values = Random(47 * width, 1, 10);
  // Offsets of up to 6 pixels leave the maps on every side.
  std::vector<float> projections = Random(queries * heads * samples * 3, 6, 11);
  projections[0] = 1e30f;  // far outside must not overflow
  const std::vector<float> references = Random(queries * 2, 1, 12);
  std::vector<float> out(queries * width, NAN);
  DeformableArgs args = {.values = values.data(),
                         .projections = projections.data(),
                         .references = references.data(),
                         .out = out.data(),
                         .heads = heads,
                         .head_dim = dim,
                         .levels = levels,
                         .points = points};
  args.level[0] = pyramid[0];
  args.level[1] = pyramid[1];
  kernels_->deformable(args, 0, queries);
  for (int64_t q = 0; q < queries; ++q) {
    const float* row = projections.data() + q * heads * samples * 3;
    for (int64_t h = 0; h < heads; ++h) {
      const std::vector<double> weights = Softmax(row + heads * samples * 2 + h * samples, samples);
      for (int64_t d = 0; d < dim; ++d) {
        double expected = 0;
        for (int s = 0; s < samples; ++s) {
          const PyramidLevel& level = pyramid[s / points];
          const double x =
              double{references[q * 2]} * level.width + row[(h * samples + s) * 2] - 0.5;
          const double y =
              double{references[q * 2 + 1]} * level.height + row[(h * samples + s) * 2 + 1] - 0.5;
          if (std::abs(x) > 1e6) continue;
          expected += weights[s] * Bilinear(values.data(), level, width, h * dim + d, x, y);
        }
        ASSERT_NEAR(out[q * width + h * dim + d], expected, 2e-5);
      }
    }
  }
}

TEST_P(CpuKernels, LazyDeformableAttentionSamplesRawMemoryAndItsWeightSum) {
  const int64_t heads = 2, channels = 48;
  const int levels = 1, points = 4;
  const PyramidLevel level = {6, 8, 0};
  // A memory of ones: the sampled sum is the weight that fell inside.
  const std::vector<float> ones(48 * channels, 1.0f);
  const std::vector<float> projections = Random(3 * heads * points * 3, 5, 13);
  const std::vector<float> references = {0.5f, 0.5f, 0.4f, 0.6f, 0.0f, 1.0f,
                                         0.9f, 0.9f, 0.9f, 0.1f, 0.3f, 0.2f};
  const std::vector<QueryMemory> memories(3, {ones.data(), &level});
  std::vector<float> sampled(3 * heads * channels, NAN);
  std::vector<float> sums(3 * heads, NAN);
  kernels_->lazy_deformable({.queries = memories.data(),
                             .projections = projections.data(),
                             .references = references.data(),
                             .sampled = sampled.data(),
                             .weight_sums = sums.data(),
                             .heads = heads,
                             .channels = channels,
                             .levels = levels,
                             .points = points},
                            0, 3 * heads);
  for (int64_t q = 0; q < 3; ++q) {
    const float* row = projections.data() + q * heads * points * 3;
    for (int64_t h = 0; h < heads; ++h) {
      const std::vector<double> weights = Softmax(row + heads * points * 2 + h * points, points);
      double expected = 0;
      for (int s = 0; s < points; ++s) {
        const float* offset = row + (h * points + s) * 2;
        const double x = (references[q * 4] + offset[0] / 4.0 * references[q * 4 + 2] * 0.5) * 8;
        const double y =
            (references[q * 4 + 1] + offset[1] / 4.0 * references[q * 4 + 3] * 0.5) * 6;
        expected += weights[s] * Bilinear(ones.data(), level, channels, 0, x - 0.5, y - 0.5);
      }
      ASSERT_NEAR(sums[q * heads + h], expected, 1e-5);
      for (int64_t c = 0; c < channels; ++c) {
        ASSERT_NEAR(sampled[(q * heads + h) * channels + c], expected, 1e-5);
      }
    }
  }
}

TEST_P(CpuKernels, BoxDeformableAttentionSamplesEachHeadsOwnValues) {
  const int64_t heads = 3, dim = 16, width = heads * dim;
  const int levels = 2, points = 2, samples = levels * points;
  const PyramidLevel pyramid[2] = {{5, 7, 0}, {3, 4, 35}};
  const std::vector<float> first = Random(47 * width, 1, 20);
  const std::vector<float> second = Random(47 * width, 1, 21);
  const std::vector<QueryMemory> memories = {{first.data(), pyramid}, {second.data(), pyramid}};
  const std::vector<float> projections = Random(2 * heads * samples * 3, 5, 22);
  const std::vector<float> references = {0.5f, 0.4f, 0.4f, 0.6f, 0.0f, 1.0f, 0.9f, 0.9f};
  std::vector<float> out(2 * width, NAN);
  kernels_->box_deformable({.queries = memories.data(),
                            .projections = projections.data(),
                            .references = references.data(),
                            .out = out.data(),
                            .heads = heads,
                            .head_dim = dim,
                            .levels = levels,
                            .points = points},
                           0, 2 * heads);
  for (int64_t i = 0; i < 2 * width; ++i) {
    const int64_t q = i / width, h = i % width / dim;
    const float* row = projections.data() + q * heads * samples * 3;
    const float* box = references.data() + q * 4;
    const std::vector<double> weights = Softmax(row + heads * samples * 2 + h * samples, samples);
    double expected = 0;
    for (int s = 0; s < samples; ++s) {
      const float* offset = row + (h * samples + s) * 2;
      const PyramidLevel& level = pyramid[s / points];
      const double x = (box[0] + offset[0] / double{points} * box[2] * 0.5) * level.width - 0.5;
      const double y = (box[1] + offset[1] / double{points} * box[3] * 0.5) * level.height - 0.5;
      expected += weights[s] * Bilinear(memories[q].memory, level, width, i % width, x, y);
    }
    ASSERT_NEAR(out[i], expected, 2e-5) << i;
  }
}

// Output and gradients of one problem on two images, whose numbers do not follow `T`.
template <typename T>
struct Sampled {
  std::vector<T> out, values, locations, weights;

  explicit Sampled(const Kernels& kernels) {
    constexpr int64_t kBatch = 2, kQueries = 5, kHeads = 2, kDim = 37, kSamples = 6;
    const auto copy = [](size_t count, uint32_t seed) {
      const std::vector<float> numbers = Random(count, 1.2f, seed);
      return std::vector<T>(numbers.begin(), numbers.end());
    };
    const std::vector<T> inputs = copy(kBatch * 47 * kHeads * kDim, 30);
    const std::vector<T> places = copy(kBatch * kQueries * kHeads * kSamples * 2, 31);
    const std::vector<T> attention = copy(kBatch * kQueries * kHeads * kSamples, 32);
    const std::vector<T> probe = copy(kBatch * kQueries * kHeads * kDim, 33);
    const LevelSamplingArgs<T> args = {.values = inputs.data(),
                                       .locations = places.data(),
                                       .weights = attention.data(),
                                       .tokens = 47,
                                       .queries = kQueries,
                                       .heads = kHeads,
                                       .head_dim = kDim,
                                       .levels = 2,
                                       .points = 3,
                                       .level = {{5, 7, 0}, {3, 4, 35}}};
    out.assign(probe.size(), NAN);
    values.assign(inputs.size(), 0);
    locations.assign(places.size(), NAN);
    weights.assign(attention.size(), NAN);
    const LevelSamplingGrads<T> grads = {.out = probe.data(),
                                         .values = values.data(),
                                         .locations = locations.data(),
                                         .weights = weights.data()};
    if constexpr (std::is_same_v<T, float>) {
      kernels.sample_levels(args, out.data(), 0, kBatch * kQueries * kHeads);
      kernels.sample_levels_backward(args, grads, 0, kBatch * kHeads);
    } else {
      kernels.sample_levels_double(args, out.data(), 0, kBatch * kQueries * kHeads);
      kernels.sample_levels_backward_double(args, grads, 0, kBatch * kHeads);
    }
  }
};

// (model_ops_test checks the chosen set by differences.)
TEST_P(CpuKernels, SamplingAndItsGradientsAgreeOnEverySetAndType) {
  const auto expect_near = [](const auto& actual, const auto& expected, double tolerance) {
    ASSERT_EQ(actual.size(), expected.size());
    for (size_t i = 0; i < actual.size(); ++i) ASSERT_NEAR(actual[i], expected[i], tolerance) << i;
  };
  const auto expect_agree = [&](const auto& actual, const auto& expected, double tolerance) {
    expect_near(actual.out, expected.out, tolerance);
    expect_near(actual.values, expected.values, tolerance);
    expect_near(actual.locations, expected.locations, tolerance);
    expect_near(actual.weights, expected.weights, tolerance);
  };
  const Sampled<double> chosen(BestKernels());
  expect_agree(Sampled<double>(*kernels_), chosen, 1e-12);
  expect_agree(Sampled<float>(*kernels_), chosen, 2e-4);
}

TEST_P(CpuKernels, PromptAttentionOfEqualKeysAveragesTheValues) {
  const int64_t tokens = 6, heads = 2, dim = 16, width = heads * dim;
  std::vector<float> qk = Random(tokens * 2 * width, 1, 14);
  for (int64_t t = 1; t < tokens; ++t) {
    std::copy_n(qk.begin() + width, width, qk.begin() + t * 2 * width + width);
  }
  const std::vector<float> v = Random(tokens * width, 1, 15);
  std::vector<float> out(tokens * width, NAN);
  kernels_->prompt_attention({.qk = qk.data(),
                              .v = v.data(),
                              .out = out.data(),
                              .tokens = tokens,
                              .heads = heads,
                              .head_dim = dim},
                             0, 1);
  for (int64_t d = 0; d < width; ++d) {
    double mean = 0;
    for (int64_t t = 0; t < tokens; ++t) mean += v[t * width + d] / double{tokens};
    for (int64_t t = 0; t < tokens; ++t) ASSERT_NEAR(out[t * width + d], mean, 1e-6);
  }
}

INSTANTIATE_TEST_SUITE_P(Sets, CpuKernels, ::testing::Range(0, 3), [](const auto& info) {
  int count = 0;
  const Kernels* const* sets = AvailableKernels(&count);
  return info.param < count ? std::string(sets[info.param]->isa)
                            : "unavailable" + std::to_string(info.param);
});

}  // namespace
}  // namespace semsam::ops::cpu
