#include "client/cli/report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace semsam::client {
namespace {

using ::testing::HasSubstr;

SegmentReport MakeReport() {
  SegmentReport report;
  report.image_path = "/photos/cat.jpg";
  report.image.sha256 = "abc";
  report.prompts = {{.shape = Click{0.5f, 0.25f}, .frame = CoordinateFrame::kNormalized},
                    {.shape = Box{1, 2, 30, 40}, .tag = "paw"}};
  report.summary.image_size = {.height = 100, .width = 200};
  const auto add = [&report](int prompt, int level) {
    Mask mask{.prompt_index = prompt, .level = level, .predicted_iou = 0.75f, .stability = 0.5f};
    mask.area_px = 1234;
    mask.box = {.x = 1, .y = 2, .width = 3, .height = 4};
    mask.size = {.height = 100, .width = 200};
    mask.data = "112";
    report.masks.push_back({.mask = mask, .arrival = absl::Milliseconds(12.5)});
  };
  add(1, 2);
  add(0, 4);
  add(1, 1);
  SortMasks(report.masks);
  return report;
}

TEST(ToCocoJsonTest, HoldsWhatReadersOfCocoAndSa1bLookFor) {
  const nlohmann::ordered_json json = ToCocoJson(MakeReport());
  EXPECT_EQ(json["image"]["file_name"], "cat.jpg");
  EXPECT_EQ(json["image"]["width"], 200);
  EXPECT_EQ(json["image"]["height"], 100);
  EXPECT_EQ(json["images"][0]["id"], json["annotations"][0]["image_id"]);
  ASSERT_EQ(json["annotations"].size(), 3);
  const auto& annotation = json["annotations"][0];
  EXPECT_EQ(annotation["segmentation"]["size"], (std::vector<int>{100, 200}));
  EXPECT_EQ(annotation["segmentation"]["counts"], "112");
  EXPECT_EQ(annotation["area"], 1234);
  EXPECT_EQ(annotation["bbox"], (std::vector<int>{1, 2, 3, 4}));
  EXPECT_EQ(annotation["predicted_iou"], 0.75);
  EXPECT_EQ(annotation["stability_score"], 0.5);
  EXPECT_EQ(annotation["level"], 4);
  // Prompts stand in pixels of the image, whatever the user wrote.
  EXPECT_EQ(annotation["point_coords"][0], (std::vector<float>{100, 25}));
  EXPECT_EQ(json["annotations"][2]["prompt"]["corners"], (std::vector<float>{1, 2, 30, 40}));
  EXPECT_EQ(json["annotations"][2]["prompt"]["tag"], "paw");
  EXPECT_EQ(json["annotations"][2]["id"], 3);
}

TEST(ToTableTest, HasOneAlignedLineAMask) {
  EXPECT_EQ(ToTable(MakeReport()),
            "prompt            level    IoU  stability  area px  box x,y,w,h    ms\n"
            "1 click 0.5,0.25      4  0.750      0.500     1234      1,2,3,4  12.5\n"
            "2 box 1,2,30,40       1  0.750      0.500     1234      1,2,3,4  12.5\n"
            "2 box 1,2,30,40       2  0.750      0.500     1234      1,2,3,4  12.5\n");
}

TEST(ToTableTest, NamesAndIdsFollowWhereWordsWereAskedFor) {
  SegmentReport report = MakeReport();
  report.masks.resize(1);
  report.legend = Legend::Of({{kObjectsList, {"ch\xc3\xa8vre"}}});
  report.masks[0].mask.object_labels = {{.name = "ch\xc3\xa8vre", .score = 0.5f}};
  report.masks[0].mask.mask_id = 17;
  EXPECT_EQ(ToTable(report),
            "prompt            level    IoU  stability  area px  box x,y,w,h    ms"
            "       object  part  mask id\n"
            "1 click 0.5,0.25      4  0.750      0.500     1234      1,2,3,4  12.5"
            "  ch\xc3\xa8vre 0.50     -       17\n");
}

TEST(ToTableTest, EverythingSaysWhatLiesInWhat) {
  SegmentReport report = MakeReport();
  report.task = Task::kEverything;
  report.parents = {-1, 0, 1};
  EXPECT_EQ(ToTable(report),
            "mask  in  level    IoU  stability  area px  box x,y,w,h    ms\n"
            "1      -      4  0.750      0.500     1234      1,2,3,4  12.5\n"
            "2      1      1  0.750      0.500     1234      1,2,3,4  12.5\n"
            "3      2      2  0.750      0.500     1234      1,2,3,4  12.5\n");
}

// Regions of two things, a part and a map.
SegmentReport MakeWordReport() {
  SegmentReport report;
  report.task = Task::kWords;
  report.image_path = "cat.jpg";
  report.summary.image_size = {.height = 100, .width = 200};
  report.legend = Legend::Of({{kThingsList, {"dog", "cat"}}, {kPartsList, {"head"}}});
  VocabularySegment cat{.word_index = 1, .name = "cat", .is_thing = true, .score = 0.75f};
  cat.mask = {.area_px = 12, .box = {1, 2, 3, 4}, .size = {100, 200}, .data = "112"};
  VocabularySegment head{.kind = VocabularySegment::Kind::kPart, .name = "head", .score = 0.5f};
  head.mask = cat.mask;
  report.segments = {{cat, absl::Milliseconds(2)}, {head, absl::Milliseconds(3)}};
  report.panoptic = PanopticMap{
      .png = "png",
      .size = {100, 200},
      .segments = {{.id = 300, .word_index = 1, .name = "cat", .is_thing = true, .area_px = 9}}};
  report.panoptic_file = "cat_panoptic.png";
  CountRegions(report);
  return report;
}

TEST(ToCocoJsonTest, RegionsOfWordsHaveCategoriesAndAMap) {
  const nlohmann::ordered_json json = ToCocoJson(MakeWordReport());
  EXPECT_EQ(json["annotations"][0]["category_id"], 2);
  EXPECT_EQ(json["annotations"][0]["isthing"], 1);
  EXPECT_EQ(json["annotations"][0]["score"], 0.75);
  EXPECT_EQ(json["annotations"][1]["category_id"], 3);
  EXPECT_EQ(json["annotations"][1]["kind"], "part");
  EXPECT_EQ(json["categories"][2]["name"], "head");
  EXPECT_EQ(json["categories"][2]["supercategory"], "parts");
  EXPECT_EQ(json["words"][0]["regions"], 0);
  EXPECT_EQ(json["words"][1]["regions"], 1);
  const auto& segment = json["panoptic"]["segments_info"][0];
  EXPECT_EQ(segment["id"], 300);
  EXPECT_EQ(segment["category_id"], 2);
  EXPECT_EQ(segment["area"], 9);
}

TEST(ToTableTest, RegionsAndSegmentsShareOneTable) {
  EXPECT_EQ(ToTable(MakeWordReport()),
            "region          kind  score  area px  box x,y,w,h   ms\n"
            "cat         instance  0.750       12      1,2,3,4  2.0\n"
            "head            part  0.500       12      1,2,3,4  3.0\n"
            "cat     panoptic 300  0.000        9      0,0,0,0    -\n");
}

TEST(DumpTest, BytesThatAreNotUtf8DoNotThrow) {
  SegmentReport report = MakeReport();
  report.image_path = "caf\xe9.jpg";
  EXPECT_THAT(Dump(ToCocoJson(report)), HasSubstr("caf\xef\xbf\xbd.jpg"));
}

}  // namespace
}  // namespace semsam::client
