#include "model/image/vocabulary_inference.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "tests/model/image/vocabulary_test_util.h"
#include "tests/support/npy.h"

namespace semsam {
namespace {

using testing::QueryData;
using testing::RandomQueries;

std::string Dir() { return std::string(SEMSAM_PARITY_DIR) + "/vocab/"; }

// The published post-processing of 40 queries against 12 classes.
class Published : public ::testing::TestWithParam<ImageSize> {
 protected:
  void SetUp() override {
    if (!testing::FileExists(Dir() + "results_vocab.json")) {
      GTEST_SKIP() << "no parity folder at " << Dir();
    }
    data_.geometry = {.original = {50, 87}, .network = {50, 87}, .padded = {64, 96}};
    data_.grid = {16, 24};
    data_.queries = 40;
    data_.classes = 12;
    data_.class_logits = testing::ReadNpy<float>(Dir() + "post_in_logits.npy").data;
    data_.mask_logits = testing::ReadNpy<float>(Dir() + "post_in_masks.npy").data;
    const std::vector<float> boxes = testing::ReadNpy<float>(Dir() + "post_in_boxes.npy").data;
    for (size_t i = 0; i + 4 <= boxes.size(); i += 4) {
      data_.boxes.push_back({boxes[i], boxes[i + 1], boxes[i + 2], boxes[i + 3]});
    }
    name_ = absl::StrCat("post_", GetParam().height, "x", GetParam().width);
    results_ = nlohmann::json::parse(testing::ReadPythonJson(Dir() + "results_vocab.json"), nullptr,
                                     /*allow_exceptions=*/false)[name_];
    ASSERT_TRUE(results_.is_object());
  }

