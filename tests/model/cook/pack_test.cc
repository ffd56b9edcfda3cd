#include "model/cook/pack.h"

#include <filesystem>
#include <fstream>
#include <iterator>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "model/cook/compose.h"
#include "tests/model/cook/cook_test_util.h"

namespace semsam {
namespace {

using testing::HasSubstr;

absl::StatusOr<LoadedSample> MakeBox(size_t index) {
  Random random = Random::ForStream(11, index);
  auto sprite = std::make_shared<const Sprite>(BoxSprite({30, 30}, 200, "box"));
  absl::StatusOr<LoadedSample> loaded =
      Compose(PaintedBackdrop({64, 64}, random), {{.sprite = std::move(sprite), .x = 8, .y = 8}});
  if (loaded.ok()) {
    loaded->sample.vocabulary =
        std::make_shared<const Vocabulary>(Vocabulary{.name = "boxes", .objects = {"box"}});
    loaded->sample.licence = "CC0";
  }
  return loaded;
}

std::string ReadText(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

TEST(WritePack, IsTheSameForAnyNumberOfThreadsAndReadsBack) {
  const std::string folder = TestFolder();
  const DatasetInfo info{.name = "boxes", .licence = "CC0", .source = "made up"};
  for (const int threads : {1, 3}) {
    const auto counts = WritePack(folder + "/" + std::to_string(threads) + "/boxes", info, 12,
                                  MakeBox, {.threads = threads});
    ASSERT_TRUE(counts.ok()) << counts.status();
    EXPECT_EQ(counts->samples, 12u);
    EXPECT_EQ(counts->masks, 24);
  }
  int files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder + "/1/boxes")) {
    EXPECT_EQ(ReadText(entry.path()),
              ReadText(folder + "/3/boxes/" + entry.path().filename().string()))
        << entry.path();
    ++files;
  }
  EXPECT_EQ(files, 12 * 2 + 2);
  EXPECT_FALSE(std::filesystem::exists(folder + "/1/boxes.partial"));

  const auto dataset = OpenDataset({.images = folder + "/3/boxes"});
  ASSERT_TRUE(dataset.ok()) << dataset.status();
  EXPECT_EQ((*dataset)->info().licence, "CC0");
  const auto sample = LoadWithPicture(**dataset, 4);
  ASSERT_TRUE(sample.ok()) << sample.status();
  EXPECT_EQ(sample->sample.name, "boxes-000004");
  EXPECT_EQ(sample->sample.annotations, MakeBox(4)->sample.annotations);
}

TEST(WritePack, LeavesNothingHalfWritten) {
  const std::string folder = TestFolder();
  const MakeSample make = [](size_t index) -> absl::StatusOr<LoadedSample> {
    if (index == 5) return absl::InvalidArgumentError("sprite 5 is torn");
    return MakeBox(index);
  };
  const absl::Status status = WritePack(folder + "/boxes", {}, 40, make, {}).status();
  EXPECT_THAT(std::string(status.message()), HasSubstr("sprite 5 is torn"));
  EXPECT_TRUE(std::filesystem::is_empty(folder));
}

TEST(WritePack, ReplacesOnlyWhatAnEndedRunLeft) {
  const std::string folder = TestFolder();
  WriteText(folder + "/boxes.partial/old.json", "{");
  ASSERT_TRUE(WritePack(folder + "/boxes", {}, 1, MakeBox, {}).ok());
  EXPECT_FALSE(std::filesystem::exists(folder + "/boxes/old.json"));
  EXPECT_EQ(WritePack(folder + "/boxes", {}, 1, MakeBox, {}).status().code(),
            absl::StatusCode::kAlreadyExists);
  EXPECT_FALSE(Validate(PackOptions{.threads = 0}).ok());
}

}  // namespace
}  // namespace semsam
