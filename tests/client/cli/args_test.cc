#include "client/cli/args.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

namespace semsam::client {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

struct Values {
  std::vector<std::string> clicks;
  std::string name;
  std::optional<float> number;
  std::vector<int> list;
  int count = 0;
  absl::Duration time;
  bool flag = false;
};

absl::Status Parse(const std::vector<std::string>& args, Values& values) {
  ArgParser parser;
  parser.AddRepeated("click", "X,Y", "a point", [&values](const std::string& text) {
    values.clicks.push_back(text);
    return absl::OkStatus();
  });
  parser.AddValue("name", "NAME", "a name", SetString(values.name));
  parser.AddValue("number", "N", "a number", SetFloat(values.number));
  parser.AddValue("list", "1,2", "a list", SetIntList(values.list));
  parser.AddValue("count", "N", "a count", SetNonNegativeInt(values.count));
  parser.AddValue("time", "SECONDS", "a time", SetSeconds(values.time));
  parser.AddSwitch("flag", "a switch", values.flag);
  return parser.Parse(args);
}

TEST(ArgParserTest, TakesBothFormsAndRepeatsInOrder) {
  Values values;
  ASSERT_TRUE(Parse({"--click", "1,2", "--name=a=b", "--click=3,4", "--number", "-0.5", "--flag",
                     "--list", "1,2,6", "--count", "0", "--time", "1.5"},
                    values)
                  .ok());
  EXPECT_THAT(values.clicks, ElementsAre("1,2", "3,4"));
  EXPECT_EQ(values.name, "a=b");
  EXPECT_EQ(values.number, -0.5f);
  EXPECT_THAT(values.list, ElementsAre(1, 2, 6));
  EXPECT_EQ(values.time, absl::Milliseconds(1500));
  EXPECT_TRUE(values.flag);
}

TEST(ArgParserTest, AnUnderscoreIsAHyphen) {
  ArgParser parser;
  std::string mode;
  parser.AddValue("text-mode", "MODE", "a mode", SetString(mode));
  EXPECT_FALSE(parser.Given("text-mode"));
  ASSERT_TRUE(parser.Parse({"--text_mode=a_b"}).ok());
  EXPECT_EQ(mode, "a_b");
  EXPECT_TRUE(parser.Given("text-mode"));
  EXPECT_FALSE(parser.Given("other"));
}

TEST(ArgParserTest, EveryErrorNamesTheFlagAndSaysWhatIsWrong) {
  const std::pair<std::vector<std::string>, const char*> cases[] = {
      {{"--other"}, "--other: there is no such flag"},
      {{"--"}, "there is no such flag"},
      {{"stray"}, "'stray' is no flag"},
      {{"--name", "a", "--name", "b"}, "--name: is given twice"},
      {{"--name"}, "--name: needs a value, NAME"},
      {{"--name="}, "--name: must not be empty"},
      {{"--flag=yes"}, "--flag: takes no value"},
      {{"--number", "nan"}, "--number: 'nan' holds"},
      {{"--number", "inf"}, "--number: 'inf' holds"},
      {{"--number", "1,2"}, "--number: '1,2' has not"},
      {{"--list", "1,,2"}, "--list: '1,,2' is no list"},
      {{"--count", "-1"}, "--count: '-1' is no whole number"},
      {{"--count", "99999999999"}, "--count:"},
      {{"--time", "0"}, "--time: '0' is no time"},
      {{"--time", "nan"}, "--time:"},
  };
  for (const auto& [args, text] : cases) {
    Values values;
    const absl::Status status = Parse(args, values);
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << args[0];
    EXPECT_THAT(std::string(status.message()), HasSubstr(text));
  }
}

TEST(ArgParserTest, HelpShowsPlaceholdersAndRepetition) {
  ArgParser parser;
  bool flag = false;
  parser.AddGroup("Group");
  parser.AddRepeated("click", "X,Y", "a point",
                     [](const std::string&) { return absl::OkStatus(); });
  parser.AddSwitch("flag", "a switch", flag);
  const std::string help = parser.Help();
  EXPECT_THAT(help, HasSubstr("Group:\n"));
  EXPECT_THAT(help, HasSubstr("  --click X,Y ...             a point\n"));
  EXPECT_THAT(help, HasSubstr("  --flag                      a switch\n"));
}

TEST(ParseNumbersTest, WantsExactlyTheCount) {
  EXPECT_THAT(*ParseNumbers("1.5,-2", 2), ElementsAre(1.5f, -2.0f));
  EXPECT_FALSE(ParseNumbers("1", 2).ok());
  EXPECT_FALSE(ParseNumbers("1,2,3", 2).ok());
  EXPECT_FALSE(ParseNumbers("", 1).ok());
  EXPECT_FALSE(ParseNumbers("1e99,1", 2).ok());
}

}  // namespace
}  // namespace semsam::client
