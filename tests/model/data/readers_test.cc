#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "model/data/dataset.h"
#include "model/data/pascal_part_names.h"
#include "tests/model/data/data_test_util.h"

namespace semsam {
namespace {

using ::semsam::testing::Fixture;
using ::semsam::testing::FixtureSpec;
using ::semsam::testing::Loaded;
using ::semsam::testing::Opened;
using ::semsam::testing::Rectangle;
using ::semsam::testing::Rows;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr ImageSize kSize = {.height = 12, .width = 16};

// Decodes the picture and compares its size: what a fixture names must be there.
void ExpectPicture(const Sample& sample) {
  const auto picture = LoadPicture(sample);
  ASSERT_TRUE(picture.ok()) << picture.status();
  EXPECT_EQ(picture->size, kSize);
}

TEST(Readers, Sa1bGivesNestedMasksWithoutNames) {
  const auto dataset = Opened(FixtureSpec(DatasetFormat::kSa1b, Fixture("sa1b")));
  ASSERT_EQ(dataset->size(), 1);
  EXPECT_EQ(dataset->name(0), "sa_7");
  const Sample sample = Loaded(*dataset, 0);
  ExpectPicture(sample);
  ASSERT_EQ(sample.annotations.size(), 3);
  EXPECT_EQ(sample.annotations[0].id, 100);
  EXPECT_EQ(*sample.annotations[0].mask, Rectangle(kSize, 1, 1, 10, 8));
  EXPECT_EQ(*sample.annotations[1].mask, Rectangle(kSize, 2, 2, 3, 3));
  EXPECT_EQ(sample.annotations[0].parent, -1);
  EXPECT_EQ(sample.annotations[1].parent, 0);
  EXPECT_EQ(sample.annotations[2].parent, -1);
  EXPECT_EQ(sample.annotations[0].object_name, "");
  EXPECT_THAT(sample.vocabulary->objects, IsEmpty());
  EXPECT_FALSE(sample.vocabulary->closed_world);
  // What no mask covers is not background.
  EXPECT_EQ(MaskArea(*sample.unknown), 12 * 16 - 80 - 24);
}

TEST(Readers, CocoReadsPolygonsRunLengthsAndCrowds) {
  const auto dataset = Opened(FixtureSpec(DatasetFormat::kCoco, Fixture("coco")));
  ASSERT_EQ(dataset->size(), 2);
  // By name, not as the file has them.
  EXPECT_EQ(dataset->name(0), "a");
  EXPECT_EQ(dataset->name(1), "b");
  EXPECT_THAT(dataset->info().vocabulary->objects, ElementsAre("person", "car"));
  EXPECT_TRUE(dataset->info().vocabulary->closed_world);

  const Sample a = Loaded(*dataset, 0);
  ExpectPicture(a);
  EXPECT_EQ(a.licence, "CC BY 2.0");
  EXPECT_EQ(a.source, "picture.example/a");
  ASSERT_EQ(a.annotations.size(), 3);
  EXPECT_EQ(a.annotations[0].id, 11);
  EXPECT_EQ(a.annotations[0].object_name, "car");
  EXPECT_EQ(*a.annotations[0].mask, Rectangle(kSize, 2, 2, 6, 4));
  EXPECT_EQ(a.annotations[0].stated_area_px, 24.0);
  EXPECT_EQ(*a.annotations[0].stated_box, (BoxPx{2, 2, 8, 6}));
  EXPECT_TRUE(a.annotations[1].crowd);
  EXPECT_EQ(*a.annotations[1].mask, Rectangle(kSize, 8, 8, 8, 4));
  EXPECT_EQ(*a.annotations[2].mask, Rectangle(kSize, 0, 0, 4, 2));  // two polygons
  EXPECT_EQ(*a.unknown, Rectangle(kSize, 8, 8, 8, 4));              // the crowd alone
}

TEST(Readers, CocoPicturesLabelledInPartKnowNothingOfTheRest) {
  const auto dataset = Opened(FixtureSpec(DatasetFormat::kCoco, Fixture("coco")));
  const Sample b = Loaded(*dataset, 1);
  ASSERT_EQ(b.annotations.size(), 1);
  EXPECT_EQ(*b.annotations[0].mask, Rectangle(kSize, 0, 0, 4, 3));
  EXPECT_THAT(b.vocabulary->objects, ElementsAre("person"));
  EXPECT_TRUE(b.vocabulary->closed_world);
  EXPECT_EQ(MaskArea(*b.unknown), 12 * 16 - 12);
}

TEST(Readers, CocoNestsByRules) {
  DatasetSpec spec = FixtureSpec(DatasetFormat::kCoco, Fixture("coco"));
  spec.nesting = {{.part = "person", .object = "car"}};
  const auto dataset = Opened(spec);
  EXPECT_THAT(dataset->info().vocabulary->objects, ElementsAre("car"));
  EXPECT_THAT(dataset->info().vocabulary->parts, ElementsAre("person"));
  const Sample b = Loaded(*dataset, 1);
  EXPECT_EQ(b.annotations[0].part_name, "person");
  EXPECT_EQ(b.annotations[0].object_name, "");  // there is no car round it
  EXPECT_EQ(b.annotations[0].parent, -1);
}

TEST(Readers, PanopticKnowsThingsAndStuff) {
  const auto dataset = Opened(FixtureSpec(DatasetFormat::kCocoPanoptic, Fixture("coco_panoptic")));
  ASSERT_EQ(dataset->size(), 1);
  const Sample sample = Loaded(*dataset, 0);
  ExpectPicture(sample);
  ASSERT_EQ(sample.annotations.size(), 3);
  EXPECT_EQ(sample.annotations[0].id, 5);
  EXPECT_EQ(sample.annotations[0].object_name, "dog");
  EXPECT_FALSE(sample.annotations[0].stuff);
  EXPECT_EQ(*sample.annotations[0].mask, Rectangle(kSize, 2, 2, 4, 6));
  EXPECT_EQ(sample.annotations[1].object_name, "grass-merged");
  EXPECT_TRUE(sample.annotations[1].stuff);
  EXPECT_EQ(sample.annotations[2].id, 70000);
  EXPECT_EQ(MaskArea(*sample.annotations[2].mask), 16 * 6 - 4 * 4);
  EXPECT_EQ(*sample.unknown, Rectangle(kSize, 10, 6, 6, 6));  // id 0
}

TEST(Readers, Ade20kIsReadAsPanopticByItsFirstSynonyms) {
  const auto dataset = Opened(FixtureSpec(DatasetFormat::kCocoPanoptic, Fixture("ade20k")));
  EXPECT_THAT(dataset->info().vocabulary->objects, ElementsAre("person", "grass", "windowpane"));
  EXPECT_EQ(Loaded(*dataset, 0).annotations[2].object_name, "windowpane");
}

TEST(Readers, Objects365HasBoxesAlone) {
  const auto dataset = Opened({.format = DatasetFormat::kCoco,
                               .images = Fixture("objects365/images"),
                               .annotations = Fixture("objects365/zhiyuan_objv2.json")});
  const Sample sample = Loaded(*dataset, 0);
  ExpectPicture(sample);  // images/v1/patch8/... lies in patch8
  ASSERT_EQ(sample.annotations.size(), 2);
  EXPECT_FALSE(sample.annotations[0].mask.has_value());
  EXPECT_EQ(sample.annotations[0].object_name, "Car");
  EXPECT_EQ(sample.annotations[0].box, (BoxPx{1.5, 2.25, 7, 7.75}));
  EXPECT_EQ(sample.annotations[1].box, (BoxPx{10.5, 4, 16, 9}));  // cut at the picture
  EXPECT_EQ(*sample.annotations[1].stated_box, (BoxPx{10.5, 4, 20.5, 9}));
  EXPECT_FALSE(sample.unknown.has_value());
}

TEST(Readers, PacoLinksPartsToTheirObject) {
  const auto dataset = Opened(FixtureSpec(DatasetFormat::kPaco, Fixture("paco")));
  EXPECT_THAT(dataset->info().vocabulary->objects, ElementsAre("trash can", "mouse"));
  EXPECT_THAT(dataset->info().vocabulary->parts, ElementsAre("inner body"));
  EXPECT_FALSE(dataset->info().vocabulary->closed_world);
  const Sample sample = Loaded(*dataset, 0);
  ExpectPicture(sample);
  ASSERT_EQ(sample.annotations.size(), 2);
  EXPECT_EQ(sample.annotations[0].object_name, "trash can");
  EXPECT_EQ(sample.annotations[0].part_name, "inner body");
  EXPECT_EQ(sample.annotations[0].parent, 1);  // which comes later in the file
  EXPECT_EQ(sample.annotations[1].part_name, "");
  EXPECT_THAT(sample.absent, ElementsAre("mouse"));
  EXPECT_EQ(MaskArea(*sample.unknown), 12 * 16 - 32);
}

TEST(Readers, PartImageNetMakesObjectsOfTheirParts) {
  const auto dataset = Opened(FixtureSpec(DatasetFormat::kPartImageNet, Fixture("partimagenet")));
  EXPECT_THAT(dataset->info().vocabulary->objects, ElementsAre("quadruped", "car"));
  EXPECT_THAT(dataset->info().vocabulary->parts, ElementsAre("head", "body", "tire"));
  const Sample sample = Loaded(*dataset, 0);
  ExpectPicture(sample);
  ASSERT_EQ(sample.annotations.size(), 5);
  EXPECT_EQ(sample.annotations[0].part_name, "head");
  EXPECT_EQ(sample.annotations[0].object_name, "quadruped");
  EXPECT_EQ(sample.annotations[0].parent, 3);
  EXPECT_EQ(sample.annotations[1].parent, 3);
  EXPECT_EQ(sample.annotations[2].parent, 4);
  EXPECT_EQ(sample.annotations[3].object_name, "quadruped");
  EXPECT_EQ(sample.annotations[3].part_name, "");
  EXPECT_EQ(MaskArea(*sample.annotations[3].mask), 9 + 24);
  EXPECT_EQ(sample.annotations[4].object_name, "car");
}

TEST(Readers, PascalPartIsReadFromMatlabFiles) {
  const auto dataset = Opened(FixtureSpec(DatasetFormat::kPascalPart, Fixture("pascal_part")));
  ASSERT_EQ(dataset->size(), 1);
  const Sample sample = Loaded(*dataset, 0);
  ExpectPicture(sample);
  EXPECT_EQ(sample.name, "2008_000003");
  ASSERT_EQ(sample.annotations.size(), 6);
  EXPECT_EQ(sample.annotations[0].object_name, "dog");
  EXPECT_EQ(*sample.annotations[0].mask, Rectangle(kSize, 1, 1, 8, 9));
  EXPECT_EQ(sample.annotations[1].part_name, "ear");
  EXPECT_EQ(sample.annotations[1].object_name, "dog");
  EXPECT_EQ(sample.annotations[1].parent, 0);
  EXPECT_EQ(*sample.annotations[1].mask, Rectangle(kSize, 2, 1, 2, 2));
  EXPECT_EQ(sample.annotations[2].part_name, "torso");
  EXPECT_EQ(sample.annotations[3].object_name, "dining table");
  EXPECT_EQ(sample.annotations[4].object_name, "car");
  EXPECT_EQ(sample.annotations[5].part_name, "wheel");
  EXPECT_EQ(sample.annotations[5].parent, 4);
  EXPECT_EQ(dataset->info().vocabulary->objects.size(), 20);
}

TEST(Readers, PascalPartNamesBecomeWords) {
  EXPECT_EQ(PascalPartWord("rear"), "ear");
  EXPECT_EQ(PascalPartWord("lfuleg"), "upper leg");
  EXPECT_EQ(PascalPartWord("headlight_12"), "headlight");
  EXPECT_EQ(PascalPartWord("new_thing"), "new_thing");
  EXPECT_EQ(PascalObjectWord("tvmonitor"), "tv monitor");
}

TEST(Readers, LabelMapsSplitPartsAndUniteTheWhole) {
  const auto dataset = Opened(FixtureSpec(DatasetFormat::kLabelMaps, Fixture("label_maps")));
  const Sample sample = Loaded(*dataset, 0);
  ExpectPicture(sample);
  ASSERT_EQ(sample.annotations.size(), 4);
  EXPECT_EQ(sample.annotations[0].object_name, "car");
  EXPECT_EQ(sample.annotations[0].part_name, "");
  EXPECT_EQ(sample.annotations[1].part_name, "body");
  EXPECT_EQ(sample.annotations[2].part_name, "wheel");
  EXPECT_EQ(*sample.annotations[2].mask, Rectangle(kSize, 2, 7, 4, 4));
  EXPECT_EQ(*sample.annotations[3].mask, Rectangle(kSize, 9, 7, 4, 4));
  EXPECT_EQ(sample.annotations[3].parent, 0);
  EXPECT_EQ(*sample.unknown, Rectangle(kSize, 0, 0, 16, 1));
}

TEST(Readers, ASubsetHasItsSamplesAlone) {
  const std::shared_ptr<const Dataset> all =
      Opened(FixtureSpec(DatasetFormat::kCoco, Fixture("coco")));
  const auto one = Subset(all, {1});
  EXPECT_EQ(one->size(), 1);
  EXPECT_EQ(one->name(0), "b");
  EXPECT_EQ(Loaded(*one, 0).name, "b");
}

TEST(Readers, ASpecIsReadFromText) {
  const auto spec = ParseDatasetSpec(
      "coco-panoptic:annotations=p.json,labels=p,images=val,closed_world=0,name=mine");
  ASSERT_TRUE(spec.ok()) << spec.status();
  EXPECT_EQ(spec->format, DatasetFormat::kCocoPanoptic);
  EXPECT_EQ(spec->annotations, "p.json");
  EXPECT_EQ(spec->labels, "p");
  EXPECT_EQ(spec->images, "val");
  EXPECT_EQ(spec->name, "mine");
  EXPECT_FALSE(spec->closed_world);
  EXPECT_FALSE(ParseDatasetSpec("cocoa:images=x").ok());
  EXPECT_FALSE(ParseDatasetSpec("coco:pictures=x").ok());
  EXPECT_FALSE(ParseDatasetSpec("coco:rest_unknown=yes").ok());
  EXPECT_FALSE(ParseDatasetSpec("collection:images=/nowhere/unheard-of").ok());
  const auto cats = ParseDatasetSpec("collection:images=/sets/cats/,name=mine");
  ASSERT_TRUE(cats.ok()) << cats.status();
  EXPECT_EQ(cats->format, DatasetFormat::kLabelMaps);
  EXPECT_EQ(cats->name, "mine");
  EXPECT_EQ(cats->labels, "/sets/cats/labels");
}

}  // namespace
}  // namespace semsam
