// Files that are broken in every way that has a name: an error that says where,
// never a crash, and never a sample that is not sound.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <random>
#include <string>
#include <vector>

#include "model/data/dataset.h"
#include "tests/model/data/data_test_util.h"

namespace semsam {
namespace {

using ::semsam::testing::FixtureSpec;
using ::semsam::testing::ReadText;
using ::semsam::testing::Replaced;
using ::semsam::testing::ScratchFolder;
using ::semsam::testing::WriteText;
using ::testing::AllOf;
using ::testing::HasSubstr;

// What opening and loading everything says, the pictures included.
std::string FirstError(const DatasetSpec& spec) {
  const auto dataset = OpenDataset(spec);
  if (!dataset.ok()) return std::string(dataset.status().message());
  for (size_t i = 0; i < (*dataset)->size(); ++i) {
    const auto loaded = LoadWithPicture(**dataset, i);
    if (!loaded.ok()) return std::string(loaded.status().message());
  }
  return "";
}

struct Breakage {
  DatasetFormat format;
  std::string fixture;
  std::string file;
  std::string from;  // empty: the file is removed
  std::string to;
  std::vector<std::string> said;  // all of it
};

class BrokenFile : public ::testing::TestWithParam<Breakage> {};

TEST_P(BrokenFile, IsNamed) {
  const Breakage& breakage = GetParam();
  const ScratchFolder folder;
  folder.CopyFixture(breakage.fixture);
  const DatasetSpec spec = FixtureSpec(breakage.format, folder.path());
  ASSERT_EQ(FirstError(spec), "");
  const std::string path = folder / breakage.file;
  if (breakage.from.empty()) {
    ASSERT_TRUE(std::filesystem::remove(path));
  } else {
    WriteText(path, Replaced(ReadText(path), breakage.from, breakage.to));
  }
  const std::string error = FirstError(spec);
  for (const std::string& part : breakage.said) EXPECT_THAT(error, HasSubstr(part));
}

constexpr DatasetFormat kSa1b = DatasetFormat::kSa1b, kCoco = DatasetFormat::kCoco,
                        kPanoptic = DatasetFormat::kCocoPanoptic, kPaco = DatasetFormat::kPaco,
                        kFolder = DatasetFormat::kFolder, kMat = DatasetFormat::kPascalPart,
                        kLabels = DatasetFormat::kLabelMaps;

INSTANTIATE_TEST_SUITE_P(
    Kinds, BrokenFile,
    ::testing::Values(
        // Pictures and files that are not there.
        Breakage{kSa1b, "sa1b", "sa_7.jpg", "", "", {"sa_7.jpg", "No such file"}},
        Breakage{kCoco, "coco", "images/b.png", "", "", {"images/b.png", "No such file"}},
        Breakage{kCoco, "coco", "annotations.json", "", "", {"annotations.json", "No such file"}},
        Breakage{kPanoptic,
                 "coco_panoptic",
                 "panoptic/p.png",
                 "",
                 "",
                 {"panoptic.json: annotations[0]", "panoptic/p.png", "No such file"}},
        Breakage{kLabels, "label_maps", "images/one.jpg", "", "", {"one.jpg", "No such file"}},
        Breakage{kFolder,
                 "folder",
                 "garden.roof.png",
                 "",
                 "",
                 {"garden.json: annotations[0] (id 2)", "garden.roof.png", "No such file"}},
        Breakage{kFolder,
                 "folder",
                 "words.vocabulary.json",
                 "",
                 "",
                 {"garden.json", "there is no words.vocabulary.json"}},
        // JSON that is none.
        Breakage{kSa1b,
                 "sa1b",
                 "sa_7.json",
                 "\"annotations\": [",
                 "\"annotations\": [[",
                 {"sa_7.json", "broken JSON"}},
        Breakage{kCoco,
                 "coco",
                 "annotations.json",
                 "\"id\": 13,",
                 "\"id\": 13 13,",
                 {"annotations.json: annotations[2]", "broken JSON"}},
        Breakage{kCoco,
                 "coco",
                 "annotations.json",
                 "\"categories\": [",
                 "\"categories\": [}",
                 {"annotations.json: byte ", "bracket"}},
        Breakage{kCoco, "coco", "annotations.json", "\"info\"", "\"info", {"annotations.json"}},
        // Masks.
        Breakage{kSa1b,
                 "sa1b",
                 "sa_7.json",
                 "\"size\": [\n     12,",
                 "\"size\": [\n     13,",
                 {"sa_7.json: annotations[0] (id 100)", "[12, 16]"}},
        Breakage{kSa1b,
                 "sa1b",
                 "sa_7.json",
                 "\"counts\": \"",
                 "\"counts\": \"1",
                 {"sa_7.json: annotations[0] (id 100)", "run lengths"}},
        Breakage{kCoco,
                 "coco",
                 "annotations.json",
                 "     2,\n     2,\n     8,",
                 "     2,\n     8,",
                 {"annotations.json: annotations[0] (id 11)", "polygon 0", "7 numbers, not pairs"}},
        Breakage{kCoco,
                 "coco",
                 "annotations.json",
                 "     2,\n     2,\n     8,",
                 "     2,\n     \"2\",\n     8,",
                 {"annotations[0] (id 11)", "polygon 0", "list of numbers"}},
        Breakage{kCoco,
                 "coco",
                 "annotations.json",
                 "\"counts\": [",
                 "\"counts\": [1,",
                 {"annotations[1] (id 12)", "run lengths"}},
        Breakage{kCoco,
                 "coco",
                 "annotations.json",
                 "\"counts\": [",
                 "\"counts\": [-1,",
                 {"annotations[1] (id 12)", "negative"}},
        // Ids that name nothing, or two things.
        Breakage{kCoco,
                 "coco",
                 "annotations.json",
                 "\"image_id\": 1,",
                 "\"image_id\": 77,",
                 {"annotations.json: annotations[2]", "image_id 77 names no image"}},
        Breakage{kCoco,
                 "coco",
                 "annotations.json",
                 "\"category_id\": 3",
                 "\"category_id\": 99",
                 {"annotations[0] (id 11)", "category_id 99 names nothing"}},
        Breakage{kCoco,
                 "coco",
                 "annotations.json",
                 "\"id\": 14,",
                 "\"id\": 11,",
                 {"a: annotation 2 (id 11)", "occurs twice"}},
        Breakage{kCoco,
                 "coco",
                 "annotations.json",
                 "\"id\": 2,\n   \"file",
                 "\"id\": 1,\n   \"file",
                 {"annotations.json", "image id 1 occurs twice"}},
        Breakage{kPanoptic,
                 "coco_panoptic",
                 "panoptic.json",
                 "\"id\": 300,",
                 "\"id\": 301,",
                 {"panoptic.json: annotations[0]", "segments_info[1] (id 301)", "label map"}},
        Breakage{kPanoptic,
                 "coco_panoptic",
                 "panoptic.json",
                 "\"category_id\": 2,",
                 "\"category_id\": 9,",
                 {"segments_info[1] (id 300)", "category_id 9"}},
        Breakage{kPanoptic,
                 "coco_panoptic",
                 "panoptic.json",
                 "\"image_id\": 9,",
                 "\"image_id\": 8,",
                 {"panoptic.json", "image_id 8 names no image"}},
        Breakage{kPaco,
                 "paco",
                 "paco_lvis_v1_val.json",
                 "\"obj_ann_id\": 20,\n   \"area\": 8,",
                 "\"obj_ann_id\": 21,\n   \"area\": 8,",
                 {"paco_lvis_v1_val.json: annotation id 21", "names no object"}},
        Breakage{kFolder,
                 "folder",
                 "garden.json",
                 "\"parent\": 1,",
                 "\"parent\": 4,",
                 {"garden.json: annotations[0] (id 2)", "parent 4 names no annotation"}},
        Breakage{kFolder,
                 "folder",
                 "garden.json",
                 "\"parent\": 1,",
                 "\"parent\": 2,",
                 {"garden: annotation 0 (id 2)", "part of itself"}},
        // Sizes.
        Breakage{kCoco,
                 "coco",
                 "annotations.json",
                 "\"height\": 12",
                 "\"height\": 13",
                 {"annotations.json"}},
        Breakage{kSa1b,
                 "sa1b",
                 "sa_7.json",
                 "\"width\": 16",
                 "\"width\": 1600000000",
                 {"sa_7.json", "not accepted"}},
        Breakage{kPanoptic,
                 "coco_panoptic",
                 "panoptic.json",
                 "\"height\": 12",
                 "\"height\": 11",
                 {"p.png", "16 x 12"}},
        Breakage{kLabels, "label_maps", "labels/one.png", "IHDR", "IHDx", {"one.png"}},
        Breakage{kFolder,
                 "folder",
                 "garden.json",
                 "8.5",
                 "-8.5",
                 {"garden: annotation 2 (id 3)", "outside"}},
        // Names that lead elsewhere.
        Breakage{kCoco,
                 "coco",
                 "annotations.json",
                 "\"b.png\"",
                 "\"../b.png\"",
                 {"leads out of the folder"}},
        Breakage{kFolder,
                 "folder",
                 "garden.json",
                 "garden.roof.png",
                 "/etc/passwd",
                 {"annotations[0] (id 2)", "leads out of the folder"}},
        Breakage{kMat,
                 "pascal_part",
                 "Annotations_Part/2008_000003.mat",
                 "IM",
                 "MI",
                 {"2008_000003.mat", "little-endian"}}));

TEST(Robustness, OneBrokenAnnotationLeavesTheOtherSamplesLoadable) {
  const ScratchFolder folder;
  folder.CopyFixture("coco");
  const std::string path = folder / "annotations.json";
  WriteText(path, Replaced(ReadText(path), "\"id\": 13,", "\"id\": \"13\","));
  const auto dataset = OpenDataset(FixtureSpec(DatasetFormat::kCoco, folder.path()));
  ASSERT_TRUE(dataset.ok()) << dataset.status();
  EXPECT_TRUE((*dataset)->Load(0).ok());
  EXPECT_FALSE((*dataset)->Load(1).ok());
}

TEST(Robustness, ALabelWithoutMeaningIsNamed) {
  DatasetSpec spec = FixtureSpec(DatasetFormat::kLabelMaps, testing::Fixture("label_maps"));
  spec.label_rules.unknown.clear();
  EXPECT_THAT(FirstError(spec), AllOf(HasSubstr("one.png"), HasSubstr("value 255")));
}

TEST(Robustness, ASpecThatLacksAFolderIsNamed) {
  for (const DatasetFormat format : {kSa1b, kCoco, kPanoptic, kPaco, kFolder, kMat, kLabels}) {
    EXPECT_THAT(FirstError({.format = format}), HasSubstr("needs the"));
  }
}

// Every byte of a file in turn changed or cut away: the process lives, and what
// loads is sound (Load checks that itself, so a failed promise is a status).
TEST(Robustness, FilesWithAnyByteChangedNeverCrash) {
  struct Target {
    DatasetFormat format;
    std::string fixture;
    std::string file;
  };
  const Target targets[] = {{kSa1b, "sa1b", "sa_7.json"},
                            {kCoco, "coco", "annotations.json"},
                            {kPanoptic, "coco_panoptic", "panoptic.json"},
                            {kPanoptic, "coco_panoptic", "panoptic/p.png"},
                            {kPaco, "paco", "paco_lvis_v1_val.json"},
                            {kFolder, "folder", "garden.json"},
                            {kMat, "pascal_part", "Annotations_Part/2008_000003.mat"},
                            {kLabels, "label_maps", "labels/one.png"}};
  std::mt19937 random(3);
  int refused = 0;
  for (const Target& target : targets) {
    const ScratchFolder folder;
    folder.CopyFixture(target.fixture);
    const DatasetSpec spec = FixtureSpec(target.format, folder.path());
    const std::string path = folder / target.file;
    const std::string good = ReadText(path);
    for (size_t at = 0; at < good.size(); at += 1 + random() % 7) {
      std::string bad = good;
      bad[at] = static_cast<char>(random());
      WriteText(path, at % 5 == 0 ? good.substr(0, at) : bad);
      if (!FirstError(spec).empty()) ++refused;
    }
  }
  EXPECT_GT(refused, 500);
}

}  // namespace
}  // namespace semsam
