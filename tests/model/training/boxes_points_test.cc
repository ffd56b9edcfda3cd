#include <gtest/gtest.h>

#include "model/training/boxes.h"
#include "model/training/points.h"
#include "model/training/uniform.h"

namespace semsam {
namespace {

TEST(Boxes, OverlapIsOneForTheSameBoxAndNegativeFarApart) {
  const at::Tensor box = at::tensor({0.5f, 0.5f, 0.2f, 0.4f});
  const at::Tensor far = at::tensor({0.05f, 0.5f, 0.1f, 0.4f});
  EXPECT_NEAR(GeneralisedIou(box, box).item<double>(), 1, 1e-4);
  // Hull 0.6 x 0.4, boxes 0.08 + 0.04: -(0.24 - 0.12) / 0.24.
  EXPECT_NEAR(GeneralisedIou(box, far).item<double>(), -0.5, 1e-4);
}

TEST(Points, LogitsAreBilinearAndZeroOutside) {
  const at::Tensor map = at::tensor({1.0f, 3.0f, 5.0f, 7.0f}).view({1, 2, 2});
  const at::Tensor points = at::tensor({0.25f, 0.25f, 0.5f, 0.5f, 0.0f, 0.25f}).view({1, 3, 2});
  const at::Tensor values = SampleLogitsAt(map, points);
  EXPECT_TRUE(at::allclose(values, at::tensor({1.0f, 4.0f, 0.5f}).view({1, 3}))) << values;
}

TEST(Points, MasksAreSampledLikeLogits) {
  SeededUniform random(3);
  const at::Tensor masks = (random.Draw({5, 7, 9}) > 0.5).to(at::kByte);
  const at::Tensor rows = at::tensor({4, 0, 2, 2}, at::kLong);
  const at::Tensor points = random.Draw({4, 100, 2}) * 1.2 - 0.1;  // some outside
  const at::Tensor shared = points.slice(0, 0, 1);
  for (const ops::Path path : {ops::Path::kNative, ops::Path::kReference}) {
    for (const at::Tensor& places : {points, shared}) {
      const at::Tensor expected = SampleLogitsAt(masks.index_select(0, rows), places);
      EXPECT_TRUE(at::allclose(SampleMasksAt(masks, rows, places, path), expected, 1e-5, 1e-5));
    }
  }
  EXPECT_THROW(SampleMasksAt(masks, at::tensor({5}, at::kLong), shared), c10::Error);
}

TEST(Points, TheUncertainOnesComeFirst) {
  // |logit| rises from the middle to both sides.
  const at::Tensor map =
      (at::arange(64, at::kFloat) - 31.5).view({1, 1, 64}).expand({1, 64, 64}).contiguous();
  SeededUniform random(1);
  const PointOptions options = {.count = 100, .oversample = 10, .importance = 0.8};
  const at::Tensor points = UncertainPoints(map, options, random);
  ASSERT_EQ(points.sizes(), (std::vector<int64_t>{1, 100, 2}));
  const at::Tensor distance = (points[0].select(1, 0) - 0.5).abs();
  EXPECT_LT(distance.slice(0, 0, 80).max().item<double>(), 0.08);  // the nearest 80 of 1000
  EXPECT_GT(distance.slice(0, 80).max().item<double>(), 0.2);      // 20 from anywhere
}

TEST(Uniform, GoesOnWhereItsStateSays) {
  SeededUniform first(42);
  const at::Tensor a = first.Draw({1000});
  SeededUniform second(first.state());
  EXPECT_TRUE(at::equal(first.Draw({3, 5}), second.Draw({3, 5})));
  EXPECT_GE(a.min().item<float>(), 0);
  EXPECT_LT(a.max().item<float>(), 1);
  EXPECT_NEAR(a.mean().item<double>(), 0.5, 0.03);
  // SplitMix64 of state 0 gives 0xE220A8397B1DCDAF first.
  EXPECT_EQ(SeededUniform(0).Draw({1}).item<float>(), 0xE220A8 * 0x1p-24f);
}

}  // namespace
}  // namespace semsam
