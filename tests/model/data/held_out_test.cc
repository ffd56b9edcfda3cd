#include "model/data/held_out.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <numeric>

namespace semsam {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST(HeldOut, IsEveryTenthAndNeverTheFirst) {
  EXPECT_EQ(kHeldOutEvery, 10);
  EXPECT_FALSE(IsHeldOut(0));
  EXPECT_TRUE(IsHeldOut(9));
  EXPECT_FALSE(IsHeldOut(10));
  EXPECT_TRUE(IsHeldOut(19));
  const Split split = SplitHeldOut(25);
  EXPECT_THAT(split.held_out, ElementsAre(9, 19));
  EXPECT_EQ(split.train.size(), 23);
  EXPECT_THAT(SplitHeldOut(9).held_out, IsEmpty());
}

TEST(HeldOut, SplitsInTwoWithoutLossWhateverTheRule) {
  for (const size_t every : {1, 2, 3, 10, 100}) {
    const Split split = SplitHeldOut(30, every);
    EXPECT_EQ(split.held_out.size(), 30 / every);
    EXPECT_EQ(split.train.size() + split.held_out.size(), 30);
    for (const size_t index : split.held_out) EXPECT_TRUE(IsHeldOut(index, every));
    for (const size_t index : split.train) EXPECT_FALSE(IsHeldOut(index, every));
  }
  EXPECT_THAT(SplitHeldOut(3, 0).held_out, IsEmpty());
  EXPECT_THAT(SplitHeldOut(3, 0).train, ElementsAre(0, 1, 2));
}

TEST(HeldOut, SpreadsAFewOverAll) {
  std::vector<size_t> all(10);
  std::iota(all.begin(), all.end(), 100);
  EXPECT_THAT(SpreadOver(all, 4), ElementsAre(100, 102, 105, 107));
  EXPECT_THAT(SpreadOver(all, 1), ElementsAre(100));
  EXPECT_THAT(SpreadOver(all, 0), IsEmpty());
  EXPECT_EQ(SpreadOver(all, 10), all);
  EXPECT_EQ(SpreadOver(all, 11), all);
}

}  // namespace
}  // namespace semsam
