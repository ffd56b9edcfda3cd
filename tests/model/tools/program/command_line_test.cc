#include "model/tools/program/command_line.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace semsam {
namespace {

using ::testing::HasSubstr;

struct Values {
  std::string name = "nobody";
  bool loud = false;
  int level = 3;
  int64_t change = 0;
  uint64_t seed = 1;
  double share = 0.5;
};

CommandLine MakeCommandLine(Values& values) {
  CommandLine line;
  line.AddText("name", "NAME", "who", &values.name, CommandLine::Need::kRequired);
  line.AddFlag("loud", "or not", &values.loud);
  line.AddNumber("level", "N", "how far", &values.level, {.least = 1, .most = 64});
  line.AddNumber("change", "N", "by how much", &values.change, {.most = 100});
  line.AddNumber("seed", "N", "of everything", &values.seed);
  line.AddNumber("share", "X", "of it", &values.share, {.least = 0});
  return line;
}

TEST(CommandLineTest, ReadsWhatIsGivenAndLeavesTheRest) {
  Values values;
  const std::vector<std::string> few = {"--name", "a=b"};
  ASSERT_TRUE(MakeCommandLine(values).Parse(few).ok());
  EXPECT_EQ(values.name, "a=b");
  EXPECT_FALSE(values.loud);
  EXPECT_EQ(values.level, 3);
  EXPECT_EQ(values.share, 0.5);
  const std::vector<std::string> all = {
      "--loud",  "--level=64", "--change", "-9000000000", "--seed=18446744073709551615",
      "--share", "2.5e3",      "--name="};
  const absl::Status status = MakeCommandLine(values).Parse(all);
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_EQ(values.name, "");
  EXPECT_TRUE(values.loud);
  EXPECT_EQ(values.level, 64);
  EXPECT_EQ(values.change, -9'000'000'000);
  EXPECT_EQ(values.seed, UINT64_MAX);
  EXPECT_EQ(values.share, 2500);
}

TEST(CommandLineTest, NumbersThatAreNoneOrOutOfRangeAreNamed) {
  const std::pair<std::string, std::string> cases[] = {
      {"--level=0", "--level must be a whole number of 1 to 64, not \"0\""},
      {"--level=65", "--level must be"},
      {"--level=", "--level must be"},
      {"--level=2.0", "--level must be"},
      {"--level=3 dogs", "not \"3 dogs\""},
      {"--level=99999999999", "--level must be"},
      {"--change=101", "--change must be a whole number of at most 100, not \"101\""},
      {"--seed=-1", "--seed must be a whole number, not \"-1\""},
      {"--share=-0.1", "--share must be a number of at least 0, not \"-0.1\""},
      {"--share=half", "--share must be"},
      {"--share=nan", "--share must be"},
      {"--share=inf", "--share must be"}};
  for (const auto& [argument, error] : cases) {
    Values values;
    const std::vector<std::string> arguments = {"--name=x", argument};
    const absl::Status status = MakeCommandLine(values).Parse(arguments);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << argument;
    EXPECT_THAT(std::string(status.message()), HasSubstr(error));
    EXPECT_EQ(values.level, 3);
    EXPECT_EQ(values.share, 0.5);
  }
}

TEST(CommandLineTest, OtherMistakesAreNamed) {
  const std::pair<std::vector<std::string>, std::string> cases[] = {
      {{"--level", "4"}, "--name is missing"},
      {{"--name"}, "--name needs a value"},
      {{"--name", "x", "--name=y"}, "--name is given twice"},
      {{"--name=x", "--loud=1"}, "--loud takes no value"},
      {{"--name=x", "--lever", "4"}, "unknown argument --lever"},
      {{"name=x"}, "unknown argument name"}};
  for (const auto& [arguments, error] : cases) {
    Values values;
    const absl::Status status = MakeCommandLine(values).Parse(arguments);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << error;
    EXPECT_THAT(std::string(status.message()), HasSubstr(error));
  }
}

TEST(CommandLineTest, HelpHasALineForEachOption) {
  Values values;
  const std::string help = MakeCommandLine(values).Help();
  EXPECT_THAT(help, HasSubstr("--name NAME"));
  EXPECT_THAT(help, HasSubstr("who (required)\n"));
  EXPECT_THAT(help, HasSubstr("--share X"));
}

}  // namespace
}  // namespace semsam
