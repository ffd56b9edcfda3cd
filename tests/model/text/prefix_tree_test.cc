#include "model/text/prefix_tree.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace semsam {
namespace {

using ::testing::ElementsAre;

TEST(PrefixTree, BeginningsAreKeptOnce) {
  PrefixTree tree;
  for (const std::vector<int32_t>& ids :
       std::vector<std::vector<int32_t>>{{9, 1, 2}, {9, 1, 3}, {9, 1}, {9, 1, 2}, {1}}) {
    tree.Add(ids);
  }
  EXPECT_THAT(tree.tokens(), ElementsAre(9, 1, 2, 3, 1));
  EXPECT_THAT(tree.positions(), ElementsAre(0, 1, 2, 2, 0));
  EXPECT_THAT(tree.parents(), ElementsAre(-1, 0, 1, 1, -1));
  EXPECT_THAT(tree.ends(), ElementsAre(2, 3, 1, 2, 4));
  EXPECT_EQ(tree.size(), 5u);
  EXPECT_EQ(tree.sequences(), 5u);
}

}  // namespace
}  // namespace semsam
