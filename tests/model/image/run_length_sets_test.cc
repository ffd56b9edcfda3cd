#include "model/image/run_length_sets.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>
#include <vector>

#include "model/image/components.h"
#include "tests/model/image/image_test_util.h"

namespace semsam {
namespace {

using ::semsam::testing::MaskFromRows;
using ::semsam::testing::RowsOf;
using ::testing::ElementsAre;

RunLengths Runs(const std::vector<std::string>& rows) {
  return EncodeRunLengths(MaskFromRows(rows));
}
std::vector<std::string> Rows(const RunLengths& runs) { return RowsOf(DecodeRunLengths(runs)); }

BinaryMask RandomMask(ImageSize size, std::mt19937& random) {
  BinaryMask mask{.size = size};
  for (int64_t i = 0; i < size.area(); ++i) mask.pixels.push_back(random() % 3 == 0);
  return mask;
}

TEST(RunLengthSets, AgreeWithPixelArithmetic) {
  std::mt19937 random(7);
  for (int round = 0; round < 200; ++round) {
    const ImageSize size{.height = 1 + static_cast<int>(random() % 9),
                         .width = 1 + static_cast<int>(random() % 9)};
    const BinaryMask a = RandomMask(size, random), b = RandomMask(size, random);
    BinaryMask either = a, both = a, only = a, none = a;
    int64_t shared = 0;
    for (size_t i = 0; i < a.pixels.size(); ++i) {
      either.pixels[i] = a.pixels[i] | b.pixels[i];
      both.pixels[i] = a.pixels[i] & b.pixels[i];
      only.pixels[i] = a.pixels[i] & ~b.pixels[i];
      none.pixels[i] = a.pixels[i] ^ 1;
      shared += both.pixels[i];
    }
    const RunLengths x = EncodeRunLengths(a), y = EncodeRunLengths(b);
    EXPECT_EQ(Rows(UnionOf(x, y)), RowsOf(either));
    EXPECT_EQ(Rows(IntersectionOf(x, y)), RowsOf(both));
    EXPECT_EQ(Rows(DifferenceOf(x, y)), RowsOf(only));
    EXPECT_EQ(Rows(ComplementOf(x)), RowsOf(none));
    EXPECT_EQ(SharedArea(x, y), shared);
    for (int row = 0; row < size.height; ++row) {
      for (int column = 0; column < size.width; ++column) {
        EXPECT_EQ(Contains(x, column, row), a.pixels[row * size.width + column] == 1);
      }
    }
  }
}

TEST(RunLengthSets, OutsideTheImageNothingIsContained) {
  const RunLengths full = FullMask({.height = 2, .width = 3});
  EXPECT_TRUE(Contains(full, 2, 1));
  EXPECT_FALSE(Contains(full, 3, 0));
  EXPECT_FALSE(Contains(full, 0, 2));
  EXPECT_FALSE(Contains(full, -1, 0));
  EXPECT_FALSE(Contains(full, 0, -1));
}

TEST(RunLengthSets, ABoxIsCutAtTheImage) {
  const ImageSize size{.height = 3, .width = 4};
  EXPECT_THAT(Rows(BoxMask({.x = 1, .y = 1, .width = 2, .height = 1}, size)),
              ElementsAre("....", ".##.", "...."));
  EXPECT_THAT(Rows(BoxMask({.x = -5, .y = 2, .width = 7, .height = 9}, size)),
              ElementsAre("....", "....", "##.."));
  EXPECT_EQ(BoxMask({.x = 9, .y = 9, .width = 2, .height = 2}, size), EmptyMask(size));
  EXPECT_EQ(BoxMask({.x = 0, .y = 0, .width = 4, .height = 3}, size), FullMask(size));
}

TEST(RunLengthSets, ForeignRunLengthsMustFillTheImage) {
  const ImageSize size{.height = 2, .width = 3};
  const auto good = CheckedRunLengths(std::vector<int64_t>{1, 2, 0, 1, 2}, size);
  ASSERT_TRUE(good.ok());
  EXPECT_THAT(good->counts, ElementsAre(1, 3, 2));
  EXPECT_FALSE(CheckedRunLengths(std::vector<int64_t>{1, 2}, size).ok());
  EXPECT_FALSE(CheckedRunLengths(std::vector<int64_t>{1, 6}, size).ok());
  EXPECT_FALSE(CheckedRunLengths(std::vector<int64_t>{7, -1}, size).ok());
  EXPECT_FALSE(CheckedRunLengths(std::vector<int64_t>{}, size).ok());
}

TEST(RunLengthSets, SamplingCropsFlipsPadsAndScales) {
  const RunLengths mask = Runs({"#..", ".##"});
  EXPECT_THAT(Rows(SampleMask(mask, std::vector<int>{2, 1, 0}, std::vector<int>{0, 1})),
              ElementsAre("..#", "##."));
  EXPECT_THAT(Rows(SampleMask(mask, std::vector<int>{0, 0, 1, 1}, std::vector<int>{0, 0, 1, 1})),
              ElementsAre("##..", "##..", "..##", "..##"));
  EXPECT_THAT(Rows(SampleMask(mask, std::vector<int>{-1, 1, 2, -1}, std::vector<int>{-1, 1, -1})),
              ElementsAre("....", ".##.", "...."));
}

TEST(RunLengthSets, SamplingAgreesWithPixelArithmetic) {
  std::mt19937 random(11);
  for (int round = 0; round < 100; ++round) {
    const ImageSize size{.height = 1 + static_cast<int>(random() % 12),
                         .width = 1 + static_cast<int>(random() % 12)};
    const BinaryMask mask = RandomMask(size, random);
    const int width = 1 + random() % 20, height = 1 + random() % 20;
    std::vector<int> columns, rows;
    for (int x = 0; x < width; ++x) columns.push_back(x * size.width / width);
    for (int y = 0; y < height; ++y) rows.push_back(y * size.height / height);
    rows.push_back(-1);
    BinaryMask expected{.size = {.height = height + 1, .width = width}};
    for (const int row : rows) {
      for (const int column : columns) {
        expected.pixels.push_back(row < 0 ? 0 : mask.pixels[row * size.width + column]);
      }
    }
    EXPECT_EQ(Rows(SampleMask(EncodeRunLengths(mask), columns, rows)), RowsOf(expected));
  }
}

TEST(Components, AreTheConnectedPiecesOfSufficientSize) {
  const RunLengths mask = Runs({"##..#", ".#..#", "..#.#", "#...."});
  const auto all = ConnectedComponents(mask, 1);
  ASSERT_TRUE(all.ok());
  ASSERT_EQ(all->size(), 3);  // diagonals connect
  EXPECT_THAT(Rows((*all)[0]), ElementsAre("##...", ".#...", "..#..", "....."));
  EXPECT_THAT(Rows((*all)[1]), ElementsAre(".....", ".....", ".....", "#...."));
  EXPECT_THAT(Rows((*all)[2]), ElementsAre("....#", "....#", "....#", "....."));
  const auto large = ConnectedComponents(mask, 3);
  ASSERT_TRUE(large.ok());
  EXPECT_EQ(large->size(), 2);
  const auto none = ConnectedComponents(EmptyMask({.height = 3, .width = 3}), 1);
  ASSERT_TRUE(none.ok());
  EXPECT_TRUE(none->empty());
}

}  // namespace
}  // namespace semsam
