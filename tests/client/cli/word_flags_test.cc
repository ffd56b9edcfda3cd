#include "client/cli/word_flags.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "absl/strings/str_cat.h"

namespace semsam::client {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class ParseWordsTest : public ::testing::Test {
 protected:
  ParseWordsTest()
      : path_(std::filesystem::path(testing::TempDir()) /
              absl::StrCat("semsam_words_",
                           testing::UnitTest::GetInstance()->current_test_info()->name(), "_",
                           getpid())) {}
  ~ParseWordsTest() override { std::filesystem::remove(path_); }

  void WriteFile(const std::string& bytes) {
    std::ofstream file(path_, std::ios::binary);
    file << bytes;
  }
  std::string Error(const std::string& text) {
    return std::string(ParseWords(text).status().message());
  }

  const std::filesystem::path path_;
};

TEST_F(ParseWordsTest, CommasPartWordsAndSpaceAroundThemGoes) {
  EXPECT_THAT(*ParseWords("dog"), ElementsAre("dog"));
  EXPECT_THAT(*ParseWords(" polar bear ,cat,ch\xc3\xa8vre"),
              ElementsAre("polar bear", "cat", "ch\xc3\xa8vre"));
}

TEST_F(ParseWordsTest, AFileHasAWordALine) {
  WriteFile(
      "\xef\xbb\xbf"
      "dog\r\n\n  polar bear, white \nlast");
  EXPECT_THAT(*ParseWords(absl::StrCat("cat,@", path_.string(), ",fox")),
              ElementsAre("cat", "dog", "polar bear, white", "last", "fox"));
}

TEST_F(ParseWordsTest, ErrorsSayWhatIsWrong) {
  EXPECT_THAT(Error(""), HasSubstr("word 1 of '' is empty"));
  EXPECT_THAT(Error("dog,,cat"), HasSubstr("word 2"));
  EXPECT_THAT(Error("dog,\xff"), HasSubstr("word 2 is not UTF-8"));
  EXPECT_THAT(Error("@/no/such/file"), HasSubstr("cannot read the words in /no/such/file"));
  EXPECT_THAT(Error(absl::StrCat("@", testing::TempDir())), HasSubstr("cannot read"));
  WriteFile("\n \n");
  EXPECT_THAT(Error(absl::StrCat("@", path_.string())), HasSubstr("holds no word"));
  WriteFile("dog\ncat\xc3\n");
  EXPECT_THAT(Error(absl::StrCat("@", path_.string())), HasSubstr("line 2, is not UTF-8"));
  WriteFile(std::string(kMaxWordFileBytes + 1, 'a'));
  EXPECT_THAT(Error(absl::StrCat("@", path_.string())), HasSubstr("too large"));
}

TEST(AppendWordsTest, ARepeatedFlagAddsWords) {
  std::vector<std::string> words;
  const ArgParser::Setter set = AppendWords(words);
  ASSERT_TRUE(set("dog,cat").ok());
  ASSERT_TRUE(set("fox").ok());
  EXPECT_THAT(words, ElementsAre("dog", "cat", "fox"));
}

TEST(AppendWordsTest, ModelAsksForItsOwnWordsAndStandsAlone) {
  WordList own;
  const ArgParser::Setter set = AppendWords(own);
  ASSERT_TRUE(set("@model").ok());
  EXPECT_TRUE(own.model_vocabulary);
  EXPECT_TRUE(own.words.empty());
  EXPECT_FALSE(own.empty());
  EXPECT_THAT(std::string(set("dog").message()), HasSubstr("@model stands alone"));

  WordList listed;
  ASSERT_TRUE(AppendWords(listed)("dog,cat").ok());
  EXPECT_FALSE(listed.model_vocabulary);
  EXPECT_THAT(std::string(AppendWords(listed)("@model").message()), HasSubstr("@./model"));
  EXPECT_THAT(listed.words, ElementsAre("dog", "cat"));
}

TEST(SetTextModeTest, TakesThreeNames) {
  TextMode mode = TextMode::kEnsemble;
  EXPECT_TRUE(SetTextMode(mode)("plain").ok());
  EXPECT_EQ(mode, TextMode::kPlain);
  EXPECT_TRUE(SetTextMode(mode)("ensemble").ok());
  EXPECT_EQ(mode, TextMode::kEnsemble);
  EXPECT_TRUE(SetTextMode(mode)("model").ok());
  EXPECT_EQ(mode, TextMode::kModel);
  EXPECT_FALSE(SetTextMode(mode)("Plain").ok());
}

}  // namespace
}  // namespace semsam::client
