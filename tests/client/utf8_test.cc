#include "client/utf8.h"

#include <gtest/gtest.h>

#include <string>

namespace semsam::client {
namespace {

TEST(Utf8Test, TellsTheLengthOfEveryCodePoint) {
  EXPECT_EQ(Utf8Length("a\xc3"), 1);
  EXPECT_EQ(Utf8Length("\xc3\xa9!"), 2);
  EXPECT_EQ(Utf8Length("\xe7\x8b\x97"), 3);
  EXPECT_EQ(Utf8Length("\xf0\x9f\x90\x95"), 4);
  EXPECT_EQ(Utf8Length("\xf4\x8f\xbf\xbf"), 4);  // the last one
  EXPECT_EQ(Utf8Length(""), 0);
  EXPECT_EQ(Utf8Length(std::string_view("\0", 1)), 1);
}

TEST(Utf8Test, RefusesWhatIsNotWellFormed) {
  for (const char* bad : {"\x80", "\xff", "\xc3", "\xc3(", "\xc0\xaf", "\xe0\x80\xaf",
                          "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xf8\x88\x80\x80\x80", "\xe7\x8b"}) {
    EXPECT_EQ(Utf8Length(bad), 0) << testing::PrintToString(bad);
    EXPECT_FALSE(IsUtf8(std::string("dog ") + bad)) << testing::PrintToString(bad);
  }
  EXPECT_TRUE(IsUtf8("dog, ch\xc3\xa8vre, \xe7\x8b\x97"));
  EXPECT_TRUE(IsUtf8(""));
}

}  // namespace
}  // namespace semsam::client
