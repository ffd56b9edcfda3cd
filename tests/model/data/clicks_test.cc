#include "model/data/clicks.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <string>
#include <vector>

#include "model/image/run_lengths.h"
#include "nlohmann/json.hpp"
#include "tests/model/data/data_test_util.h"
#include "tests/support/npy.h"

namespace semsam {
namespace {

using ::semsam::testing::MaskFrom;
using ::semsam::testing::ReadNpy;
using ::semsam::testing::Rectangle;
using ::testing::ElementsAre;
using ::testing::SizeIs;
using ::testing::UnorderedElementsAre;

// The masks and clicks of the published code's own run.
class PublishedClicks : public ::testing::Test {
 protected:
  void SetUp() override {
    const std::string folder = std::string(SEMSAM_PARITY_DIR) + "/crit/";
    if (!testing::FileExists(folder + "gt_masks.npy")) {
      GTEST_SKIP() << "no " << folder << " (set SEMSAM_PARITY_DIR)";
    }
    const auto stack = ReadNpy<uint8_t>(folder + "gt_masks.npy");
    size_ = {static_cast<int>(stack.dim(1)), static_cast<int>(stack.dim(2))};
    for (int64_t i = 0; i < stack.dim(0); ++i) {
      const uint8_t* begin = stack.data.data() + i * size_.area();
      masks_.push_back(EncodeRunLengths({.size = size_, .pixels = {begin, begin + size_.area()}}));
    }
    eval_ = nlohmann::json::parse(testing::ReadPythonJson(folder + "eval_interactive.json"));
    criterion_ = nlohmann::json::parse(testing::ReadPythonJson(folder + "criterion.json"));
    eval_points_ = ReadNpy<float>(folder + "eval_points.npy");
    training_points_ = ReadNpy<float>(folder + "points.npy");
  }

  static void ExpectBox(const CenterBox& box, const float* expected) {
    EXPECT_NEAR(box.cx, expected[0], 1e-7);
    EXPECT_NEAR(box.cy, expected[1], 1e-7);
    EXPECT_NEAR(box.w, expected[2], 1e-7);
    EXPECT_NEAR(box.h, expected[3], 1e-7);
  }

