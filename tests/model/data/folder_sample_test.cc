#include "model/data/folder_sample.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <memory>
#include <string>

#include "tests/model/data/data_test_util.h"

namespace semsam {
namespace {

using ::semsam::testing::Fixture;
using ::semsam::testing::Loaded;
using ::semsam::testing::MaskFrom;
using ::semsam::testing::Opened;
using ::semsam::testing::Rectangle;
using ::semsam::testing::ScratchFolder;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

LoadedSample House() {
  LoadedSample loaded;
  loaded.picture.size = {.height = 3, .width = 4};
  for (int i = 0; i < 36; ++i) loaded.picture.pixels.push_back(static_cast<uint8_t>(7 * i));
  Sample& sample = loaded.sample;
  sample.name = "house";
  sample.size = loaded.picture.size;
  sample.vocabulary = std::make_shared<const Vocabulary>(
      Vocabulary{.name = "town", .objects = {"house"}, .parts = {"door"}, .closed_world = true});
  sample.licence = "CC0 1.0";
  sample.source = "here";
  sample.absent = {"boat"};
  const RunLengths wall = MaskFrom({"###.", "###.", "###."}),
                   door = MaskFrom({"....", ".#..", ".#.."});
  sample.annotations = {
      {.id = 9,
       .mask = door,
       .box = TightBox(door),
       .object_name = "house",
       .part_name = "door",
       .parent = 1},
      {.id = 4, .mask = wall, .box = TightBox(wall), .object_name = "house"},
      {.id = 5, .box = {.x0 = 3.25, .y0 = 0, .x1 = 4, .y1 = 2.5}, .crowd = true, .stuff = true}};
  sample.unknown = MaskFrom({"...#", "....", "...."});
  return loaded;
}

TEST(FolderSample, AFolderWrittenByHandIsRead) {
  const auto dataset = Opened({.format = DatasetFormat::kFolder, .images = Fixture("folder")});
  ASSERT_EQ(dataset->size(), 1);
  EXPECT_EQ(dataset->info().name, "garden");
  EXPECT_EQ(dataset->info().licence, "CC0 1.0");
  const Sample sample = Loaded(*dataset, 0);
  EXPECT_TRUE(LoadPicture(sample).ok());
  EXPECT_EQ(sample.licence, "CC0 1.0");
  EXPECT_THAT(sample.vocabulary->objects, ElementsAre("house", "tree"));
  EXPECT_TRUE(sample.vocabulary->closed_world);
  ASSERT_EQ(sample.annotations.size(), 3);
  EXPECT_EQ(sample.annotations[0].part_name, "roof");
  EXPECT_EQ(sample.annotations[0].parent, 1);
  EXPECT_EQ(*sample.annotations[0].mask, Rectangle(sample.size, 2, 2, 4, 4));
  EXPECT_EQ(*sample.annotations[1].mask, Rectangle(sample.size, 1, 2, 6, 9));
  EXPECT_FALSE(sample.annotations[2].mask.has_value());
  EXPECT_EQ(sample.annotations[2].box, (BoxPx{8.5, 1, 13, 11}));
  EXPECT_EQ(*sample.unknown, Rectangle(sample.size, 14, 0, 2, 12));
}

TEST(FolderSample, WhatIsWrittenIsReadBackEqual) {
  const ScratchFolder folder;
  const LoadedSample house = House();
  ASSERT_TRUE(WriteFolderSample(folder.path(), "house", house, {.jpeg_quality = 0}).ok());
  ASSERT_TRUE(WriteFolderInfo(folder.path(), {.name = "town", .licence = "none"}).ok());
  const auto dataset = Opened({.format = DatasetFormat::kFolder, .images = folder.path()});
  ASSERT_EQ(dataset->size(), 1);
  const auto back = LoadWithPicture(*dataset, 0);
  ASSERT_TRUE(back.ok()) << back.status();
  EXPECT_EQ(back->picture.pixels, house.picture.pixels);
  EXPECT_EQ(back->sample.annotations, house.sample.annotations);
  EXPECT_EQ(back->sample.unknown, house.sample.unknown);
  EXPECT_EQ(*back->sample.vocabulary, *house.sample.vocabulary);
  EXPECT_EQ(back->sample.absent, house.sample.absent);
  EXPECT_EQ(back->sample.licence, "CC0 1.0");
  EXPECT_EQ(back->sample.source, "here");
  // Nothing but the files that the header names.
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder.path()), {}), 4);
}

TEST(FolderSample, ASampleWithoutWordsNeedsNoVocabulary) {
  const ScratchFolder folder;
  LoadedSample house = House();
  house.sample.vocabulary = std::make_shared<const Vocabulary>();
  ASSERT_TRUE(WriteFolderSample(folder.path(), "a", House()).ok());
  ASSERT_TRUE(WriteFolderSample(folder.path(), "b", house).ok());
  const auto dataset = Opened({.format = DatasetFormat::kFolder, .images = folder.path()});
  EXPECT_EQ(Loaded(*dataset, 0).vocabulary->name, "town");
  EXPECT_EQ(*Loaded(*dataset, 1).vocabulary, Vocabulary());
}

TEST(FolderSample, TwoVocabulariesOfOneNameAreRefused) {
  const ScratchFolder folder;
  LoadedSample house = House();
  ASSERT_TRUE(WriteFolderSample(folder.path(), "a", house).ok());
  ASSERT_TRUE(WriteFolderSample(folder.path(), "b", house).ok());
  house.sample.vocabulary =
      std::make_shared<const Vocabulary>(Vocabulary{.name = "town", .objects = {"other"}});
  const absl::Status status = WriteFolderSample(folder.path(), "c", house);
  EXPECT_THAT(std::string(status.message()), HasSubstr("town.vocabulary.json"));
  EXPECT_FALSE(std::filesystem::exists(folder / "c.json"));
}

TEST(FolderSample, UnsoundSamplesAndNamesAreNotWritten) {
  const ScratchFolder folder;
  LoadedSample house = House();
  for (const std::string name : {"", "a/b", "..", "dataset", "x.vocabulary"}) {
    EXPECT_FALSE(WriteFolderSample(folder.path(), name, house).ok()) << name;
  }
  EXPECT_FALSE(WriteFolderSample(folder.path(), "a", house, {.jpeg_quality = 101}).ok());
  house.sample.annotations[0].parent = 7;
  EXPECT_FALSE(WriteFolderSample(folder.path(), "a", house).ok());
  house = House();
  house.picture.size = {.height = 4, .width = 3};
  EXPECT_FALSE(WriteFolderSample(folder.path(), "a", house).ok());
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
}

TEST(FolderSample, AFolderThatCannotBeWrittenToIsNamed) {
  const absl::Status status = WriteFolderSample("/nowhere/at/all", "a", House());
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(status.message()), HasSubstr("/nowhere/at/all/"));
}

}  // namespace
}  // namespace semsam
