#include "model/text/clean_text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>

#include "model/base/errors.h"

namespace semsam {
namespace {

std::string Clean(std::string_view text) {
  const absl::StatusOr<std::string> cleaned = CleanText(text);
  return cleaned.ok() ? *cleaned : std::string(cleaned.status().message());
}

TEST(CleanText, EveryReferenceRowCleansAsPublished) {
  const auto file = std::filesystem::path(SEMSAM_PARITY_DIR) / "text" / "tokens.json";
  if (!std::filesystem::exists(file)) GTEST_SKIP() << "no " << file;
  const nlohmann::json rows = nlohmann::json::parse(std::ifstream(file))["rows"];
  ASSERT_EQ(rows.size(), 70u);
  for (const nlohmann::json& row : rows) {
    EXPECT_EQ(Clean(row["text"].get<std::string>()), row["cleaned"].get<std::string>());
  }
}

TEST(CleanText, WhiteSpaceOfEveryKindIsOneBlank) {
  EXPECT_EQ(Clean("\t a \r\n b\xC2\xA0\xE3\x80\x80 c\xE2\x80\xA8"), "a b c");
  EXPECT_EQ(Clean(" \n\t\xE2\x80\x83"), "");
  EXPECT_EQ(Clean(""), "");
}

TEST(CleanText, LowerCaseIsThatOfUnicode) {
  EXPECT_EQ(Clean("\u0130STANBUL"), "i\u0307stanbul");
  // The sigma at the end of a word has a form of its own.
  EXPECT_EQ(Clean("\u039F\u0394\u039F\u03A3 \u03A3"), "\u03BF\u03B4\u03BF\u03C2 \u03C3");
  EXPECT_EQ(Clean("\U00010400"), "\U00010428");
}

TEST(CleanText, EntitiesAreReadUnlessThereIsMarkup) {
  EXPECT_EQ(Clean("r&amp;b"), "r&b");
  EXPECT_EQ(Clean("&amp;amp;amp;lt;"), "<");
  EXPECT_EQ(Clean("P&EACUTE;REZ &#x41;&#66; &#128;"), "p\u00E9rez ab \u20AC");
  EXPECT_EQ(Clean("&nosuch; &#; &#x; &#12b; &#59; & &amp"),
            "&nosuch; &#; &#x; &#12b; &#59; & &amp");
  EXPECT_EQ(Clean("&#0;&#xD800;&#x110000;&#99999999999999999999;"), "\uFFFD\uFFFD\uFFFD\uFFFD");
  EXPECT_EQ(Clean("<b>&amp;"), "<b>&amp;");
  // From the line with the "<" on.
  EXPECT_EQ(Clean("&amp;\n<\n&amp;"), "& < &amp;");
}

TEST(CleanText, FormsOfLettersAndQuotesBecomePlain) {
  EXPECT_EQ(Clean("\uFB01ne \u0132ssel \u0149"), "fine ijssel 'n");
  EXPECT_EQ(Clean("\uFF26\uFF35\uFF2C\uFF2C \uFF76\uFF9E"), "full \u30AC");
  EXPECT_EQ(Clean("\u201Cit\u2019s\u201D"), "\"it's\"");
  EXPECT_EQ(Clean("cafe\u0301"), "caf\u00E9");
}

TEST(CleanText, ControlCharactersAndTerminalEscapesGo) {
  EXPECT_EQ(Clean("a\x07\x1B[31;1mred\x1B[0m\x7F\uFEFF"), "ared");
  EXPECT_EQ(Clean("\x1B[12"), "[12");
  EXPECT_EQ(Clean(std::string_view("a\0b", 3)), "ab");
}

TEST(CleanText, WhatIsNotUtf8IsRefused) {
  for (const std::string_view text :
       {"\xFF", "a\xC3", "\xC0\x80", "\xED\xA0\x80", "\xF4\x90\x80\x80", "\x80"}) {
    const absl::StatusOr<std::string> cleaned = CleanText(text);
    EXPECT_EQ(cleaned.status().code(), absl::StatusCode::kInvalidArgument);
    EXPECT_EQ(ErrorField(cleaned.status()), "text");
    EXPECT_EQ(CountCharacters(text), -1);
  }
}

TEST(CleanText, CharactersAreCodePoints) {
  EXPECT_EQ(CountCharacters(""), 0);
  EXPECT_EQ(CountCharacters("a\u00E9\u4E2D\U0001F600"), 4);
}

// Text made to need work: every one of these must end soon, whatever comes out.
TEST(CleanText, HostileTextIsCleanedInBoundedTime) {
  std::string nested = "&", mojibake, runs;
  for (int i = 0; i < 20000; ++i) {
    nested += "amp;";
    mojibake += "\u00C3";
    runs += "\u00C3\u00A9\u4E2D";
  }
  for (const std::string& text : {nested, mojibake, runs, std::string(100000, '&')}) {
    EXPECT_TRUE(CleanText(text).ok());
  }
}

}  // namespace
}  // namespace semsam
