#include "model/evaluation/match_costs.h"

#include <gtest/gtest.h>

#include <cmath>

#include "model/image/run_lengths.h"
#include "model/weights/formula.h"
#include "tests/support/npy.h"

namespace semsam {
namespace {

using testing::ReadNpy;

constexpr ImageGeometry kSquare = {
    .original = {224, 224}, .network = {224, 224}, .padded = {224, 224}};

std::string Golden(const std::string& name) { return SEMSAM_PARITY_DIR "/crit/" + name; }

// What torch.rand gave in the reference: (u + 1) / 2 of the formula.
std::vector<MatchPoint> ReferencePoints() {
  std::vector<float> numbers(2 * kMatchPoints);
  FillFormula(Fnv1a64("rand.0"), 0.5f, 0.5f, 0, numbers);
  std::vector<MatchPoint> points;
  for (int i = 0; i < kMatchPoints; ++i) points.push_back({numbers[2 * i], numbers[2 * i + 1]});
  return points;
}

CenterBox BoxAt(const testing::NpyArray<float>& boxes, int64_t row) {
  const float* box = boxes.data.data() + 4 * row;
  return {.cx = box[0], .cy = box[1], .w = box[2], .h = box[3]};
}

BinaryMask MaskAt(const testing::NpyArray<uint8_t>& masks, int64_t index) {
  BinaryMask mask{.size = {224, 224}};
  const auto* begin = masks.data.data() + index * mask.size.area();
  for (int64_t i = 0; i < mask.size.area(); ++i) mask.pixels.push_back(begin[i] != 0);
  return mask;
}

TEST(MatchCosts, AreThoseOfThePublishedMatcher) {
  if (!testing::FileExists(Golden("D.npy"))) GTEST_SKIP() << "the numeric reference is not here";
  const auto logits = ReadNpy<float>(Golden("pred_masks.npy"));
  const auto boxes = ReadNpy<float>(Golden("pred_boxes.npy"));
  const auto masks = ReadNpy<uint8_t>(Golden("gt_masks.npy"));
  const auto mask_boxes = ReadNpy<float>(Golden("gt_boxes_cxcywh.npy"));
  const std::vector<MatchPoint> points = ReferencePoints();
  std::vector<MatchSide> predictions, truths;
  for (int i = 0; i < 24; ++i) {
    predictions.push_back(
        {SampleLogits({{56, 56}, logits.data.data() + i * 56 * 56}, points), BoxAt(boxes, i)});
  }
  // criterion.json: level_target_inds.
  for (const int target : {0, 1, 5, 0, 5, 2, 3, 6, 4, 5, 6}) {
    const BinaryMask mask = MaskAt(masks, target);
    const CenterBox box = MaskCenterBox(EncodeRunLengths(mask), kSquare);
    const CenterBox expected = BoxAt(mask_boxes, target);
    EXPECT_NEAR(box.cx, expected.cx, 1e-6);
    EXPECT_NEAR(box.cy, expected.cy, 1e-6);
    EXPECT_NEAR(box.w, expected.w, 1e-6);
    EXPECT_NEAR(box.h, expected.h, 1e-6);
    truths.push_back({SampleMask(mask, kSquare, points), box});
  }
  const std::vector<MatchCost> costs = MatchCosts(predictions, truths);
  const auto bce = ReadNpy<float>(Golden("cost_mask_bce.npy"));
  const auto dice = ReadNpy<float>(Golden("cost_dice.npy"));
  const auto l1 = ReadNpy<float>(Golden("cost_bbox_l1.npy"));
  const auto giou = ReadNpy<float>(Golden("giou.npy"));
  const auto total = ReadNpy<float>(Golden("D.npy"));
  ASSERT_EQ(costs.size(), total.data.size());
  int compared = 0;
  for (size_t i = 0; i < costs.size(); ++i) {
    EXPECT_NEAR(costs[i].bce, bce.data[i], 1e-5) << i;
    EXPECT_NEAR(costs[i].dice, dice.data[i], 1e-5) << i;
    EXPECT_NEAR(costs[i].l1, l1.data[i], 1e-5) << i;
    EXPECT_NEAR(costs[i].giou, giou.data[i], 1e-5) << i;
    if (total.data[i] >= 1e6f) continue;  // a pair of different clicks
    EXPECT_NEAR(costs[i].Total(MatchWeights{}), total.data[i], 1e-4) << i;
    ++compared;
  }
  EXPECT_EQ(compared, 6 * 11);
}

TEST(MatchCosts, ReadTheMaskOfAPictureThatWasResizedAndPadded) {
  // The picture fills the left half of the padded frame at half its size; its right half
  // is the mask.
  const ImageGeometry geometry = {.original = {64, 64}, .network = {32, 32}, .padded = {32, 64}};
  BinaryMask mask{.size = {64, 64}};
  for (int i = 0; i < 64 * 64; ++i) mask.pixels.push_back(i % 64 >= 32);
  const std::vector<MatchPoint> points = {
      {0.125f, 0.5f}, {0.375f, 0.5f}, {0.75f, 0.5f}, {0.25f, 0.25f}};
  const std::vector<float> samples = SampleMask(mask, geometry, points);
  EXPECT_EQ(samples, (std::vector<float>{0, 1, 0, 0.5f}));
  const CenterBox box = MaskCenterBox(EncodeRunLengths(mask), geometry);
  EXPECT_FLOAT_EQ(box.cx, 0.375f);
  EXPECT_FLOAT_EQ(box.w, 0.25f);
  EXPECT_FLOAT_EQ(box.cy, 0.5f);
  EXPECT_FLOAT_EQ(box.h, 1.0f);
}

TEST(MatchCosts, StayFiniteForLogitsOfAnySize) {
  const MatchSide sure{.samples = {1e30f, -1e30f}, .box = {0.5f, 0.5f, 0, 0}};
  const MatchSide truth{.samples = {1, 0}, .box = {0.5f, 0.5f, 0, 0}};
  const MatchSide wrong{.samples = {0, 1}, .box = {0.5f, 0.5f, 0, 0}};
  const auto costs = MatchCosts(std::vector<MatchSide>{sure}, std::vector<MatchSide>{truth, wrong});
  EXPECT_EQ(costs[0].bce, 0);
  EXPECT_NEAR(costs[0].dice, 0, 1e-12);
  EXPECT_TRUE(std::isfinite(costs[1].Total(MatchWeights{})));
  EXPECT_TRUE(std::isfinite(costs[0].giou));
}

TEST(MatchCosts, DrawTheSamePointsEverywhere) {
  const std::vector<MatchPoint> points = MakeMatchPoints(1);
  ASSERT_EQ(points.size(), kMatchPoints);
  // mt19937_64 is laid down by the C++ standard: its first two numbers for seed 1 are
  // 2469588189546311528 and 2516265689700432462.
  EXPECT_FLOAT_EQ(points[0].x, 0.1338766f);
  EXPECT_FLOAT_EQ(points[0].y, 0.1364070f);
  for (const MatchPoint& point : points) {
    EXPECT_GE(point.x, 0);
    EXPECT_LT(point.x, 1);
  }
}

}  // namespace
}  // namespace semsam
