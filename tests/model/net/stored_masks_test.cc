// What rounding a stored embedding does to the masks of the model that ships.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "model/image/decode_image.h"
#include "model/image/mask_generator.h"
#include "model/image/mask_tail.h"
#include "model/image/resize.h"
#include "model/image/run_lengths.h"
#include "tests/model/net/segmenter_fixture.h"

namespace semsam {
namespace {

using testing::EncodeOne;
using testing::MakeSegmenter;

Rgb8Image DemoPicture(const std::string& name) {
  std::ifstream file(SEMSAM_SOURCE_DIR "/deploy/demo/" + name, std::ios::binary);
  const std::string bytes{std::istreambuf_iterator<char>(file), {}};
  absl::StatusOr<Rgb8Image> image = DecodeImage(std::string_view(bytes), {});
  EXPECT_TRUE(image.ok()) << image.status();
  return *std::move(image);
}

struct Answer {
  std::vector<RunLengths> masks;
  std::vector<float> ious;
};

// All levels of a grid of clicks.
Answer Click(Segmenter& segmenter, const std::shared_ptr<const Embedding>& embedding,
             const ImageGeometry& geometry) {
  const DecodeRequest request = {.embedding = embedding,
                                 .prompts = PointGrid(5, segmenter.info().config.click_size),
                                 .levels = {1, 2, 3, 4, 5, 6}};
  auto results = segmenter.Decode({&request, 1});
  EXPECT_TRUE(results[0].ok()) << results[0].status();
  Answer answer;
  for (size_t i = 0; i < results[0]->scores.size(); ++i) {
    answer.masks.push_back(
        LogitsToRunLengths(results[0]->mask_logits(i), geometry, MaskResolution::kOriginal));
    answer.ious.push_back(results[0]->scores[i].predicted_iou);
  }
  return answer;
}

struct Fidelity {
  double mean_iou = 0;
  double unchanged = 0;      // share
  double predicted_iou = 0;  // largest difference
};

Fidelity Compare(const Answer& ours, const Answer& original) {
  Fidelity result;
  const auto count = static_cast<double>(original.masks.size());
  for (size_t i = 0; i < original.masks.size(); ++i) {
    const bool same = ours.masks[i] == original.masks[i];
    result.unchanged += (same ? 1 : 0) / count;
    result.mean_iou += (same ? 1 : MaskIou(ours.masks[i], original.masks[i])) / count;
    result.predicted_iou =
        std::max(result.predicted_iou, std::abs(double{ours.ious[i]} - original.ious[i]));
  }
  return result;
}

TEST(StoredMasks, OfTheDefaultModelStayAsTheyAre) {
  const std::unique_ptr<Segmenter> segmenter = MakeSegmenter("default");
  const ModelConfig& config = segmenter->info().config;
  for (const char* name : {"chelsea.jpg", "street.png"}) {
    const Rgb8Image picture = DemoPicture(name);
    const ImageSize network = NetworkSize(picture.size, config.short_edge_px);
    const ImageGeometry geometry = {picture.size, network, PaddedSize(config, network)};
    const auto embedding = EncodeOne(*segmenter, ResizeBicubic(picture, network));
    const Answer original = Click(*segmenter, embedding, geometry);
    const auto stored_as = [&](StorageFormat format) {
      const auto stored = segmenter->Store(*embedding, format);
      EXPECT_TRUE(stored.ok()) << stored.status();
      const auto loaded = segmenter->Load(*stored);
      EXPECT_TRUE(loaded.ok()) << loaded.status();
      return Compare(Click(*segmenter, *loaded, geometry), original);
    };
    const Fidelity exact = stored_as(StorageFormat::kFp32);
    EXPECT_NEAR(exact.unchanged, 1, 1e-9) << name;
    EXPECT_EQ(exact.predicted_iou, 0) << name;
    const Fidelity half = stored_as(StorageFormat::kFp16);
    EXPECT_GT(half.mean_iou, 0.999) << name;
    EXPECT_LT(half.predicted_iou, 0.01) << name;
    const Fidelity bytes = stored_as(StorageFormat::kInt8);
    EXPECT_GT(bytes.mean_iou, 0.98) << name;
    EXPECT_LT(bytes.predicted_iou, 0.1) << name;
    RecordProperty(std::string(name) + "_fp16_iou", std::to_string(half.mean_iou));
    RecordProperty(std::string(name) + "_int8_iou", std::to_string(bytes.mean_iou));
  }
}

}  // namespace
}  // namespace semsam
