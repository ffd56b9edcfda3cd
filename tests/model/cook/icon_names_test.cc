#include "model/cook/icon_names.h"

#include <optional>

#include "gtest/gtest.h"

namespace semsam {
namespace {

TEST(IconWords, NamesOfThingsBecomeWords) {
  EXPECT_EQ(IconWords("red-apple"), "red apple");
  EXPECT_EQ(IconWords("alarm_clock"), "alarm clock");
  EXPECT_EQ(IconWords("Abacus"), "abacus");
}

TEST(IconWords, TonesOfSkinAtTheEndAreDropped) {
  EXPECT_EQ(IconWords("astronaut-dark"), "astronaut");
  EXPECT_EQ(IconWords("astronaut-medium-light-skin-tone"), "astronaut");
  EXPECT_EQ(IconWords("artist-medium"), "artist");
  EXPECT_EQ(IconWords("man-medium-skin-tone-beard"), std::nullopt);
}

TEST(IconWords, DirectionsAndMembersAreDropped) {
  EXPECT_EQ(IconWords("man-running-facing-right-dark"), "man running");
  EXPECT_EQ(IconWords("facing-right"), "facing right");
  EXPECT_EQ(IconWords("family-man-woman-girl"), "family");
  EXPECT_EQ(IconWords("kiss-woman-man"), "kiss");
  EXPECT_EQ(IconWords("piata"), "pinata");
}

TEST(IconWords, SignsAreNoThings) {
  for (const char* const name :
       {"flag-france", "left-arrow", "no-bicycles", "keycap-1", "1st-place-medal", "a-button", "a",
        "", "aries", "six-thirty", "five-oclock", "bearded-person-tone3", "piñata"}) {
    EXPECT_EQ(IconWords(name), std::nullopt) << name;
  }
}

TEST(ClipartWords, TheLongestBeginningThatIsANounCounts) {
  const std::set<std::string> nouns = ParseNouns(
      "  1 The licence, indented\nbarn n 1 0\nfire_engine n 2 1\nfire n 9 2\nx-ray n 1\n");
  EXPECT_EQ(nouns, (std::set<std::string>{"barn", "fire engine", "fire", "x ray"}));
  EXPECT_EQ(ClipartWords("Barn_anthony_liekens_01", nouns), "barn");
  EXPECT_EQ(ClipartWords("fire_engine_dan_02", nouns), "fire engine");
  EXPECT_EQ(ClipartWords("fire_dan_02", nouns), "fire");
  EXPECT_EQ(ClipartWords("lovely_barn", nouns), std::nullopt);
}

}  // namespace
}  // namespace semsam
