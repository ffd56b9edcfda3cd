#include "model/evaluation/report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <nlohmann/json.hpp>

#include "model/evaluation/exact_mean.h"

namespace semsam {
namespace {

using nlohmann::json;
using ::testing::EndsWith;
using ::testing::HasSubstr;

TEST(ExactMean, DoesNotDependOnTheOrder) {
  std::vector<double> values;
  for (int i = 1; i <= 1000; ++i) values.push_back(1.0 / i);
  ExactMean forward, backward, half;
  for (size_t i = 0; i < values.size(); ++i) {
    forward.Add(values[i]);
    (i % 3 == 0 ? backward : half).Add(values[values.size() - 1 - i]);
  }
  backward.Merge(half);
  EXPECT_EQ(forward.mean(), backward.mean());
  EXPECT_EQ(forward.count(), 1000);
  EXPECT_NEAR(forward.sum(), 7.485470860550345, 1e-12);
}

TEST(ExactMean, HoldsOnesAndZeros) {
  ExactMean mean;
  EXPECT_TRUE(std::isnan(mean.mean()));
  for (int i = 0; i < 3; ++i) mean.Add(1);
  mean.Add(0);
  EXPECT_EQ(mean.mean(), 0.75);
  mean.Add(5.25);
  EXPECT_EQ(mean.sum(), 8.25);
}

TEST(Report, AlignsNumbersAndMarksWhatIsMissing) {
  const ReportTable table = {
      .title = "Title",
      .rows_are = "Set",
      .columns = {{"a", "A"}, {"masks", "Masks", FigureUnit::kNumber}, {"c", "C"}},
      .rows = {{"pets", {{0.5449, 1203}, {3.256, 7}}},
               {"caf\xC3\xA9s", {{1, 2}, {std::numeric_limits<double>::quiet_NaN(), 5}, {0, 1}}}}};
  EXPECT_EQ(FormatTable(table),
            "Title\n"
            "Set              A     Masks        C\n"
            "pets   54.5 (1203)  3.26 (7)        -\n"
            "caf\xC3\xA9s    100.0 (2)         -  0.0 (1)\n");
  const json rows = ToJson(table)["rows"];
  EXPECT_EQ(rows[0]["a"]["value"], 0.5449);
  EXPECT_EQ(rows[0]["a"]["count"], 1203);
  EXPECT_TRUE(rows[0]["c"]["value"].is_null());
  EXPECT_TRUE(rows[1]["masks"]["value"].is_null());
  EXPECT_EQ(rows[1]["c"]["value"], 0.0);
}

TEST(Report, CutsLongNamesAndMendsBrokenOnes) {
  ReportTable table = {.rows_are = "Set", .rows = {{std::string(100, 'x'), {}}}};
  EXPECT_EQ(FormatTable(table), "Set\n" + std::string(57, 'x') + "...\n");
  table.rows[0].name = "a\xFFz";
  EXPECT_EQ(ToJson(table)["rows"][0]["name"], "a\xEF\xBF\xBDz");
  EXPECT_NO_THROW(ToJson(table).dump());
}

TEST(Report, PutsTheResultsOfSegmentationInOneRow) {
  ApAccumulator boxes({.kind = ApKind::kBox});
  ASSERT_TRUE(boxes
                  .Add(1, std::vector<ApTruth>{{.category = 4, .box = {0, 0, 10, 10}}},
                       std::vector<ApDetection>{{.category = 4, .score = 1, .box = {0, 0, 10, 10}}})
                  .ok());
  const ApResult ap = boxes.Result();
  const ReportTable table = SegmentationTable("coco", nullptr, nullptr, &ap, nullptr);
  const json row = ToJson(table)["rows"][0];
  EXPECT_EQ(row["name"], "coco");
  EXPECT_NEAR(row["ap_box"]["value"].get<double>(), 1, 1e-12);
  EXPECT_EQ(row["ap_box"]["count"], 1);
  EXPECT_TRUE(row["ap_mask"]["value"].is_null());
  EXPECT_TRUE(row["pq"]["value"].is_null());
  EXPECT_TRUE(row["ap_large_box"]["value"].is_null());
  EXPECT_THAT(FormatTable(table), HasSubstr("100.0 (1)"));

  const json full = ToJson(ap, {{4, "dog"}});
  EXPECT_EQ(full["classes"][0]["name"], "dog");
  EXPECT_NEAR(full["classes"][0]["ap50"]["value"].get<double>(), 1, 1e-12);
  EXPECT_TRUE(full["ap_large"]["value"].is_null());
  EXPECT_EQ(ToJson(ap, {})["classes"][0]["name"], "4");
}

TEST(Report, WritesEveryClassOfPanopticAndSemanticResults) {
  const std::vector<PanopticClass> classes = {{1, true}, {2, false}};
  PanopticAccumulator panoptic(classes);
  const std::vector<uint32_t> ids = {7, 7};
  const std::vector<PqSegment> segments = {{.id = 7, .category = 1}};
  ASSERT_TRUE(panoptic.Add({{1, 2}, ids, segments}, {{1, 2}, ids, segments}).ok());
  const json quality = ToJson(panoptic.Result(), {{1, "dog"}, {2, "sky"}});
  EXPECT_EQ(quality["things"]["pq"]["value"], 1.0);
  EXPECT_TRUE(quality["stuff"]["pq"]["value"].is_null());
  EXPECT_EQ(quality["classes"][0]["true_positives"], 1);
  EXPECT_TRUE(quality["classes"][1]["sq"]["value"].is_null());

  SemanticAccumulator semantic({.classes = 2});
  ASSERT_TRUE(semantic.Add(std::vector<uint16_t>{0, 255}, std::vector<uint16_t>{0, 1}).ok());
  const json iou = ToJson(semantic.Result(), {});
  EXPECT_EQ(iou["mean_iou"]["value"], 1.0);
  EXPECT_TRUE(iou["classes"][1]["iou"]["value"].is_null());
}

}  // namespace
}  // namespace semsam