  ImageSize size_;
  std::vector<RunLengths> masks_;
  nlohmann::json eval_, criterion_;
  testing::NpyArray<float> eval_points_, training_points_;
};

TEST_F(PublishedClicks, DeepestPixelsAreTheSame) {
  ASSERT_THAT(masks_, SizeIs(7));
  for (size_t i = 0; i < masks_.size(); ++i) {
    const auto click = DeepestPixel(masks_[i]);
    ASSERT_TRUE(click.has_value());
    const auto& expected = eval_["click_centre_px"][i];
    EXPECT_EQ(click->x, std::lround(expected[0].get<double>())) << i;
    EXPECT_EQ(click->y, std::lround(expected[1].get<double>())) << i;
    ExpectBox(ClickBox(*click, size_), eval_points_.data.data() + 4 * i);
  }
}

TEST_F(PublishedClicks, StandForTheSameMasks) {
  std::vector<const RunLengths*> masks;
  for (const RunLengths& mask : masks_) masks.push_back(&mask);
  const auto& clicks = criterion_["clicks_px"];
  ASSERT_THAT(clicks, SizeIs(4));
  Random random(1);
  for (size_t i = 0; i < clicks.size(); ++i) {
    const ClickPixel click = {.x = clicks[i][0], .y = clicks[i][1]};
    const auto expected = criterion_["level_target_inds"][i].get<std::vector<int>>();
    EXPECT_EQ(MasksAt(masks, click), expected);
    EXPECT_EQ(MasksAt(masks, click, 6, random), expected);
    ExpectBox(ClickBox(click, size_), training_points_.data.data() + 4 * i);
  }
}

TEST(DeepestPixel, IsTheFirstOfEquals) {
  // A square of odd side has one centre, of even side four: the first by rows.
  EXPECT_EQ(DeepestPixel(Rectangle({.height = 20, .width = 30}, 3, 4, 7, 7)), (ClickPixel{6, 7}));
  EXPECT_EQ(DeepestPixel(Rectangle({.height = 20, .width = 30}, 3, 4, 6, 6)), (ClickPixel{5, 6}));
}

TEST(DeepestPixel, TakesTheBorderOfThePictureForAnOutside) {
  EXPECT_EQ(DeepestPixel(Rectangle({.height = 9, .width = 9}, 0, 0, 9, 9)), (ClickPixel{4, 4}));
  EXPECT_EQ(DeepestPixel(MaskFrom({"#"})), (ClickPixel{0, 0}));
  EXPECT_EQ(DeepestPixel(MaskFrom({"..."})), std::nullopt);
}

TEST(DeepestPixel, PrefersTheDeeperOfTwoPieces) {
  const RunLengths mask = MaskFrom({"###......", "###.#####", "###.#####",  //
                                    "....#####", "....#####", "....#####"});
  EXPECT_EQ(DeepestPixel(mask), (ClickPixel{6, 3}));
}

TEST(UniformInteriorPixel, ReachesEveryPixelOfTheMaskEvenly) {
  const RunLengths mask = MaskFrom({"#..#", ".##.", "...#"});
  Random random(5);
  std::map<std::pair<int, int>, int> counts;
  for (int i = 0; i < 5000; ++i) {
    const auto click = UniformInteriorPixel(mask, random);
    ASSERT_TRUE(click.has_value());
    ++counts[{click->x, click->y}];
  }
  ASSERT_THAT(counts, SizeIs(5));
  for (const auto& [pixel, count] : counts) EXPECT_NEAR(count, 1000, 120);
  EXPECT_TRUE(counts.contains({3, 0}));
  EXPECT_TRUE(counts.contains({2, 1}));
  EXPECT_EQ(UniformInteriorPixel(MaskFrom({".."}), random), std::nullopt);
}

TEST(MasksAt, TakesARandomChoiceOfTooMany) {
  const RunLengths full = MaskFrom({"##"});
  const std::vector<const RunLengths*> masks(9, &full);
  Random random(2);
  std::vector<int> seen(9);
  for (int i = 0; i < 900; ++i) {
    const std::vector<int> some = MasksAt(masks, {.x = 1, .y = 0}, 6, random);
    ASSERT_THAT(some, SizeIs(6));
    for (const int index : some) ++seen[index];
  }
  for (const int count : seen) EXPECT_NEAR(count, 600, 80);
}

TEST(NoisyBox, StaysWithinItsReach) {
  const CenterBox box = {.cx = 0.5f, .cy = 0.4f, .w = 0.2f, .h = 0.1f};
  Random random(3);
  float largest = 0;
  for (int i = 0; i < 2000; ++i) {
    const CenterBox noisy = NoisyBox(box, /*is_point=*/false, {}, random);
    largest = std::max(largest, std::abs(noisy.cx - box.cx));
    EXPECT_LE(std::abs(noisy.cx - box.cx), 0.04f + 1e-6f);
    EXPECT_LE(std::abs(noisy.cy - box.cy), 0.02f + 1e-6f);
    EXPECT_LE(std::abs(noisy.w - box.w), 0.08f + 1e-6f);
    EXPECT_LE(std::abs(noisy.h - box.h), 0.04f + 1e-6f);
    const CenterBox point = NoisyBox(box, /*is_point=*/true, {}, random);
    EXPECT_LE(std::abs(point.cx - box.cx), 0.0004f + 1e-6f);
  }
  EXPECT_GT(largest, 0.039f);
  const CenterBox corner =
      NoisyBox({.cx = 1, .cy = 0, .w = 1, .h = 1}, false, {.scale = 100}, random);
  for (const float value : {corner.cx, corner.cy, corner.w, corner.h}) {
    EXPECT_GE(value, 0);
    EXPECT_LE(value, 1);
  }
}

TEST(RepeatedPermutation, RepeatsWholePermutations) {
  Random random(4);
  const std::vector<int> order = RepeatedPermutation(3, 8, random);
  ASSERT_THAT(order, SizeIs(8));
  EXPECT_THAT(std::vector<int>(order.begin(), order.begin() + 3), UnorderedElementsAre(0, 1, 2));
  EXPECT_THAT(std::vector<int>(order.begin() + 3, order.begin() + 6),
              UnorderedElementsAre(0, 1, 2));
  EXPECT_NE(order[6], order[7]);
  EXPECT_THAT(RepeatedPermutation(0, 8, random), SizeIs(0));
}

}  // namespace
}  // namespace semsam
