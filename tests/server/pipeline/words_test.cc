#include "server/pipeline/words.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

#include "model/base/errors.h"

namespace semsam {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

absl::StatusOr<WordTable> Clean(std::vector<std::string> words, WordLimits limits = {}) {
  return CleanWords({.words = std::move(words), .mode = TextMode::kPlain}, "labels.objects",
                    limits);
}

TEST(Words, ARepeatStandsUnderItsFirstSpelling) {
  const auto table = Clean({"Dog ", "cat", "dog", "  DOG", "fire  truck", "fire truck"});
  ASSERT_TRUE(table.ok()) << table.status();
  EXPECT_THAT(table->terms, ElementsAre("dog", "cat", "fire truck"));
  EXPECT_THAT(table->names, ElementsAre("Dog ", "cat", "fire  truck"));
  EXPECT_THAT(table->word_index, ElementsAre(0, 1, 4));
  EXPECT_EQ(table->mode, TextMode::kPlain);
}

TEST(Words, WordsThatAreKnownAreLeftOut) {
  const auto things = Clean({"dog", "sky"});
  ASSERT_TRUE(things.ok());
  const auto stuff = CleanWords({.words = {"grass", "SKY"}}, "stuff", {}, &*things);
  ASSERT_TRUE(stuff.ok()) << stuff.status();
  EXPECT_THAT(stuff->terms, ElementsAre("grass"));
}

TEST(Words, BadWordsAreNamedByTheirPlace) {
  struct Case {
    const char* what;
    std::vector<std::string> words;
    std::string field;
    std::string_view reason;
  };
  const Case cases[] = {
      {"empty", {"dog", ""}, "labels.objects.words[1]", reason::kInvalidArgument},
      {"blank", {"dog", "cat", " \t\n "}, "labels.objects.words[2]", reason::kInvalidArgument},
      {"65 characters", {std::string(65, 'x')}, "labels.objects.words[0]", reason::kLimitExceeded},
      {"10 kB", {"a", std::string(10240, 'x')}, "labels.objects.words[1]", reason::kLimitExceeded},
      {"no UTF-8", {"dog", "\xff\xfe"}, "labels.objects.words[1]", reason::kInvalidArgument},
      {"cut UTF-8", {"caf\xc3"}, "labels.objects.words[0]", reason::kInvalidArgument},
      {"10 kB of no UTF-8",
       {std::string(10240, '\xff')},
       "labels.objects.words[0]",
       reason::kLimitExceeded},
      {"2,001 words", std::vector<std::string>(2001, "dog"), "labels.objects.words",
       reason::kLimitExceeded},
  };
  for (const Case& test : cases) {
    const absl::Status status = Clean(test.words).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << test.what;
    EXPECT_EQ(ErrorField(status), test.field) << test.what << ": " << status;
    EXPECT_EQ(ErrorReason(status), test.reason) << test.what;
  }
}

TEST(Words, TheLimitsThemselvesAreAllowed) {
  std::string euros;
  for (int i = 0; i < 64; ++i) euros += "\xe2\x82\xac";  // three bytes, one character
  EXPECT_TRUE(Clean({euros, std::string(64, 'x')}).ok());
  EXPECT_EQ(ErrorReason(Clean({euros + "x"}).status()), reason::kLimitExceeded);
  const auto table = Clean(std::vector<std::string>(2000, "dog"));
  ASSERT_TRUE(table.ok());
  EXPECT_THAT(table->terms, ElementsAre("dog"));
  const auto none = Clean({});
  ASSERT_TRUE(none.ok());
  EXPECT_THAT(none->terms, IsEmpty());
}

}  // namespace
}  // namespace semsam
