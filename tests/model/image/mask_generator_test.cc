#include "model/image/mask_generator.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "model/base/errors.h"
#include "tests/model/image/image_test_util.h"
#include "tests/support/npy.h"

namespace semsam {
namespace {

// Logits that are already at network size.
ImageGeometry FullSize(ImageSize size) {
  return {.original = size, .network = size, .padded = size};
}

void ExpectRecordEqualsAnnotation(const MaskRecord& record, const nlohmann::json& expected) {
  const auto& mask = expected["segmentation"];
  EXPECT_EQ(record.mask.size.height, mask["size"][0].get<int>());
  EXPECT_EQ(record.mask.size.width, mask["size"][1].get<int>());
  EXPECT_EQ(record.mask.counts, mask["counts"].get<std::vector<uint32_t>>());
  EXPECT_EQ(record.area, expected["area"].get<int64_t>());
  const std::vector<float> bbox = {record.box.x0, record.box.y0, record.box.x1 - record.box.x0,
                                   record.box.y1 - record.box.y0};
  EXPECT_EQ(bbox, expected["bbox"].get<std::vector<float>>());
  EXPECT_EQ(record.predicted_iou, expected["predicted_iou"].get<float>());
  EXPECT_EQ(record.stability_score, expected["stability_score"].get<float>());
  const std::vector<float> point = {record.point.cx, record.point.cy, record.point.w,
                                    record.point.h};
  EXPECT_EQ(point, expected["point_coords"][0].get<std::vector<float>>());
}

class SyntheticMasks : public ::testing::Test {
 protected:
  void SetUp() override {
    const std::string dir = std::string(SEMSAM_PARITY_DIR) + "/amg/amg_syn/";
    if (!testing::FileExists(dir + "logits.npy")) GTEST_SKIP() << "no parity folder at " << dir;
    logits_ = testing::ReadNpy<float>(dir + "logits.npy");
    ious_ = testing::ReadNpy<float>(dir + "ious.npy");
    expected_ = nlohmann::json::parse(testing::ReadPythonJson(dir + "expected.json"), nullptr,
                                      /*allow_exceptions=*/false);
    ASSERT_EQ(logits_.shape.size(), 3u);
    ASSERT_FALSE(expected_.is_discarded());
    size_ = {static_cast<int>(logits_.dim(1)), static_cast<int>(logits_.dim(2))};
  }

  MaskCandidate Candidate(int click, int level) const {
    constexpr int side = 3;
    const int64_t index = click * ious_.dim(1) + level;
    const auto along = [](int i) { return (2.0f * i + 1.0f) / (2.0f * side); };
    return {
        .point = {.cx = along(click % side), .cy = along(click / side), .w = 0.005f, .h = 0.005f},
        .level = level + 1,
        .predicted_iou = ious_.data[index],
        .logits = {size_, logits_.data.data() + index * size_.area()}};
  }

