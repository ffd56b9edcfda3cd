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

TEST(DumpTest, BytesThatAreNotUtf8DoNotThrow) {
  SegmentReport report = MakeReport();
  report.image_path = "caf\xe9.jpg";
  EXPECT_THAT(Dump(ToCocoJson(report)), HasSubstr("caf\xef\xbf\xbd.jpg"));
}

}  // namespace
}  // namespace semsam::client
