// The program on the collection as it lies; skipped where there is none.
#include "model/cook/cook.h"

#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "model/data/dataset.h"
#include "tests/model/cook/cook_test_util.h"

namespace semsam {
namespace {

using testing::HasSubstr;

bool HasCollection() { return std::filesystem::exists(SEMSAM_DATA_DIR "/icons/noto.json.gz"); }

std::set<std::string> ObjectNames(const Dataset& dataset) {
  std::set<std::string> names;
  for (size_t i = 0; i < dataset.size(); ++i) {
    const absl::StatusOr<Sample> sample = dataset.Load(i);
    EXPECT_TRUE(sample.ok()) << sample.status();
    if (!sample.ok()) continue;
    for (const Annotation& annotation : sample->annotations) {
      if (!annotation.object_name.empty()) names.insert(annotation.object_name);
    }
  }
  return names;
}

TEST(Cook, PacksReadBackAndUnseenNamesAreNotTrainedOn) {
  if (!HasCollection()) GTEST_SKIP() << "no collection in " << SEMSAM_DATA_DIR;
  const CookOptions options{.sources = {.data = SEMSAM_DATA_DIR},
                            .out = TestFolder() + "/packs",
                            .share = 0.004,
                            .packs = {"icons", "icons-unseen-names", "cutouts", "faces"}};
  std::vector<CookedPack> packs;
  const absl::Status status =
      Cook(options, FakeClock(), [&](const CookedPack& pack) { packs.push_back(pack); });
  ASSERT_TRUE(status.ok()) << status;
  ASSERT_EQ(packs.size(), 4u);
  EXPECT_EQ(packs[0].counts.samples, 18u);
  std::vector<std::set<std::string>> names;
  for (const CookedPack& pack : packs) {
    EXPECT_GT(pack.counts.masks, static_cast<int64_t>(pack.counts.samples)) << pack.name;
    EXPECT_TRUE(pack.broken.empty()) << pack.broken.begin()->first;
    const auto dataset = OpenDataset({.images = options.out + "/" + pack.name});
    ASSERT_TRUE(dataset.ok()) << dataset.status();
    ASSERT_EQ((*dataset)->size(), pack.counts.samples);
    names.push_back(ObjectNames(**dataset));
    const auto picture = LoadWithPicture(**dataset, 0);
    ASSERT_TRUE(picture.ok()) << picture.status();
    EXPECT_FALSE(picture->sample.licence.empty());
    EXPECT_FALSE(picture->sample.source.empty());
  }
  const auto trained = OpenDataset({.images = options.out + "/icons"});
  const std::vector<std::string>& listed = (*trained)->info().vocabulary->objects;
  EXPECT_GT(listed.size(), 800u);
  for (const std::string& name : names[1])
    EXPECT_THAT(listed, testing::Not(testing::Contains(name)));
  EXPECT_EQ(names[3], (std::set<std::string>{"person"}));

  std::ifstream file(options.out + "/words.txt");
  const std::string words(std::istreambuf_iterator<char>(file), {});
  EXPECT_THAT(words, HasSubstr("\neyebrow\n"));
  EXPECT_THAT(words, HasSubstr("\n" + *names[1].begin() + "\n"));

  EXPECT_EQ(Cook(options, FakeClock(), [](const CookedPack&) {}).code(),
            absl::StatusCode::kAlreadyExists);
}

TEST(Cook, WhatIsMissingOrUnknownIsNamed) {
  CookOptions options{
      .sources = {.data = TestFolder()}, .out = TestFolder() + "/packs", .packs = {"icons"}};
  const auto done = [](const CookedPack&) {};
  EXPECT_THAT(std::string(Cook(options, FakeClock(), done).message()), HasSubstr("noto.json.gz"));
  options.packs = {"iconz"};
  EXPECT_THAT(std::string(Validate(options).message()), HasSubstr("iconz"));
  EXPECT_FALSE(Validate(CookOptions{.sources = {.data = "a"}, .out = "b", .share = 0}).ok());
  EXPECT_FALSE(Validate(CookOptions{.sources = {.data = "a"}}).ok());
}

}  // namespace
}  // namespace semsam