  testing::NpyArray<float> logits_;
  testing::NpyArray<float> ious_;
  nlohmann::json expected_;
  ImageSize size_;
};

TEST_F(SyntheticMasks, AreKeptAndCleanedAsThePublishedCodeDoes) {
  ASSERT_EQ(expected_["runs"].size(), 3u);
  for (const auto& [name, run] : expected_["runs"].items()) {
    const auto& params = run["params"];
    MaskGenerator generator(
        {.pred_iou_thresh = params["pred_iou_thresh"].get<float>(),
         .stability_score_thresh = params["stability_score_thresh"].get<float>(),
         .stability_score_offset = params["stability_score_offset"].get<float>(),
         .box_nms_thresh = params["box_nms_thresh"].get<double>(),
         .crop_nms_thresh = params["crop_nms_thresh"].get<double>(),
         .min_mask_region_area = params["min_mask_region_area"].get<int64_t>()},
        FullSize(size_));
    for (int click = 0; click < 9; ++click) {
      for (int level = 0; level < 3; ++level) {
        ASSERT_TRUE(generator.Add(Candidate(click, level)).ok());
      }
    }
    const auto records = generator.Finish();
    ASSERT_TRUE(records.ok()) << records.status();
    const auto& annotations = run["annotations"];
    ASSERT_EQ(records->size(), annotations.size()) << name;
    for (size_t i = 0; i < records->size(); ++i) {
      SCOPED_TRACE(name + " " + std::to_string(i));
      ExpectRecordEqualsAnnotation((*records)[i], annotations[i]);
    }
  }
}

std::vector<float> Disc(ImageSize size, float cy, float cx, float radius) {
  std::vector<float> logits;
  for (int y = 0; y < size.height; ++y) {
    for (int x = 0; x < size.width; ++x) {
      logits.push_back(4 * (radius - std::hypot(y - cy, x - cx)));
    }
  }
  return logits;
}

constexpr ImageSize kSize = {40, 60};

MaskGeneratorOptions Loose() {
  return {.pred_iou_thresh = 0, .stability_score_thresh = 0, .min_mask_region_area = 0};
}

TEST(MaskGenerator, OfEqualMasksTheOneWithTheHigherPredictedIouStays) {
  const std::vector<float> disc = Disc(kSize, 20, 20, 10);
  const std::vector<float> other = Disc(kSize, 20, 48, 8);
  MaskGenerator generator(Loose(), FullSize(kSize));
  int level = 0;
  for (const auto& [logits, iou] :
       {std::pair(&disc, 0.5f), std::pair(&disc, 0.9f), std::pair(&other, 0.95f)}) {
    ASSERT_TRUE(
        generator.Add({.level = ++level, .predicted_iou = iou, .logits = {kSize, logits->data()}})
            .ok());
  }
  const auto records = generator.Finish();
  ASSERT_TRUE(records.ok());
  ASSERT_EQ(records->size(), 2u);
  EXPECT_EQ((*records)[0].level, 3);
  EXPECT_EQ((*records)[1].level, 2);
  EXPECT_EQ((*records)[1].area, MaskArea((*records)[1].mask));
  // The generator starts anew.
  EXPECT_TRUE(generator.Finish()->empty());
}

TEST(MaskGenerator, TheCleanUpStopsBetweenMasks) {
  const std::vector<float> disc = Disc(kSize, 20, 20, 10);
  const std::vector<float> other = Disc(kSize, 20, 48, 8);
  MaskGeneratorOptions options = Loose();
  options.min_mask_region_area = 5;
  MaskGenerator generator(options, FullSize(kSize));
  for (const std::vector<float>* logits : {&disc, &other}) {
    ASSERT_TRUE(
        generator.Add({.level = 1, .predicted_iou = 0.9f, .logits = {kSize, logits->data()}}).ok());
  }
  int asked = 0;
  const auto records = generator.Finish([&asked] { return ++asked == 2; });
  EXPECT_EQ(records.status().code(), absl::StatusCode::kCancelled);
  EXPECT_EQ(asked, 2);
}

TEST(MaskGenerator, CandidatesAreBounded) {
  MaskGeneratorOptions options = Loose();
  options.max_candidates = 2;
  const std::vector<float> disc = Disc(kSize, 20, 20, 10);
  MaskGenerator generator(options, FullSize(kSize));
  const MaskCandidate candidate{.predicted_iou = 1, .logits = {kSize, disc.data()}};
  EXPECT_TRUE(generator.Add(candidate).ok());
  EXPECT_TRUE(generator.Add(candidate).ok());
  EXPECT_EQ(generator.Add(candidate).code(), absl::StatusCode::kResourceExhausted);
}

TEST(MaskGenerator, BytesOfMasksAreBounded) {
  MaskGeneratorOptions options = Loose();
  const std::vector<float> disc = Disc(kSize, 20, 20, 10);
  const MaskCandidate candidate{.predicted_iou = 1, .logits = {kSize, disc.data()}};
  options.max_mask_bytes = static_cast<int64_t>(
      LogitsToRunLengths(candidate.logits, FullSize(kSize), MaskResolution::kNetwork)
          .counts.size() *
      sizeof(uint32_t) * 5 / 2);
  MaskGenerator generator(options, FullSize(kSize));
  EXPECT_TRUE(generator.Add(candidate).ok());
  EXPECT_TRUE(generator.Add(candidate).ok());
  EXPECT_EQ(generator.Add(candidate).code(), absl::StatusCode::kResourceExhausted);
}

TEST(MaskGenerator, RecordsNameTheirPointQueryAndLevel) {
  MaskGenerator generator(
      {.pred_iou_thresh = 0.5f, .stability_score_thresh = 0, .min_mask_region_area = 0},
      FullSize(kSize));
  const std::vector<float> left = Disc(kSize, 20, 15, 8), right = Disc(kSize, 20, 45, 8);
  const std::vector<float>* discs[] = {&left, &left, &right};
  const float ious[] = {0.4f, 0.6f, 0.7f};
  std::vector<int64_t> held;
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(generator
                    .Add({.point_index = 7 + i,
                          .query = 70 + i,
                          .level = i + 1,
                          .predicted_iou = ious[i],
                          .logits = {kSize, discs[i]->data()}})
                    .ok());
    held.push_back(generator.held());
  }
  EXPECT_EQ(held, (std::vector<int64_t>{0, 1, 2}));
  EXPECT_EQ(generator.judged(), 3);
  const auto records = generator.Finish();
  ASSERT_TRUE(records.ok());
  ASSERT_EQ(records->size(), 2u);
  EXPECT_EQ((*records)[0].point_index, 9);
  EXPECT_EQ((*records)[0].query, 72);
  EXPECT_EQ((*records)[0].level, 3);
  EXPECT_EQ((*records)[1].point_index, 8);
  EXPECT_EQ(generator.held(), 0);
}

TEST(MaskGenerator, AnswersAtTheOriginalResolutionWhatItChoseAtTheNetworks) {
  // Grid, network and picture: 40 x 60, 80 x 120, 160 x 240.
  const ImageGeometry geometry = {
      .original = {160, 240}, .network = {80, 120}, .padded = {80, 120}};
  std::vector<float> disc = Disc(kSize, 20, 20, 10);
  disc[3 * kSize.width + 50] = 40;  // an island of a few pixels
  MaskGeneratorOptions options = Loose();
  options.min_mask_region_area = 100;
  std::vector<std::vector<MaskRecord>> answers;
  for (const MaskResolution resolution : {MaskResolution::kNetwork, MaskResolution::kOriginal}) {
    options.resolution = resolution;
    MaskGenerator generator(options, geometry);
    ASSERT_TRUE(generator.Add({.predicted_iou = 1, .logits = {kSize, disc.data()}}).ok());
    auto records = generator.Finish();
    ASSERT_TRUE(records.ok()) << records.status();
    ASSERT_EQ(records->size(), 1u);
    answers.push_back(*std::move(records));
  }
  const MaskRecord& network = answers[0][0];
  const MaskRecord& original = answers[1][0];
  EXPECT_EQ(network.mask.size, geometry.network);
  EXPECT_EQ(original.mask.size, geometry.original);
  EXPECT_EQ(original.box, network.box);
  EXPECT_NEAR(static_cast<double>(original.area), 4.0 * static_cast<double>(network.area),
              0.02 * static_cast<double>(original.area));
  // The island is gone from both: the box is the disc's.
  const PixelBox box = BoundingBox(original.mask);
  EXPECT_LT(box.x + box.width, 140);
  EXPECT_LT(network.box.x1, 70);
}

TEST(MaskGenerator, FinishStopsWhenItIsCancelled) {
  const std::vector<float> left = Disc(kSize, 20, 15, 8), right = Disc(kSize, 20, 45, 8);
  MaskGeneratorOptions options = Loose();
  options.min_mask_region_area = 5;
  MaskGenerator generator(options, FullSize(kSize));
  for (const auto* disc : {&left, &right}) {
    ASSERT_TRUE(generator.Add({.predicted_iou = 1, .logits = {kSize, disc->data()}}).ok());
  }
  int asked = 0;
  EXPECT_EQ(generator.Finish([&] { return ++asked == 2; }).status().code(),
            absl::StatusCode::kCancelled);
  EXPECT_EQ(asked, 2);
}

TEST(PointGrid, HasAPointInTheMiddleOfEachCellRowByRow) {
  const std::vector<Prompt> points = PointGrid(4, 0.005f);
  ASSERT_EQ(points.size(), 16u);
  EXPECT_EQ(points[0], (Prompt{.cx = 0.125f, .cy = 0.125f, .w = 0.005f, .h = 0.005f}));
  EXPECT_EQ(points[1].cx, 0.375f);
  EXPECT_EQ(points[1].cy, 0.125f);
  EXPECT_EQ(points[15].cx, 0.875f);
  EXPECT_EQ(points[15].cy, 0.875f);
  EXPECT_EQ(PointGrid(1, 0.1f)[0].cx, 0.5f);
}

TEST(MaskGenerator, LogitsThatDoNotFitTheImageAreAnError) {
  MaskGenerator generator(Loose(), FullSize({20, 30}));
  const std::vector<float> disc = Disc(kSize, 20, 20, 10);
  EXPECT_EQ(generator.Add({.predicted_iou = 1, .logits = {kSize, disc.data()}}).code(),
            absl::StatusCode::kInternal);
}

TEST(MaskGenerator, OptionsAreValidated) {
  EXPECT_TRUE(Validate(MaskGeneratorOptions{}).ok());
  EXPECT_EQ(ErrorField(Validate(MaskGeneratorOptions{.pred_iou_thresh = NAN})), "pred_iou_thresh");
  EXPECT_EQ(ErrorField(Validate(MaskGeneratorOptions{.stability_score_thresh = 1.5f})),
            "stability_score_thresh");
  EXPECT_EQ(ErrorField(Validate(MaskGeneratorOptions{.stability_score_offset = -1})),
            "stability_score_offset");
  EXPECT_EQ(ErrorField(Validate(MaskGeneratorOptions{.box_nms_thresh = 1.1})), "box_nms_thresh");
  EXPECT_EQ(ErrorField(Validate(MaskGeneratorOptions{.crop_nms_thresh = -0.1})), "crop_nms_thresh");
  EXPECT_EQ(ErrorField(Validate(MaskGeneratorOptions{.min_mask_region_area = -1})),
            "min_mask_region_area");
  EXPECT_EQ(ErrorField(Validate(MaskGeneratorOptions{.max_candidates = 0})), "max_candidates");
  EXPECT_EQ(ErrorField(Validate(MaskGeneratorOptions{.max_mask_bytes = 0})), "max_mask_bytes");
}

}  // namespace
}  // namespace semsam
