// The whole program with a network, on the fixtures of every format. Its weights are a
// formula's: the figures mean nothing, but that they are there and always the same.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>

#include "model/net/torch_segmenter.h"
#include "tests/model/tools/eval/eval_fixture.h"

namespace semsam {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;

absl::StatusOr<std::unique_ptr<Segmenter>> Network(const EvaluateOptions& options) {
  return CreateTorchSegmenter({.weights = options.weights, .threads = 1});
}

std::string Specs() {
  const auto in = [](const std::string& path) { return testing::Fixture(path); };
  const std::array specs = {
      "coco:name=coco,annotations=" + in("coco/annotations.json") + ",images=" + in("coco/images"),
      "coco-panoptic:name=maps,annotations=" + in("coco_panoptic/panoptic.json") +
          ",labels=" + in("coco_panoptic/panoptic") + ",images=" + in("coco_panoptic/images"),
      "coco-panoptic:name=ade,annotations=" + in("ade20k/panoptic.json") +
          ",labels=" + in("ade20k/panoptic") + ",images=" + in("ade20k/images"),
      "coco:name=boxes,annotations=" + in("objects365/zhiyuan_objv2.json") +
          ",images=" + in("objects365/images"),
      "paco:name=paco,annotations=" + in("paco/paco_lvis_v1_val.json") +
          ",images=" + in("paco/images"),
      "partimagenet:name=animals,annotations=" + in("partimagenet/val.json") +
          ",images=" + in("partimagenet/images"),
      "pascal-part:name=pascal,labels=" + in("pascal_part/Annotations_Part") +
          ",images=" + in("pascal_part/JPEGImages"),
      "sa1b:name=sa1b,images=" + in("sa1b"),
      in("folder"),
      std::string("scenes:count=2,side=64")};
  std::string list;
  for (const std::string& spec : specs) list += (list.empty() ? "" : ",") + spec;
  return list;
}

class EvaluateNetwork : public testing::EvalTest {
 protected:
  json Evaluate(const std::string& weights, std::vector<std::string> more = {}) {
    more.insert(more.end(), {"--weights", weights, "--data", Specs(), "--split", "all",
                             "--text-mode", "plain"});
    EXPECT_EQ(Run(std::move(more), Network), 0) << err_.str();
    return Results();
  }
};

TEST_F(EvaluateNetwork, RunsOnEveryFormatAndRepeatsItself) {
  const json one = Evaluate("formula:swin-tiny", {"--threads", "1", "--networks", "1"});
  EXPECT_EQ(one["sources"].size(), 10);
  EXPECT_EQ(one["model"]["trained"], false);
  EXPECT_THAT(err_.str(), HasSubstr("not trained"));
  const json row = Row(one, "all", "deepest", "semantic-sam-swin-tiny");
  for (const char* figure : {"point_max", "point_oracle", "all_granularity", "box_max",
                             "object_top1", "part_top1", "distinct_masks"}) {
    EXPECT_GT(row[figure]["count"].get<int>(), 0) << figure;
  }
  // Boxes alone cannot be clicked, but found.
  EXPECT_TRUE(Row(one, "boxes", "deepest", "semantic-sam-swin-tiny").is_null());
  for (const json& segmentation : one["segmentation"]["rows"]) {
    const bool whole = segmentation["name"] == "maps" || segmentation["name"] == "ade";
    EXPECT_EQ(segmentation["pq"]["count"].get<int>() > 0, whole) << segmentation;
    EXPECT_EQ(segmentation["miou"]["count"].get<int>() > 0, whole) << segmentation;
    // In the one, and in the garden, objects are known by their boxes.
    const bool masks = segmentation["name"] != "boxes" && segmentation["name"] != "garden";
    EXPECT_EQ(segmentation["ap_mask"]["count"].get<int>() > 0, masks) << segmentation;
    EXPECT_GT(segmentation["ap_box"]["count"].get<int>(), 0) << segmentation;
  }
  EXPECT_EQ(one["segmentation"]["rows"].size(), 9);  // SA-1B has no names

  const json again = Evaluate("formula:swin-tiny", {"--threads", "3", "--networks", "2"});
  EXPECT_EQ(one["interactive"], again["interactive"]);
  EXPECT_EQ(one["segmentation"], again["segmentation"]);
}

TEST_F(EvaluateNetwork, TakesThePublishedProtocolAndOtherSizes) {
  const json own = Evaluate("formula:swin-tiny-wordless");
  EXPECT_TRUE(own["segmentation"].is_null());
  EXPECT_THAT(err_.str(), HasSubstr("no label accuracy"));
  const json published = Evaluate("formula:swin-tiny-wordless",
                                  {"--short-edge", "96", "--click-radius", "3", "--match", "iou"});
  EXPECT_EQ(published["model"]["short_edge_px"], 96);
  const std::string name = own["model"]["name"];
  const json before = Row(own, "all", "random", name);
  const json after = Row(published, "all", "random", name);
  EXPECT_NE(before["point_oracle"]["value"], after["point_oracle"]["value"]);
  EXPECT_EQ(before["point_oracle"]["count"], after["point_oracle"]["count"]);
}

TEST_F(EvaluateNetwork, NamesWeightsThatAreNotThere) {
  EXPECT_EQ(Run({"--weights", "nowhere.safetensors", "--data", "scenes:count=10"}, Network), 1);
  EXPECT_THAT(err_.str(), HasSubstr("nowhere.safetensors"));
}

}  // namespace
}  // namespace semsam
