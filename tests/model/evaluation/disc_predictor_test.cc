#include "model/evaluation/disc_predictor.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numeric>
#include <random>

#include "model/image/run_lengths.h"

namespace semsam {
namespace {

// The same, pixel by pixel.
BinaryMask PlainEllipse(ImageSize size, double cx, double cy, double rx, double ry) {
  BinaryMask mask{.size = size};
  for (int y = 0; y < size.height; ++y) {
    for (int x = 0; x < size.width; ++x) {
      const double dx = (x + 0.5 - cx) / rx, dy = (y + 0.5 - cy) / ry;
      mask.pixels.push_back(dx * dx + dy * dy <= 1);
    }
  }
  return mask;
}

TEST(DiscPredictor, DrawsThePixelsWhoseCentresAreInside) {
  std::mt19937 random(1);
  const auto number = [&](double low, double high) {
    return low + (high - low) * (random() / 4294967296.0);
  };
  for (int trial = 0; trial < 200; ++trial) {
    const ImageSize size = {1 + static_cast<int>(random() % 40),
                            1 + static_cast<int>(random() % 40)};
    const double cx = number(-5, size.width + 5), cy = number(-5, size.height + 5);
    const double rx = number(0.1, 30), ry = number(0.1, 30);
    const RunLengths drawn = EllipseMask(size, cx, cy, rx, ry);
    EXPECT_EQ(drawn, EncodeRunLengths(PlainEllipse(size, cx, cy, rx, ry))) << trial;
  }
}

TEST(DiscPredictor, DrawsThePlainCases) {
  EXPECT_EQ(EllipseMask({3, 3}, 1.5, 1.5, 100, 100).counts, (std::vector<uint32_t>{0, 9}));
  EXPECT_EQ(EllipseMask({3, 3}, -50, -50, 2, 2).counts, (std::vector<uint32_t>{9}));
  EXPECT_EQ(EllipseMask({3, 3}, 1.5, 1.5, 0, 0).counts, (std::vector<uint32_t>{4, 1, 4}));
  EXPECT_EQ(EllipseMask({3, 3}, 1e300, 1.5, 1, 1).counts, (std::vector<uint32_t>{9}));
}

TEST(DiscPredictor, AnswersAClickWithSixDiscsAndABoxWithItsEllipse) {
  Rgb8Image picture{.size = {100, 200}};
  DiscPredictor predictor;
  const auto session = predictor.Open(picture);
  ASSERT_TRUE(session.ok());
  const auto clicks = (*session)->Click(std::vector<PicturePoint>{{100, 50}, {0.5, 0.5}});
  ASSERT_EQ(clicks->size(), 2);
  ASSERT_EQ((*clicks)[0].masks.size(), 6);
  int surest = 0;
  for (int i = 0; i < 6; ++i) {
    const PredictedMask& mask = (*clicks)[0].masks[i];
    const double area = M_PI * std::pow(kDiscRadii[i] * 100, 2);
    EXPECT_NEAR(MaskArea(mask.mask), area, 0.02 * area + 4) << i;
    if (mask.score > (*clicks)[0].masks[surest].score) surest = i;
    EXPECT_TRUE(ValidateAnswer((*clicks)[1], picture.size).ok());
  }
  EXPECT_EQ(surest, 4);
  const auto boxes = (*session)->Box(std::vector<PictureBox>{{10, 20, 70, 60}});
  ASSERT_EQ((*boxes)[0].masks.size(), 1);
  EXPECT_EQ(BoundingBox((*boxes)[0].masks[0].mask), (PixelBox{10, 20, 60, 40}));
  EXPECT_NEAR(MaskArea((*boxes)[0].masks[0].mask), M_PI * 30 * 20, 20);
}

TEST(DiscPredictor, RefusesAPictureWithoutPixels) {
  EXPECT_FALSE(DiscPredictor().Open(Rgb8Image{}).ok());
}

}  // namespace
}  // namespace semsam
