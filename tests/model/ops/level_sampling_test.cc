// Sampling with gradients against differences, and against grid_sample through
// LibTorch's own autograd.
#include "model/ops/level_sampling.h"

#include <c10/core/GradMode.h>
#include <gtest/gtest.h>

#include <limits>
#include <vector>

#include "model/ops/deformable_attention.h"

namespace semsam::ops {
namespace {

// One problem, its inputs asking for gradients.
struct Problem {
  SamplingShape shape;
  std::vector<ImageSize> levels;
  at::Tensor values;     // [B, T, C]
  at::Tensor locations;  // [B, Q, heads, L, P, 2]
  at::Tensor weights;    // [B, Q, heads, L * P]
  at::Tensor probe;      // [B, Q, C]: the loss is <probe, output>

  // Places up to a pixel outside of every border, none within a twentieth of a
  // pixel of a row or column of centres: there the derivative jumps.
  Problem(SamplingShape sampling, std::vector<ImageSize> pyramid, int64_t batch, int64_t queries,
          int64_t head_dim)
      : shape(sampling), levels(std::move(pyramid)) {
    const int64_t count = static_cast<int64_t>(levels.size());
    const int64_t channels = shape.heads * head_dim;
    int64_t tokens = 0;
    std::vector<double> sizes;
    for (const ImageSize& level : levels) {
      tokens += level.area();
      sizes.insert(sizes.end(), {double(level.width), double(level.height)});
    }
    const at::Tensor size = at::tensor(sizes, at::kDouble).view({count, 1, 2});
    const std::vector<int64_t> places = {batch, queries, shape.heads, count, shape.points, 2};
    const at::Tensor pixel = (at::rand(places, at::kDouble) * (size + 2)).floor() - 1.5;
    const at::Tensor between = at::rand(places, at::kDouble) * 0.9 + 0.05;
    locations = (pixel + between) / size;
    values = at::randn({batch, tokens, channels}, at::kDouble);
    weights = at::rand({batch, queries, shape.heads, count * shape.points}, at::kDouble);
    probe = at::randn({batch, queries, channels}, at::kDouble);
    Learn();
  }

  Problem To(at::ScalarType type) const {
    Problem other = *this;
    for (at::Tensor* tensor : {&other.values, &other.locations, &other.weights, &other.probe}) {
      *tensor = tensor->detach().to(type).clone();
    }
    other.Learn();
    return other;
  }

  at::Tensor Run(Path path) const {
    return SampleLevels(shape, values, levels, locations, weights, path);
  }
  at::Tensor Loss(Path path) const { return (Run(path) * probe).sum(); }

