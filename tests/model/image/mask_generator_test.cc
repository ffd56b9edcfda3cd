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
}

}  // namespace
}  // namespace semsam
