// The published everything-mode, network and post-processing together: a grid of
// clicks in joint attention, as published.
#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "model/image/mask_generator.h"
#include "model/net/torch_segmenter.h"
#include "model/segmenter.h"
#include "tests/model/net/parity_fixture.h"

namespace semsam::testing {
namespace {

MaskGeneratorOptions Options(const nlohmann::json& params) {
  return {.pred_iou_thresh = params["pred_iou_thresh"],
          .stability_score_thresh = params["stability_score_thresh"],
          .stability_score_offset = params["stability_score_offset"],
          .box_nms_thresh = params["box_nms_thresh"],
          .min_mask_region_area = params["min_mask_region_area"]};
}

std::vector<int> Levels(const nlohmann::json& params) {
  return params.contains("level") ? params["level"].get<std::vector<int>>()
                                  : std::vector<int>{1, 2, 3, 4, 5, 6};
}

std::vector<MaskRecord> Finish(MaskGenerator& generator) {
  absl::StatusOr<std::vector<MaskRecord>> records = generator.Finish();
  EXPECT_TRUE(records.ok()) << records.status();
  return *std::move(records);
}

// By the network's own parts, over raw memory.
std::vector<MaskRecord> GenerateByNetwork(const nlohmann::json& params) {
  c10::InferenceMode inference;
  const SemanticSam& network = ParityNetwork('t', ops::Path::kNative);
  const EncodedImage image = EncodeParityImage(network, 'c');
  MaskGenerator generator(Options(params), image.geometry);
  const std::vector<Prompt> points = PointGrid(params["points_per_side"], 0.005f);
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
      for (int level : Levels(params)) {
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
  return Finish(generator);
}

Segmenter& ParitySegmenter() {
  static Segmenter* segmenter =
      CreateTorchSegmenter({.weights = SEMSAM_PARITY_DIR "/manifests/manifest_swin_t.tsv"})
          .value()
          .release();
  return *segmenter;
}

// As the service does it: through the Segmenter, over projected values.
std::vector<MaskRecord> GenerateBySegmenter(const nlohmann::json& params) {
  Segmenter& segmenter = ParitySegmenter();
  const Rgb8Image image = ParityImage('c');
  const Rgb8Image* images[] = {&image};
  const auto embedding = segmenter.ProjectValues(*segmenter.Encode(images)[0]);
  EXPECT_TRUE(embedding.ok()) << embedding.status();
  const ModelConfig& config = segmenter.info().config;
  MaskGenerator generator(Options(params),
                          {image.size, image.size, PaddedSize(config, image.size)});
  const std::vector<Prompt> points = PointGrid(params["points_per_side"], config.click_size);
  const size_t chunk = params["points_per_batch"];
  for (size_t first = 0; first < points.size(); first += chunk) {
    const auto begin = points.begin() + static_cast<ptrdiff_t>(first);
    const auto end = begin + static_cast<ptrdiff_t>(std::min(chunk, points.size() - first));
    const DecodeRequest request = {.embedding = *embedding,
                                   .prompts = {begin, end},
                                   .levels = Levels(params),
                                   .joint_attention = true};
    const auto results = segmenter.Decode({&request, 1});
    EXPECT_TRUE(results[0].ok()) << results[0].status();
    for (size_t i = 0; i < results[0]->scores.size(); ++i) {
      const MaskScores& scores = results[0]->scores[i];
      const absl::Status status =
          generator.Add({.point = request.prompts[scores.prompt],
                         .point_index = static_cast<int>(first) + scores.prompt,
                         .level = scores.level,
                         .predicted_iou = scores.predicted_iou,
                         .logits = results[0]->mask_logits(i)});
      EXPECT_TRUE(status.ok()) << status;
    }
  }
  const std::vector<MaskRecord> records = Finish(generator);
  for (const MaskRecord& record : records) {
    EXPECT_EQ(points[record.point_index], record.point);
  }
  return records;
}

void ExpectPublished(const std::vector<MaskRecord>& records, const nlohmann::json& annotations) {
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

class Everything : public ::testing::TestWithParam<char> {
 protected:
  void SetUp() override {
    SEMSAM_SKIP_WITHOUT_PARITY();
    std::ifstream file(
        absl::StrCat(SEMSAM_PARITY_DIR "/amg/amg_", std::string(1, GetParam()), ".json"));
    expected_ = nlohmann::json::parse(file);
  }

  nlohmann::json expected_;
};

TEST_P(Everything, ListsEqualThePublishedGenerator) {
  ExpectPublished(GenerateByNetwork(expected_["params"]), expected_["annotations"]);
}

TEST_P(Everything, ListsOverProjectedValuesEqualThePublishedGenerator) {
  ExpectPublished(GenerateBySegmenter(expected_["params"]), expected_["annotations"]);
}

INSTANTIATE_TEST_SUITE_P(Runs, Everything, ::testing::Values('A', 'B', 'C'));

}  // namespace
}  // namespace semsam::testing
