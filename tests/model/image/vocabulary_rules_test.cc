// Vocabulary inference: the rules one by one, bad input, cancellation.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "model/base/errors.h"
#include "model/image/vocabulary_inference.h"
#include "tests/model/image/vocabulary_test_util.h"

namespace semsam {
namespace {

using testing::QueryData;
using testing::RandomQueries;

// Three queries on a map of 8 x 8 px without any resize.
QueryData Small() {
  QueryData data;
  data.geometry = {.original = {8, 8}, .network = {8, 8}, .padded = {8, 8}};
  data.grid = {8, 8};
  data.queries = 3;
  data.classes = 2;
  data.class_logits = {2, -3, 1, -3, -4, -2};
  data.boxes.assign(3, {.cx = 0.5f, .cy = 0.5f, .w = 0.5f, .h = 1.0f});
  data.mask_logits.assign(3 * 64, -9.0f);
  std::fill_n(data.mask_logits.begin(), 32, 5.0f);            // rows 0 to 3
  std::fill_n(data.mask_logits.begin() + 64 + 40, 24, 5.0f);  // rows 5 to 7
  std::fill_n(data.mask_logits.begin() + 128, 64, 4.0f);
  return data;
}

TEST(InferPanoptic, StuffOfAClassIsOneSegmentAndThingsAreNot) {
  const QueryData data = Small();
  PanopticOptions options = {.output = {8, 8}, .is_thing = {false, false}};
  const auto stuff = InferPanoptic(data.view(), options);
  ASSERT_TRUE(stuff.ok());
  ASSERT_EQ(stuff->segments.size(), 1u);
  EXPECT_EQ(stuff->segments[0].area, 56);
  EXPECT_EQ(stuff->segments[0].box, (PixelBox{0, 0, 8, 8}));
  options.is_thing = {true, true};
  const auto things = InferPanoptic(data.view(), options);
  ASSERT_TRUE(things.ok());
  ASSERT_EQ(things->segments.size(), 2u);
  EXPECT_EQ(things->segments[1].id, 2);
  EXPECT_EQ(things->segments[1].query, 1);
  EXPECT_EQ(things->segments[1].box, (PixelBox{0, 5, 8, 3}));
  EXPECT_EQ(std::count(things->ids.begin(), things->ids.end(), 0), 8);
}

TEST(InferPanoptic, WithoutAnyObjectTheMapIsEmpty) {
  const QueryData data = Small();
  const auto map = InferPanoptic(
      data.view(), {.output = {8, 8}, .object_threshold = 0.99f, .is_thing = {true, true}});
  ASSERT_TRUE(map.ok());
  EXPECT_TRUE(map->segments.empty());
  EXPECT_EQ(map->ids, std::vector<int32_t>(64, 0));
}

TEST(InferInstances, OnlyTheFirstQueriesAndTheAskedClassesAnswer) {
  const QueryData data = Small();
  const auto instances = InferInstances(
      data.view(), {.output = {8, 8}, .instance_queries = 2, .keep_class = {true, false}});
  ASSERT_TRUE(instances.ok());
  ASSERT_EQ(instances->size(), 2u);
  EXPECT_EQ((*instances)[0].query, 0);
  EXPECT_EQ((*instances)[1].query, 1);
  EXPECT_EQ((*instances)[0].x0, 2.0f);
  EXPECT_EQ((*instances)[0].y1, 8.0f);
}

TEST(InferInstances, ClassesAreDroppedAfterTheTop) {
  const QueryData data = Small();
  const auto instances =
      InferInstances(data.view(), {.output = {8, 8}, .top = 3, .keep_class = {false, true}});
  ASSERT_TRUE(instances.ok());
  // Of the three best pairs one has class 1.
  ASSERT_EQ(instances->size(), 1u);
  EXPECT_EQ((*instances)[0].query, 2);
}

TEST(VocabularyInference, SizesThatDoNotAgreeAreInternal) {
  const auto expect_internal = [](QueryData data, const char* what) {
    const VocabularyQueries view = data.view();
    EXPECT_EQ(InferInstances(view, {.output = {8, 8}}).status().code(), absl::StatusCode::kInternal)
        << what;
    EXPECT_EQ(InferPanoptic(view, {.output = {8, 8}, .is_thing = {true, true}}).status().code(),
              absl::StatusCode::kInternal)
        << what;
    EXPECT_EQ(InferSemanticMap(view, {.output = {8, 8}}).status().code(),
              absl::StatusCode::kInternal)
        << what;
  };
  QueryData data = Small();
  data.class_logits.pop_back();
  expect_internal(data, "class logits");
  data = Small();
  data.mask_logits.push_back(0);
  expect_internal(data, "mask logits");
  data = Small();
  data.boxes.pop_back();
  expect_internal(data, "boxes");
  data = Small();
  data.queries = 0;
  expect_internal(data, "no queries");
  data = Small();
  data.classes = 0;
  data.class_logits.clear();
  expect_internal(data, "no classes");
  data = Small();
  data.geometry.network = {9, 8};
  expect_internal(data, "geometry");
  for (const float bad : {NAN, INFINITY, -INFINITY}) {
    data = Small();
    data.mask_logits[100] = bad;
    expect_internal(data, "mask logit");
  }
  data = Small();
  data.class_logits[1] = NAN;
  expect_internal(data, "class logit");
  data = Small();
  data.boxes[2].w = NAN;
  expect_internal(data, "box");
}

TEST(VocabularyInference, InfiniteClassLogitsAreCertainty) {
  QueryData data = Small();
  data.class_logits = {INFINITY, -INFINITY, -INFINITY, -INFINITY, -INFINITY, INFINITY};
  const auto instances = InferInstances(data.view(), {.output = {8, 8}, .masks = false});
  ASSERT_TRUE(instances.ok());
  EXPECT_EQ((*instances)[0].score, 1.0f);
  EXPECT_EQ((*instances)[1].query, 2);
  EXPECT_EQ((*instances)[2].score, 0.0f);
  const auto map = InferSemanticMap(data.view(), {.output = {8, 8}});
  ASSERT_TRUE(map.ok());
  EXPECT_EQ((*map)[63], 1);
}

TEST(VocabularyInference, OptionsAreCheckedByName) {
  const QueryData data = Small();
  const VocabularyQueries view = data.view();
  const auto instances = [&](const InstanceOptions& options) {
    return ErrorField(InferInstances(view, options).status());
  };
  EXPECT_EQ(instances({}), "output");
  EXPECT_EQ(instances({.output = {8, 8}, .top = 0}), "top");
  EXPECT_EQ(instances({.output = {8, 8}, .instance_queries = 4}), "instance_queries");
  EXPECT_EQ(instances({.output = {8, 8}, .keep_class = {true}}), "keep_class");
  const auto panoptic = [&](PanopticOptions options) {
    if (options.is_thing.empty()) options.is_thing = {true, true};
    return ErrorField(InferPanoptic(view, options).status());
  };
  EXPECT_EQ(panoptic({.output = {1 << 20, 1 << 20}}), "output");
  EXPECT_EQ(panoptic({.output = {8, 8}, .object_threshold = NAN}), "object_threshold");
  EXPECT_EQ(panoptic({.output = {8, 8}, .overlap_threshold = 1.5f}), "overlap_threshold");
  EXPECT_EQ(panoptic({.output = {8, 8}, .temperature = 0}), "temperature");
  EXPECT_EQ(panoptic({.output = {8, 8}, .is_thing = {true}}), "is_thing");
  EXPECT_EQ(ErrorField(InferSemanticMap(view, {.output = {8, 0}}).status()), "output");
  EXPECT_EQ(ErrorField(InferSemantic(view, {.output = {8, 8}, .temperature = NAN},
                                     [](int, int, absl::Span<const float>) {})),
            "temperature");
}

TEST(VocabularyInference, StopsWhenItIsCancelled) {
  const QueryData data = RandomQueries({96, 130}, 12, 3, 1);
  const VocabularyQueries view = data.view();
  const ImageSize output = {200, 300};
  for (const int patience : {0, 3}) {
    int asked = 0;
    const auto cancelled = [&] { return asked++ == patience; };
    const auto expect_cancelled = [&](const absl::Status& status) {
      EXPECT_EQ(status.code(), absl::StatusCode::kCancelled);
      EXPECT_EQ(asked, patience + 1);
      asked = 0;
    };
    expect_cancelled(InferInstances(view, {.output = output}, cancelled).status());
    expect_cancelled(
        InferPanoptic(view, {.output = output, .is_thing = std::vector<bool>(3)}, cancelled)
            .status());
    expect_cancelled(InferSemanticMap(view, {.output = output}, cancelled).status());
    expect_cancelled(InferSemantic(
        view, {.output = output}, [](int, int, absl::Span<const float>) {}, cancelled));
  }
}

}  // namespace
}  // namespace semsam
