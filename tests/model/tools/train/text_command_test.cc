// `semsam-train text` as it is called.
#include "model/tools/train/text_command.h"

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <sstream>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "model/weights/safetensors.h"
#include "tests/model/data/data_test_util.h"

namespace semsam {
namespace {

using ::semsam::testing::ReadText;
using ::semsam::testing::ScratchFolder;

class TextCommandTest : public ::testing::Test {
 protected:
  void SetUp() override {
    const std::string texts = "dog\nfire hydrant\ncat\nred car\n";
    const std::vector<float> rows = {1, 0, 0, 1, 0.8f, 0.6f, -1, 0};
    const std::vector<uint8_t> held_out = {0, 0, 0, 0};
    const auto bytes = [](const auto& values) {
      return std::as_bytes(std::span(values.data(), values.size()));
    };
    const std::vector<TensorView> tensors = {
        {"texts", DType::kUInt8, {static_cast<int64_t>(texts.size())}, {}, bytes(texts)},
        {"targets", DType::kFloat32, {4, 2}, {}, bytes(rows)},
        {"held_out", DType::kUInt8, {4}, {}, bytes(held_out)}};
    ASSERT_TRUE(WriteSafetensors(targets_, tensors, {}).ok());
  }

  // Exit code; what was said is in said_.
  int Call(std::vector<std::string> more) {
    std::vector<std::string> arguments = {"text",    "--targets", targets_,  "--out", out_,
                                          "--width", "8",         "--heads", "2",     "--layers",
                                          "1",       "--threads", "1"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    std::ostringstream said;
    const Command commands[] = {TextCommand()};
    const int code = RunProgram("semsam-train", commands, arguments, said, said);
    said_ = said.str();
    return code;
  }

  ScratchFolder folder_;
  const std::string targets_ = folder_ / "targets";
  const std::string out_ = folder_ / "out";
  std::string said_;
};

TEST_F(TextCommandTest, TrainsAndWritesWeights) {
  const std::string metrics = folder_ / "metrics";
  ASSERT_EQ(Call({"--steps", "20", "--batch", "4", "--token-rank", "4", "--dtype", "fp32",
                  "--metrics", metrics, "--limit", "1h"}),
            0)
      << said_;
  EXPECT_TRUE(absl::StrContains(said_, "4 names to learn")) << said_;
  EXPECT_TRUE(absl::StrContains(ReadText(metrics), "\"step\":20")) << said_;
  // The table of 49408 rows of 4 alone, in float32.
  EXPECT_GT(std::filesystem::file_size(out_), 49408u * 4 * 4);
  EXPECT_LT(std::filesystem::file_size(out_), 49408u * 4 * 4 + 20'000);
}

TEST_F(TextCommandTest, OptionsThatCannotBeReadAreNamed) {
  const char* const cases[][2] = {{"--steps", "many"}, {"--limit", "soon"},  {"--rate", "fast"},
                                  {"--dtype", "int8"}, {"--phrases", "1.5"}, {"--batch", "1"},
                                  {"--average", "2"}};
  for (const auto& [option, value] : cases) {
    EXPECT_EQ(Call({option, value}), 2) << option << " " << value;
    EXPECT_TRUE(absl::StrContains(said_, std::string(option).substr(2, 4))) << said_;
    EXPECT_FALSE(std::filesystem::exists(out_));
  }
  EXPECT_EQ(Call({"--targets", "twice"}), 2) << said_;
}

TEST_F(TextCommandTest, AFileThatIsNotThereIsNamed) {
  std::filesystem::remove(targets_);
  EXPECT_EQ(Call({}), 1);
  EXPECT_TRUE(absl::StrContains(said_, targets_)) << said_;
}

}  // namespace
}  // namespace semsam
