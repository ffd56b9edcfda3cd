// `semsam-train cook` as it is called.
#include "model/tools/train/cook_command.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "model/image/png_codec.h"
#include "model/image/run_lengths.h"
#include "tests/model/data/data_test_util.h"

namespace semsam {
namespace {

using ::semsam::testing::Loaded;
using ::semsam::testing::Opened;
using ::semsam::testing::ReadText;
using ::semsam::testing::ScratchFolder;
using ::semsam::testing::WriteText;
using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr ImageSize kSize = {.height = 40, .width = 60};
constexpr uint8_t kCat = 1;

// A collection of ten photographs of pets: a cat of 40 x 20 px in each, and the box of
// the first one's head.
class CookCommandTest : public ::testing::Test {
 protected:
  void SetUp() override {
    const std::vector<uint8_t> grey(kSize.area(), 120);
    std::vector<uint8_t> labels(kSize.area(), 0);
    for (int y = 10; y < 30; ++y) {
      for (int x = 10; x < 50; ++x) labels[y * kSize.width + x] = kCat;
    }
    const auto picture = EncodeGreyPng(grey, kSize);
    const auto map = EncodeGreyPng(labels, kSize);
    ASSERT_TRUE(picture.ok() && map.ok());
    for (int i = 0; i < 10; ++i) {
      const std::string name = "pet_" + std::to_string(i) + ".png";
      WriteText(data_ + "/pets/images/" + name, *picture);
      WriteText(data_ + "/pets/labels/" + name, *map);
    }
    WriteText(data_ + "/pets/meta.json", R"({"pet_0": {"head_box_xyxy": [10, 10, 20, 30]}})");
  }

  // Exit code; what was said is in said_.
  int Call(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), "cook");
    std::ostringstream said;
    const Command commands[] = {CookCommand()};
    const int code = RunProgram("semsam-train", commands, arguments, said, said);
    said_ = said.str();
    return code;
  }

  ScratchFolder folder_;
  const std::string data_ = folder_ / "data";
  const std::string out_ = folder_ / "packs";
  std::string said_;
};

TEST_F(CookCommandTest, PacksReadBack) {
  ASSERT_EQ(Call({"--data", data_, "--out", out_, "--packs", "pets,pets-held-out", "--threads=3"}),
            0)
      << said_;
  EXPECT_THAT(said_, AllOf(HasSubstr("9 pictures"), HasSubstr("pets-held-out")));
  const std::unique_ptr<Dataset> pack = Opened({.images = out_ + "/pets"});
  ASSERT_NE(pack, nullptr);
  ASSERT_EQ(pack->size(), 9u);
  EXPECT_THAT(pack->info().source, HasSubstr("Oxford"));
  const Sample first = Loaded(*pack, 0);
  ASSERT_EQ(first.annotations.size(), 3u);
  EXPECT_EQ(first.annotations[0].object_name, "cat");
  EXPECT_EQ(MaskArea(*first.annotations[0].mask), 40 * 20);
  EXPECT_EQ(first.annotations[1].part_name, "head");
  EXPECT_EQ(MaskArea(*first.annotations[1].mask), 10 * 20);
  EXPECT_EQ(first.annotations[2].part_name, "body");
  EXPECT_EQ(Loaded(*pack, 1).annotations.size(), 1u);
  EXPECT_TRUE(LoadWithPicture(*pack, 8).ok());
  const std::unique_ptr<Dataset> held_out = Opened({.images = out_ + "/pets-held-out"});
  ASSERT_NE(held_out, nullptr);
  ASSERT_EQ(held_out->size(), 1u);
  EXPECT_EQ(held_out->name(0), "pet_9");
  EXPECT_EQ(ReadText(out_ + "/words.txt"), "body\ncat\ndog\nhead\n");
}

TEST_F(CookCommandTest, APackThatIsThereStays) {
  const std::vector<std::string> arguments = {"--data", data_, "--out", out_, "--packs", "pets"};
  ASSERT_EQ(Call(arguments), 0) << said_;
  EXPECT_EQ(Call(arguments), 1);
  EXPECT_THAT(said_, HasSubstr(out_ + "/pets: is there already"));
  EXPECT_TRUE(std::filesystem::exists(out_ + "/pets/pet_0.json"));
}

TEST_F(CookCommandTest, OptionsThatCannotBeReadAreNamed) {
  const std::pair<std::string, std::string> cases[] = {
      {"--seed=-1", "--seed must be a whole number, not \"-1\""},
      {"--threads=two", "--threads must be a whole number"},
      {"--threads=0", "writing.threads: must be between 1 and 64"},
      {"--share=much", "--share must be a number"},
      {"--share=0", "share: must be between"},
      {"--max-broken=-2", "--max-broken must be"},
      {"--packs=pets,cakes", "there is no \"cakes\""},
      {"--pack=pets", "unknown argument --pack"}};
  for (const auto& [argument, error] : cases) {
    EXPECT_EQ(Call({"--data", data_, "--out", out_, argument}), 2) << argument;
    EXPECT_THAT(said_, HasSubstr(error));
    EXPECT_THAT(said_, HasSubstr("packs: icons,"));  // the help
  }
  EXPECT_EQ(Call({"--data", data_}), 2);
  EXPECT_THAT(said_, HasSubstr("--out is missing"));
  EXPECT_FALSE(std::filesystem::exists(out_));
}

TEST_F(CookCommandTest, WhatIsNotThereIsNamed) {
  const std::string nowhere = folder_ / "nowhere";
  EXPECT_EQ(Call({"--data", nowhere, "--out", out_, "--packs", "pets"}), 1);
  EXPECT_THAT(said_, AllOf(HasSubstr("pack pets: "), HasSubstr(nowhere + "/pets")));
  EXPECT_EQ(Call({"--data", data_, "--out", out_, "--packs", "icons"}), 1);
  EXPECT_THAT(said_, HasSubstr(data_ + "/icons/noto.json.gz"));
  // A picture that has gone, in the middle of a pack: nothing is left of it.
  std::filesystem::remove(data_ + "/pets/images/pet_4.png");
  EXPECT_EQ(Call({"--data", data_, "--out", out_, "--packs", "pets"}), 1);
  EXPECT_THAT(said_, HasSubstr("pet_4"));
  EXPECT_TRUE(std::filesystem::is_empty(out_));
}

}  // namespace
}  // namespace semsam
