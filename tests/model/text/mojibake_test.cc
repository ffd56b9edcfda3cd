#include "model/text/mojibake.h"

#include <gtest/gtest.h>

#include <string>

namespace semsam {
namespace {

std::string Fix(std::string_view text) {
  std::string out;
  FixEncoding(icu::UnicodeString::fromUTF8({text.data(), static_cast<int32_t>(text.size())}))
      .toUTF8String(out);
  return out;
}

// What ftfy 6.1.1 makes of the same texts.
TEST(Mojibake, EncodingsThatUtf8IsTakenFor) {
  EXPECT_EQ(Fix("sch\u00C3\u00B6n"), "sch\u00F6n");            // Latin-1
  EXPECT_EQ(Fix("\u00E2\u20AC\u2122"), "\u2019");              // Windows-1252
  EXPECT_EQ(Fix("\u0432\u0402\u201D"), "\u2014");              // Windows-1251
  EXPECT_EQ(Fix("\u00E2\u201A\u00AC\u0159"), "\u20AC\u0159");  // Windows-1250
  EXPECT_EQ(Fix("\u221A\u00B1"), "\u00F1");                    // MacRoman
  EXPECT_EQ(Fix("\u251C\u00E9"), "\u00C2");                    // IBM 437
  EXPECT_EQ(Fix("\u00C3\u0192\u00C2\u00A9"), "\u00E9");        // twice
}

// Byte E6 of IBM 437: U+6421 is E6 90 A1 in UTF-8.
TEST(Mojibake, MicroSignOfIbm437) { EXPECT_EQ(Fix("\u00B5\u00C9\u00ED"), "\u6421"); }

TEST(Mojibake, LostAndChangedBytes) {
  EXPECT_EQ(Fix("voil\u00C3 le travail"), "voil\u00E0 le travail");
  EXPECT_EQ(Fix("\u00E2\u20AC\u0153 like this \u00E2\u20AC\uFFFD"), "\u201C like this \uFFFD");
  EXPECT_EQ(Fix("\u00ED\u00A0\u00BD\u00ED\u00B8\u0080"), "\U0001F600");  // CESU-8
}

TEST(Mojibake, RunsInsideOtherTextAreMendedByThemselves) {
  EXPECT_EQ(Fix("\u4E2D\u6587 sch\u00C3\u00B6n"), "\u4E2D\u6587 sch\u00F6n");
}

TEST(Mojibake, TextThatIsWellStays) {
  for (const std::string text :
       {"", "plain", "na\u00EFve fa\u00E7ade \u00FCber", "\u0391\u03B2\u03B3",
        "\u041F\u0440\u0438\u0432\u0435\u0442", "\u4E2D\u6587", "\u00C5ngstr\u00F6m", "\u20AC5",
        "\u00AF\\_(\u30C4)_/\u00AF"}) {
    EXPECT_EQ(Fix(text), text);
  }
}

}  // namespace
}  // namespace semsam
