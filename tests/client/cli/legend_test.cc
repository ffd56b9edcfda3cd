#include "client/cli/legend.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "absl/strings/str_cat.h"

namespace semsam::client {
namespace {

TEST(LegendTest, NumbersWordsThroughAllLists) {
  const Legend legend = Legend::Of({{"objects", {"dog", "cat"}}, {"parts", {"head"}}});
  ASSERT_EQ(legend.entries().size(), 3);
  EXPECT_EQ(legend.Find("objects", 1)->number, 2);
  EXPECT_EQ(legend.Find("objects", 1)->name, "cat");
  EXPECT_EQ(legend.Find("parts", 0)->number, 3);
  EXPECT_EQ(legend.Find("parts", 0)->list, "parts");
  EXPECT_EQ(legend.Find("parts", 1), nullptr);
  EXPECT_EQ(legend.Find("parts", -1), nullptr);
  EXPECT_EQ(legend.Find("stuff", 0), nullptr);
}

TEST(LegendTest, CountsRegions) {
  Legend legend = Legend::Of({{"things", {"dog", "cat"}}});
  legend.Count("things", 1);
  legend.Count("things", 1);
  legend.Count("things", 7);
  legend.Count("stuff", 0);
  EXPECT_EQ(legend.entries()[0].regions, 0);
  EXPECT_EQ(legend.entries()[1].regions, 2);
}

TEST(LegendTest, AWordKeepsItsColourWhateverStandsBeforeIt) {
  const Legend alone = Legend::Of({{"objects", {"cat"}}});
  const Legend other = Legend::Of({{"things", {"sofa", "Cat"}}});
  EXPECT_EQ(alone.Find("objects", 0)->colour, other.Find("things", 1)->colour);
}

TEST(LegendTest, WordsOfOnePictureDifferAsLongAsThereAreColours) {
  std::vector<std::string> words;
  for (size_t i = 0; i < 2 * kWordColours; ++i) words.push_back(absl::StrCat("word ", i));
  const Legend legend = Legend::Of({{"objects", words}});
  std::set<std::string> colours;
  for (size_t i = 0; i < kWordColours; ++i) colours.insert(ToHex(legend.entries()[i].colour));
  EXPECT_EQ(colours.size(), kWordColours);
}

TEST(TagOfTest, WordsThatLoseLettersCarryTheirNumber) {
  const Legend legend =
      Legend::Of({{"objects", {"cat", "caf\xc3\xa9", "\xe7\x8b\x97", "\xe7\x8c\xab"}}});
  EXPECT_EQ(TagOf(legend.entries()[0]), "cat");
  EXPECT_EQ(TagOf(legend.entries()[1]), "#2 caf?");
  EXPECT_EQ(TagOf(legend.entries()[2]), "#3 ?");
  EXPECT_EQ(TagOf(legend.entries()[3]), "#4 ?");
}

TEST(ToAsciiTest, OneMarkForACharacterOrABrokenByte) {
  EXPECT_EQ(ToAscii("a\xf0\x9f\x90\x95z"), "a?z");
  EXPECT_EQ(ToAscii("a\xff\xc3z\n"), "a??z?");
}

}  // namespace
}  // namespace semsam::client
