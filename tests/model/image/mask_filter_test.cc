#include "model/image/mask_filter.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tests/model/image/image_test_util.h"

namespace semsam {
namespace {

using Indices = std::vector<size_t>;

// Rows [0, rows) of a 20 x 10 image.
RunLengths TopRows(int rows) {
  BinaryMask mask{.size = {20, 10}};
  for (int y = 0; y < 20; ++y) mask.pixels.insert(mask.pixels.end(), 10, y < rows);
  return EncodeRunLengths(mask);
}

TEST(BoxNms, SuppressesByIouAboveTheThresholdOnly) {
  // IoU of the first two is exactly 0.5, of the first and the third 0.6.
  const CornerBox boxes[] = {{0, 0, 10, 10}, {0, 0, 10, 5}, {0, 0, 10, 6}, {20, 20, 30, 30}};
  const float scores[] = {0.9f, 0.8f, 0.7f, 0.95f};
  EXPECT_EQ(BoxNms(boxes, scores, 0.5), (Indices{3, 0, 1}));
  EXPECT_EQ(BoxNms(boxes, scores, 0.49), (Indices{3, 0}));
  EXPECT_EQ(BoxNms(boxes, scores, 1.0), (Indices{3, 0, 1, 2}));
}

TEST(BoxNms, ASuppressedBoxSuppressesNothing) {
  const CornerBox boxes[] = {{0, 0, 10, 10}, {4, 0, 14, 10}, {8, 0, 18, 10}};
  const float scores[] = {3, 2, 1};
  EXPECT_EQ(BoxNms(boxes, scores, 0.4), (Indices{0, 2}));
}

TEST(BoxNms, EqualScoresKeepTheirOrderAndBoxesWithoutAreaStay) {
  const CornerBox boxes[] = {{0, 0, 0, 0}, {0, 0, 0, 0}, {5, 5, 9, 9}, {5, 5, 9, 9}};
  const float scores[] = {1, 1, 1, 1};
  EXPECT_EQ(BoxNms(boxes, scores, 0.7), (Indices{0, 1, 2}));
}

TEST(BoxNms, NotANumberComesLast) {
  const CornerBox boxes[] = {{0, 0, 1, 1}, {2, 2, 3, 3}, {4, 4, 5, 5}};
  const float scores[] = {NAN, 0.1f, 0.2f};
  EXPECT_EQ(BoxNms(boxes, scores, 0.7), (Indices{2, 1, 0}));
}

TEST(ToCornerBox, NamesTheExtremePixels) {
  EXPECT_EQ(ToCornerBox({.x = 2, .y = 3, .width = 5, .height = 1}), (CornerBox{2, 3, 6, 3}));
  EXPECT_EQ(ToCornerBox({}), CornerBox{});
}

TEST(RemoveDuplicates, TheBetterOfTwoCopiesStays) {
  const RunLengths masks[] = {TopRows(10), TopRows(19), TopRows(20), TopRows(10)};
  const float ious[] = {0.5f, 0.9f, 0.8f, 0.6f};
  EXPECT_EQ(RemoveDuplicates(masks, ious, 0.9), (Indices{1, 3}));
  // 19 / 20 does not exceed 0.95.
  EXPECT_EQ(RemoveDuplicates(masks, ious, 0.95), (Indices{1, 2, 3}));
}

TEST(SelectPredictorMasks, SortsWhatPassesByArea) {
  const RunLengths masks[] = {TopRows(10), TopRows(4), TopRows(20), TopRows(7)};
  // 0.496 rounds to 0.50 and passes, 0.494 does not.
  const float ious[] = {0.496f, 0.494f, 0.9f, 0.7f};
  EXPECT_EQ(SelectPredictorMasks(masks, ious), (Indices{3, 0, 2}));
}

TEST(SelectPredictorMasks, TheWorstIsTakenIfNonePasses) {
  const RunLengths masks[] = {TopRows(10), TopRows(4), TopRows(20)};
  const float ious[] = {0.1f, -0.3f, 0.2f};
  EXPECT_EQ(SelectPredictorMasks(masks, ious), (Indices{1}));
  EXPECT_TRUE(SelectPredictorMasks({}, {}).empty());
}

TEST(OrderByLevel, IsStable) {
  const int levels[] = {3, 1, 6, 1, 3};
  EXPECT_EQ(OrderByLevel(levels), (Indices{1, 3, 0, 4, 2}));
}

}  // namespace
}  // namespace semsam
