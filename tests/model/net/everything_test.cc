// The published everything-mode, network and post-processing together: a grid of
// clicks in joint attention, as published.
#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "model/image/mask_generator.h"
#include "model/segmenter.h"
#include "tests/model/net/parity_fixture.h"

namespace semsam::testing {
namespace {

// n x n points, x fastest, each in the middle of its cell.
std::vector<Prompt> PointGrid(int n) {
  std::vector<Prompt> points;
  for (int y = 0; y < n; ++y) {
    for (int x = 0; x < n; ++x) {
      points.push_back({.cx = static_cast<float>((x + 0.5) / n),
                        .cy = static_cast<float>((y + 0.5) / n),
                        .w = 0.005f,
                        .h = 0.005f});
    }
  }
  return points;
}

std::vector<MaskRecord> Generate(const SemanticSam& network, const EncodedImage& image,
                                 const nlohmann::json& params) {
  const MaskGeneratorOptions options = {.pred_iou_thresh = params["pred_iou_thresh"],
                                        .stability_score_thresh = params["stability_score_thresh"],
                                        .stability_score_offset = params["stability_score_offset"],
                                        .box_nms_thresh = params["box_nms_thresh"],
                                        .min_mask_region_area = params["min_mask_region_area"]};
  const std::vector<int> levels = params.contains("level") ? params["level"].get<std::vector<int>>()
                                                           : std::vector<int>{1, 2, 3, 4, 5, 6};
  MaskGenerator generator(options, image.geometry);
  const std::vector<Prompt> points = PointGrid(params["points_per_side"]);
  const size_t chunk = params["points_per_batch"];
  for (size_t first = 0; first < points.size(); first += chunk) {
    const size_t count = std::min(chunk, points.size() - first);
    std::vector<float> boxes;
    for (size_t i = first; i < first + count; ++i) {
      boxes.insert(boxes.end(), {points[i].cx, points[i].cy, points[i].w, points[i].h});
    }
    const DecoderOutput output = RunPrompts(network, image, at::tensor(boxes).view({-1, 4}),
                                            std::vector<int64_t>(count, 0), /*joint=*/true);
    const at::Tensor logits = network.PredictMasks(output.queries, image.features).contiguous();
    const at::Tensor ious = network.decoder().PredictIous(output.queries).contiguous();
    for (size_t i = 0; i < count; ++i) {
      for (int level : levels) {
        const int64_t row =
            static_cast<int64_t>(i) * 6 + network.config().level_to_token[level - 1];
        const absl::Status status =
            generator.Add({.point = points[first + i],
                           .level = level,
                           .predicted_iou = ious.const_data_ptr<float>()[row],
                           .logits = {image.features.grid,
                                      logits.const_data_ptr<float>() + row * logits.size(1)}});
        EXPECT_TRUE(status.ok()) << status;
      }
    }
  }
  absl::StatusOr<std::vector<MaskRecord>> records = generator.Finish();
  EXPECT_TRUE(records.ok()) << records.status();
  return *std::move(records);
}

class Everything : public ::testing::TestWithParam<char> {};

TEST_P(Everything, ListsEqualThePublishedGenerator) {
  SEMSAM_SKIP_WITHOUT_PARITY();
  c10::InferenceMode inference;
  std::ifstream file(
      absl::StrCat(SEMSAM_PARITY_DIR "/amg/amg_", std::string(1, GetParam()), ".json"));
  const nlohmann::json expected = nlohmann::json::parse(file);
  const SemanticSam& network = ParityNetwork('t', ops::Path::kNative);
  const EncodedImage image = EncodeParityImage(network, 'c');
  const std::vector<MaskRecord> records = Generate(network, image, expected["params"]);
  const nlohmann::json& annotations = expected["annotations"];
  ASSERT_EQ(records.size(), annotations.size());
  for (size_t i = 0; i < records.size(); ++i) {
    const nlohmann::json& annotation = annotations[i];
    const MaskRecord& record = records[i];
    EXPECT_NEAR(record.predicted_iou, annotation["predicted_iou"].get<double>(), kIouTolerance);
    EXPECT_NEAR(record.stability_score, annotation["stability_score"].get<double>(), 1e-4);
    EXPECT_NEAR(record.area, annotation["area"].get<double>(), 2);
    const auto box = annotation["bbox"].get<std::vector<int>>();
    EXPECT_EQ(record.box.x0, box[0]);
    EXPECT_EQ(record.box.y0, box[1]);
    EXPECT_EQ(record.box.x1 - record.box.x0, box[2]);
    EXPECT_EQ(record.box.y1 - record.box.y0, box[3]);
    EXPECT_NEAR(record.point.cx, annotation["point_coords"][0][0].get<double>(), 1e-6);
    EXPECT_NEAR(record.point.cy, annotation["point_coords"][0][1].get<double>(), 1e-6);
  }
}

INSTANTIATE_TEST_SUITE_P(Runs, Everything, ::testing::Values('A', 'B', 'C'));

}  // namespace
}  // namespace semsam::testing