  QueryData data_;
  std::string name_;
  nlohmann::json results_;
};

std::vector<bool> FirstAreThings(int things, int classes) {
  std::vector<bool> is_thing(classes, false);
  std::fill_n(is_thing.begin(), things, true);
  return is_thing;
}

TEST_P(Published, PanopticMapsAreEqualInEveryPixel) {
  for (const std::string preset : {"P0", "P1", "P3", "P5", "P6"}) {
    SCOPED_TRACE(preset);
    const nlohmann::json& expected = results_[preset];
    const auto map = InferPanoptic(
        data_.view(), {.output = GetParam(),
                       .object_threshold = expected["object_mask_threshold"].get<float>(),
                       .overlap_threshold = expected["overlap_threshold"].get<float>(),
                       .softmax = expected["transform_eval"].get<bool>(),
                       .temperature = expected["pano_temp"].get<float>(),
                       .is_thing = FirstAreThings(6, 12)});
    ASSERT_TRUE(map.ok()) << map.status();
    const auto ids = testing::ReadNpy<uint8_t>(Dir() + name_ + "_pano_" + preset + ".npy");
    ASSERT_EQ(map->ids.size(), ids.data.size());
    EXPECT_TRUE(std::equal(map->ids.begin(), map->ids.end(), ids.data.begin()));
    ASSERT_EQ(map->segments.size(), expected["segments_info"].size());
    for (size_t i = 0; i < map->segments.size(); ++i) {
      const PanopticSegment& segment = map->segments[i];
      const nlohmann::json& info = expected["segments_info"][i];
      EXPECT_EQ(segment.id, info["id"].get<int>());
      EXPECT_EQ(segment.word, info["category_id"].get<int>());
      EXPECT_EQ(segment.is_thing, info["isthing"].get<bool>());
      EXPECT_EQ(segment.area,
                expected["pixel_count_by_id"][absl::StrCat(segment.id)].get<int64_t>());
    }
  }
}

TEST_P(Published, InstancesHaveTheirScoresAreasAndBoxes) {
  const struct {
    const char* mode;
    bool things_only;
    bool masks;
  } modes[] = {{"seg", true, true}, {"inst_seg", false, true}, {"det", false, false}};
  for (const auto& [mode, things_only, masks] : modes) {
    SCOPED_TRACE(mode);
    const nlohmann::json& expected = results_["instances"][mode];
    InstanceOptions options = {.output = GetParam(), .top = 100, .masks = masks};
    if (things_only) options.keep_class = FirstAreThings(6, 12);
    const auto instances = InferInstances(data_.view(), options);
    ASSERT_TRUE(instances.ok()) << instances.status();
    EXPECT_EQ(instances->size(), expected["n"].get<size_t>());
    ASSERT_GE(expected["entries"].size(), 20u);
    for (size_t i = 0; i < expected["entries"].size(); ++i) {
      const VocabularyInstance& instance = (*instances)[i];
      const nlohmann::json& entry = expected["entries"][i];
      EXPECT_EQ(instance.word, entry["cls"].get<int>());
      EXPECT_NEAR(instance.score, entry["score"].get<double>(), 5e-6);
      const auto box = entry["box_xyxy"].get<std::vector<float>>();
      EXPECT_NEAR(instance.x0, box[0], 1e-4);
      EXPECT_NEAR(instance.y0, box[1], 1e-4);
      EXPECT_NEAR(instance.x1, box[2], 1e-4);
      EXPECT_NEAR(instance.y1, box[3], 1e-4);
      if (!masks) continue;
      EXPECT_EQ(instance.area, entry["mask_area"].get<int64_t>());
      EXPECT_EQ(MaskArea(instance.mask), instance.area);
      EXPECT_EQ(instance.mask.size, GetParam());
    }
  }
}

class PublishedScores : public Published {};

TEST_P(PublishedScores, Agree) {
  for (const bool softmax : {true, false}) {
    const auto expected =
        testing::ReadNpy<float>(Dir() + name_ + (softmax ? "_sem_P0.npy" : "_sem_P3.npy"));
    const SemanticOptions options = {.output = GetParam(), .softmax = softmax};
    std::vector<float> scores(expected.data.size(), NAN);
    const size_t width = GetParam().width, plane = GetParam().area();
    ASSERT_EQ(scores.size(), 12 * plane);
    const absl::Status status = InferSemantic(
        data_.view(), options, [&](int first_row, int rows, absl::Span<const float> strip) {
          ASSERT_EQ(strip.size(), 12 * rows * width);
          for (size_t c = 0; c < 12; ++c) {
            std::copy_n(strip.begin() + c * rows * width, rows * width,
                        scores.begin() + c * plane + first_row * width);
          }
        });
    ASSERT_TRUE(status.ok()) << status;
    for (size_t i = 0; i < scores.size(); ++i) ASSERT_NEAR(scores[i], expected.data[i], 1e-5) << i;
    const auto map = InferSemanticMap(data_.view(), options);
    ASSERT_TRUE(map.ok());
    for (size_t i = 0; i < plane; ++i) {
      int best = 0;
      for (int c = 1; c < 12; ++c) {
        if (scores[c * plane + i] > scores[best * plane + i]) best = c;
      }
      ASSERT_EQ((*map)[i], best) << i;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(
    Sizes, Published, ::testing::Values(ImageSize{50, 87}, ImageSize{31, 60}, ImageSize{75, 131}),
    [](const auto& info) { return absl::StrCat(info.param.height, "x", info.param.width); });

INSTANTIATE_TEST_SUITE_P(Sizes, PublishedScores, ::testing::Values(ImageSize{50, 87}));

// ---- Against plain code over whole maps -------------------------------------

struct Shape {
  ImageSize network;
  ImageSize output;
  int queries;
  int classes;
};

class PlainCode : public ::testing::TestWithParam<Shape> {
 protected:
  void SetUp() override {
    const Shape& shape = GetParam();
    data_ = RandomQueries(shape.network, shape.queries, shape.classes, /*seed=*/7);
    maps_ = testing::UpsampleAll(data_, shape.output);
    for (float& logit : probabilities_ = data_.class_logits) logit = testing::SigmoidOf(logit);
  }
  size_t plane() const { return GetParam().output.area(); }
  float map(int query, size_t pixel) const { return maps_[query * plane() + pixel]; }

  QueryData data_;
  std::vector<float> maps_;           // logits [Q, H, W]
  std::vector<float> probabilities_;  // [Q, C]
};

TEST_P(PlainCode, GivesTheSameInstanceMasks) {
  const auto instances =
      InferInstances(data_.view(), {.output = GetParam().output, .top = 1 << 20});
  ASSERT_TRUE(instances.ok()) << instances.status();
  ASSERT_EQ(instances->size(), probabilities_.size());
  for (const VocabularyInstance& instance : *instances) {
    const BinaryMask mask = DecodeRunLengths(instance.mask);
    double sum = 0;
    int64_t area = 0, different = 0;
    for (size_t i = 0; i < plane(); ++i) {
      const float logit = map(instance.query, i);
      different += mask.pixels[i] != (logit > 0);
      if (!(logit > 0)) continue;
      sum += testing::SigmoidOf(logit);
      ++area;
    }
    ASSERT_EQ(different, 0) << instance.query;
    EXPECT_EQ(instance.area, area);
    EXPECT_NEAR(instance.mask_score, sum / (static_cast<double>(area) + 1e-6), 5e-6);
    EXPECT_NEAR(instance.class_score,
                probabilities_[instance.query * GetParam().classes + instance.word], 1e-6);
    EXPECT_NEAR(instance.score, instance.class_score * instance.mask_score, 1e-6);
  }
  EXPECT_TRUE(std::is_sorted(instances->begin(), instances->end(),
                             [](const auto& a, const auto& b) { return a.score > b.score; }));
}

TEST_P(PlainCode, GivesTheSamePanopticWinners) {
  // No overlap test: every winner that its own mask holds is painted.
  const PanopticOptions options = {.output = GetParam().output,
                                   .object_threshold = 0.3f,
                                   .overlap_threshold = 0,
                                   .softmax = false,
                                   .is_thing = std::vector<bool>(GetParam().classes, true)};
  const auto panoptic = InferPanoptic(data_.view(), options);
  ASSERT_TRUE(panoptic.ok()) << panoptic.status();
  std::vector<float> best(GetParam().queries);
  for (int q = 0; q < GetParam().queries; ++q) {
    best[q] = *std::max_element(probabilities_.begin() + q * GetParam().classes,
                                probabilities_.begin() + (q + 1) * GetParam().classes);
  }
  for (size_t i = 0; i < plane(); ++i) {
    int winner = -1;
    float most = -1, second = -1;
    for (int q = 0; q < GetParam().queries; ++q) {
      if (!(best[q] > 0.3f)) continue;
      const float product = best[q] * testing::SigmoidOf(map(q, i));
      second = std::max(second, std::min(product, most));
      if (product > most) {
        most = product;
        winner = q;
      }
    }
    // Rounding decides between equals and at the border of a mask.
    if (winner < 0 || most - second < 1e-6f || std::abs(map(winner, i)) < 1e-5f) continue;
    const int id = panoptic->ids[i];
    if (map(winner, i) < 0) {
      ASSERT_EQ(id, 0) << i;
    } else {
      ASSERT_GT(id, 0) << i;
      ASSERT_EQ(panoptic->segments[id - 1].query, winner) << i;
    }
  }
  std::map<int, int64_t> areas;
  for (const int32_t id : panoptic->ids) ++areas[id];
  for (const PanopticSegment& segment : panoptic->segments) {
    EXPECT_EQ(segment.area, areas[segment.id]);
    BinaryMask mask{.size = panoptic->size};
    for (const int32_t id : panoptic->ids) mask.pixels.push_back(id == segment.id);
    EXPECT_EQ(segment.box, BoundingBox(EncodeRunLengths(mask)));
    EXPECT_NEAR(segment.score, best[segment.query], 1e-6);
  }
}

TEST_P(PlainCode, GivesTheSameSemanticScoresAndClasses) {
  const SemanticOptions options = {.output = GetParam().output};
  const int classes = GetParam().classes;
  std::vector<double> weights(probabilities_.size());
  for (int q = 0; q < GetParam().queries; ++q) {
    double sum = 0;
    for (int c = 0; c < classes; ++c) {
      sum += weights[q * classes + c] = std::exp(probabilities_[q * classes + c] / 0.06);
    }
    for (int c = 0; c < classes; ++c) weights[q * classes + c] /= sum;
  }
  const auto map_of_classes = InferSemanticMap(data_.view(), options);
  ASSERT_TRUE(map_of_classes.ok()) << map_of_classes.status();
  int next_row = 0;
  const absl::Status status = InferSemantic(
      data_.view(), options, [&](int first_row, int rows, absl::Span<const float> scores) {
        ASSERT_EQ(first_row, next_row);
        next_row += rows;
        const size_t strip = static_cast<size_t>(rows) * GetParam().output.width;
        for (size_t i = 0; i < strip; ++i) {
          const size_t pixel = i + static_cast<size_t>(first_row) * GetParam().output.width;
          int best = 0;
          for (int c = 0; c < classes; ++c) {
            if (scores[c * strip + i] > scores[best * strip + i]) best = c;
            if ((pixel + c) % 37 != 0) continue;  // doubles are slow: a sample
            double expected = 0;
            for (int q = 0; q < GetParam().queries; ++q) {
              expected += weights[q * classes + c] * testing::SigmoidOf(map(q, pixel));
            }
            ASSERT_NEAR(scores[c * strip + i], expected, 2e-5);
          }
          // The same sums in the same order: equal whatever is left out.
          ASSERT_EQ((*map_of_classes)[pixel], best) << pixel;
        }
      });
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_EQ(next_row, GetParam().output.height);
}

INSTANTIATE_TEST_SUITE_P(
    Shapes, PlainCode,
    ::testing::Values(Shape{{96, 130}, {96, 130}, 20, 7},    // as it is
                      Shape{{96, 130}, {171, 299}, 24, 33},  // larger, more than a tile each way
                      Shape{{170, 150}, {45, 31}, 12, 5},    // smaller
                      Shape{{64, 64}, {40, 150}, 9, 1},      // one axis each way, one class
                      Shape{{33, 65}, {1, 1}, 3, 2},         // a pixel
                      Shape{{40, 50}, {70, 2}, 1, 13}));     // one query

}  // namespace
}  // namespace semsam