 private:
  void Learn() {
    for (at::Tensor* tensor : {&values, &locations, &weights}) tensor->requires_grad_(true);
  }
};

double RelativeDifference(const at::Tensor& actual, const at::Tensor& expected) {
  EXPECT_TRUE(actual.defined() && expected.defined());
  EXPECT_EQ(actual.sizes(), expected.sizes());
  const at::Tensor reference = expected.to(at::kDouble);
  return ((actual.to(at::kDouble) - reference).abs().max() / reference.abs().max()).item<double>();
}

void ExpectCentralDifferences(const Problem& problem, const at::Tensor& input) {
  constexpr double kStep = 1e-5;
  const at::Tensor gradient = input.grad();
  ASSERT_TRUE(gradient.defined());
  const c10::NoGradGuard no_grad;
  double* value = input.mutable_data_ptr<double>();
  const double* expected = gradient.const_data_ptr<double>();
  for (int64_t i = 0; i < input.numel(); ++i) {
    const double kept = value[i];
    value[i] = kept + kStep;
    const double above = problem.Loss(Path::kTraining).item<double>();
    value[i] = kept - kStep;
    const double below = problem.Loss(Path::kTraining).item<double>();
    value[i] = kept;
    ASSERT_NEAR((above - below) / (2 * kStep), expected[i], 1e-7) << i;
  }
}

class LevelSampling : public ::testing::Test {
 protected:
  void SetUp() override { at::manual_seed(3); }
};

TEST_F(LevelSampling, GradientsEqualCentralDifferences) {
  for (const int64_t head_dim : {1, 3, 16, 21}) {  // below, equal to and above a register
    const Problem problem({.heads = 2, .points = 2}, {{3, 4}, {2, 1}}, 2, 3, head_dim);
    problem.Loss(Path::kTraining).backward();
    ExpectCentralDifferences(problem, problem.values);
    ExpectCentralDifferences(problem, problem.locations);
    ExpectCentralDifferences(problem, problem.weights);
  }
}

TEST_F(LevelSampling, FloatAgreesWithAutogradThroughGridSample) {
  const Problem exact({.heads = 8, .points = 4}, {{20, 27}, {10, 14}, {5, 7}, {3, 4}}, 2, 300, 32);
  exact.Loss(Path::kReference).backward();
  const Problem ours = exact.To(at::kFloat);
  ours.Loss(Path::kTraining).backward();
  EXPECT_LT(RelativeDifference(ours.Run(Path::kTraining), exact.Run(Path::kReference)), 1e-5);
  EXPECT_LT(RelativeDifference(ours.values.grad(), exact.values.grad()), 1e-5);
  EXPECT_LT(RelativeDifference(ours.locations.grad(), exact.locations.grad()), 1e-5);
  EXPECT_LT(RelativeDifference(ours.weights.grad(), exact.weights.grad()), 1e-5);
}

TEST_F(LevelSampling, GradientsDoNotDependOnTheNumberOfThreads) {
  const Problem one = Problem({.heads = 4, .points = 4}, {{9, 9}, {5, 5}}, 3, 200, 32);
  const Problem many = one.To(at::kDouble);
  const int threads = at::get_num_threads();
  at::set_num_threads(1);
  one.Loss(Path::kTraining).backward();
  at::set_num_threads(4);
  many.Loss(Path::kTraining).backward();
  at::set_num_threads(threads);
  EXPECT_TRUE(at::equal(one.values.grad(), many.values.grad()));
  EXPECT_TRUE(at::equal(one.locations.grad(), many.locations.grad()));
  EXPECT_TRUE(at::equal(one.weights.grad(), many.weights.grad()));
}

TEST_F(LevelSampling, FarOutsideNothingIsSampledAndNothingLearned) {
  const Problem problem({.heads = 1, .points = 3}, {{4, 4}}, 1, 1, 8);
  {
    const c10::NoGradGuard no_grad;
    problem.locations.select(4, 0).fill_(1e30);
    problem.locations.select(4, 1).fill_(-1e30);
    problem.locations.select(4, 2).fill_(std::numeric_limits<double>::quiet_NaN());
  }
  EXPECT_EQ(problem.Run(Path::kTraining).abs().max().item<double>(), 0);
  problem.Loss(Path::kTraining).backward();
  EXPECT_EQ(problem.values.grad().abs().max().item<double>(), 0);
  EXPECT_EQ(problem.locations.grad().abs().max().item<double>(), 0);
  EXPECT_EQ(problem.weights.grad().abs().max().item<double>(), 0);
}

TEST_F(LevelSampling, HalfPrecisionIsSampledInFloatAndKeepsItsType) {
  const Problem exact({.heads = 2, .points = 4}, {{6, 6}}, 1, 20, 16);
  Problem half = exact.To(at::kFloat);
  half.values = exact.values.detach().to(at::kBFloat16).requires_grad_(true);
  EXPECT_EQ(half.Run(Path::kTraining).scalar_type(), at::kBFloat16);
  half.Loss(Path::kTraining).backward();
  exact.Loss(Path::kReference).backward();
  EXPECT_EQ(half.values.grad().scalar_type(), at::kBFloat16);
  EXPECT_LT(RelativeDifference(half.values.grad(), exact.values.grad()), 2e-2);
  EXPECT_LT(RelativeDifference(half.locations.grad(), exact.locations.grad()), 2e-2);
}

TEST_F(LevelSampling, ASecondDerivativeIsRefused) {
  const Problem problem({.heads = 1, .points = 1}, {{4, 4}}, 1, 2, 4);
  EXPECT_THROW(problem.Loss(Path::kTraining)
                   .backward(/*gradient=*/{}, /*retain_graph=*/true, /*create_graph=*/true),
               c10::Error);
}

TEST_F(LevelSampling, ShapesThatDoNotFitAreRefused) {
  const Problem good({.heads = 2, .points = 2}, {{3, 4}}, 1, 3, 4);
  Problem problem = good;
  problem.levels = {{3, 5}};
  EXPECT_THROW(problem.Run(Path::kTraining), c10::Error);
  problem = good;
  problem.weights = problem.weights.slice(1, 0, 2);
  EXPECT_THROW(problem.Run(Path::kTraining), c10::Error);
  problem = good;
  problem.locations = problem.locations.squeeze(3);
  EXPECT_THROW(problem.Run(Path::kTraining), c10::Error);
}

at::Tensor Learned(at::IntArrayRef sizes, double scale = 1) {
  return (at::randn(sizes, at::kDouble) * scale).requires_grad_(true);
}

// Calls `run(path)` on both differentiable paths and compares the gradients of
// `inputs`.
template <typename Run>
void ExpectSameGradients(const std::vector<at::Tensor>& inputs, Run&& run) {
  std::vector<std::vector<at::Tensor>> gradients;
  at::Tensor probe;
  for (const Path path : {Path::kReference, Path::kTraining}) {
    const at::Tensor output = run(path);
    if (!probe.defined()) probe = at::randn_like(output);
    (output * probe).sum().backward();
    gradients.emplace_back();
    for (const at::Tensor& input : inputs) {
      ASSERT_TRUE(input.grad().defined());
      gradients.back().push_back(input.grad().clone());
      input.mutable_grad() = at::Tensor();
    }
  }
  for (size_t i = 0; i < inputs.size(); ++i) {
    EXPECT_LT(RelativeDifference(gradients[1][i], gradients[0][i]), 1e-9) << i;
  }
}

TEST_F(LevelSampling, DeformableAttentionLearnsAsThroughGridSample) {
  const SamplingShape shape = {.heads = 4, .points = 3};
  const std::vector<ImageSize> levels = {{7, 5}, {4, 3}};
  const at::Tensor values = Learned({2, 47, 64});
  const at::Tensor projections = Learned({2, 47, 4 * 6 * 3}, 2);
  const at::Tensor references = at::rand({47, 2}, at::kDouble).requires_grad_(true);
  ExpectSameGradients({values, projections, references}, [&](Path path) {
    return DeformableAttention(shape, values, levels, projections, references, path);
  });
}

TEST_F(LevelSampling, BoxDeformableAttentionLearnsAsThroughGridSample) {
  const SamplingShape shape = {.heads = 4, .points = 3};
  std::vector<PyramidMemory> images(2);
  images[0] = {.memory = Learned({47, 64}), .levels = {{7, 5}, {4, 3}}};
  images[1] = {.memory = Learned({32, 64}), .levels = {{4, 6}, {2, 4}}};
  const at::Tensor weight = Learned({64, 64}, 0.2);
  const at::Tensor bias = Learned({64});
  const at::Tensor projections = Learned({5, 4 * 6 * 3}, 2);
  const at::Tensor references = at::rand({5, 4}, at::kDouble).requires_grad_(true);
  const std::vector<int> image_of_query = {0, 1, 0, 0, 1};
  ExpectSameGradients(
      {images[0].memory, images[1].memory, weight, bias, projections, references}, [&](Path path) {
        return BoxDeformableAttention(shape, PrepareValueProjection(weight, bias, shape, path),
                                      images, image_of_query, projections, references, path);
      });
}

}  // namespace
}  // namespace semsam::ops
