// The kernels of the GPU against those of the CPU; skipped without a device.
#include <gtest/gtest.h>

#include <string>

#include "model/ops/level_sampling.h"

namespace semsam::ops {
namespace {

struct Gradients {
  at::Tensor out, values, locations, weights;
};

class LevelSamplingOnGpu : public ::testing::TestWithParam<at::ScalarType> {
 protected:
  void SetUp() override {
    if (!at::hasCUDA() || at::detail::getCUDAHooks().deviceCount() == 0) {
      GTEST_SKIP() << "no CUDA device";
    }
    at::manual_seed(9);
    values_ = at::randn({2, 47, 4 * 40}, at::kDouble);
    // Up to a quarter of the map outside.
    locations_ = at::rand({2, 60, 4, 2, 3, 2}, at::kDouble) * 1.5 - 0.25;
    weights_ = at::rand({2, 60, 4, 6}, at::kDouble);
    probe_ = at::randn({2, 60, 4 * 40}, at::kDouble);
  }

  Gradients Run(at::Device device) const {
    const auto input = [&](const at::Tensor& tensor) {
      return tensor.to(GetParam()).to(device).detach().requires_grad_(true);
    };
    const at::Tensor values = input(values_);
    const at::Tensor locations = input(locations_);
    const at::Tensor weights = input(weights_);
    const at::Tensor out = SampleLevels({.heads = 4, .points = 3}, values, {{7, 5}, {4, 3}},
                                        locations, weights, Path::kTraining);
    out.backward(probe_.to(GetParam()).to(device));
    return {out.detach().cpu(), values.grad().cpu(), locations.grad().cpu(), weights.grad().cpu()};
  }

  at::Tensor values_, locations_, weights_, probe_;
};

TEST_P(LevelSamplingOnGpu, LearnsAsOnTheCpu) {
  const Gradients cpu = Run(at::kCPU);
  const Gradients gpu = Run(at::Device(at::kCUDA, 0));
  const auto difference = [](const at::Tensor& a, const at::Tensor& b) {
    return ((a - b).abs().max() / b.abs().max()).item<double>();
  };
  const double tolerance = GetParam() == at::kDouble ? 1e-12 : 1e-5;
  EXPECT_LT(difference(gpu.out, cpu.out), tolerance);
  EXPECT_LT(difference(gpu.values, cpu.values), tolerance);
  EXPECT_LT(difference(gpu.locations, cpu.locations), tolerance);
  EXPECT_LT(difference(gpu.weights, cpu.weights), tolerance);
}

INSTANTIATE_TEST_SUITE_P(Types, LevelSamplingOnGpu, ::testing::Values(at::kFloat, at::kDouble),
                         [](const auto& info) { return std::string(at::toString(info.param)); });

}  // namespace
}  // namespace semsam::ops
