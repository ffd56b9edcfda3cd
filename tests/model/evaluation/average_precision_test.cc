#include "model/evaluation/average_precision.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <limits>

#include "model/image/run_lengths.h"

namespace semsam {
namespace {

using ::testing::HasSubstr;

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

ApTruth BoxTruth(int64_t category, ApBox box) { return {.category = category, .box = box}; }
ApDetection BoxFound(int64_t category, double score, ApBox box) {
  return {.category = category, .score = score, .box = box};
}

// A picture of 4 x 4 px, the first `pixels` of it (column-major) in the mask.
RunLengths Mask(uint32_t pixels) { return {.size = {4, 4}, .counts = {0, pixels, 16 - pixels}}; }

TEST(AveragePrecision, UsesTheThresholdsOfCocoToTheLastBit) {
  // numpy.linspace(.5, .95, 10), as float.hex() prints it.
  const std::array<double, kApThresholds> expected = {
      0x1.0000000000000p-1, 0x1.199999999999ap-1, 0x1.3333333333333p-1, 0x1.4cccccccccccdp-1,
      0x1.6666666666666p-1, 0x1.8000000000000p-1, 0x1.999999999999ap-1, 0x1.b333333333333p-1,
      0x1.cccccccccccccp-1, 0x1.e666666666666p-1};
  const auto thresholds = ApIouThresholds();
  for (int i = 0; i < kApThresholds; ++i) {
    EXPECT_EQ(std::bit_cast<uint64_t>(thresholds[i]), std::bit_cast<uint64_t>(expected[i])) << i;
  }
}

TEST(AveragePrecision, OfNothingIsNotANumber) {
  const ApResult result = ApAccumulator().Result();
  EXPECT_TRUE(std::isnan(result.ap.value));
  EXPECT_EQ(result.ap.count, 0);
  EXPECT_TRUE(std::isnan(result.ar[2].value));
  EXPECT_TRUE(result.categories.empty());
}

TEST(AveragePrecision, CountsAClassWithoutTruthsInNoMean) {
  ApAccumulator accumulator({.kind = ApKind::kBox});
  const std::vector<ApTruth> truths = {BoxTruth(1, {0, 0, 10, 10})};
  const std::vector<ApDetection> found = {BoxFound(1, 0.5, {0, 0, 10, 10}),
                                          BoxFound(2, 0.9, {0, 0, 10, 10})};
  ASSERT_TRUE(accumulator.Add(1, truths, found).ok());
  const ApResult result = accumulator.Result();
  EXPECT_DOUBLE_EQ(result.ap.value, 1.0);
  EXPECT_EQ(result.ap.count, 1);
  ASSERT_EQ(result.categories.size(), 2);
  EXPECT_TRUE(std::isnan(result.categories[1].ap()));
  EXPECT_TRUE(std::isnan(result.ap_large.value));
  EXPECT_DOUBLE_EQ(result.ap_small.value, 1.0);
}

TEST(AveragePrecision, OfTruthsWithoutDetectionsIsZero) {
  ApAccumulator accumulator({.kind = ApKind::kBox});
  ASSERT_TRUE(accumulator.Add(1, std::vector<ApTruth>{BoxTruth(1, {0, 0, 10, 10})}, {}).ok());
  EXPECT_EQ(accumulator.Result().ap.value, 0.0);
  EXPECT_EQ(accumulator.Result().ar[2].value, 0.0);
}

TEST(AveragePrecision, MeasuresACrowdByTheDetectionItself) {
  // Inside the crowd: not a false alarm, though the IoU is a quarter.
  ApAccumulator accumulator;
  std::vector<ApTruth> truths = {{.category = 1, .mask = Mask(16), .crowd = true},
                                 {.category = 1, .mask = Mask(8)}};
  std::vector<ApDetection> found = {{.category = 1, .score = 0.9, .mask = Mask(4)},
                                    {.category = 1, .score = 0.8, .mask = Mask(8)}};
  ASSERT_TRUE(accumulator.Add(1, truths, found).ok());
  EXPECT_DOUBLE_EQ(accumulator.Result().ap.value, 1.0);
  // Without the crowd, the first is one.
  truths.erase(truths.begin());
  found[0].mask = Mask(2);
  ASSERT_TRUE(accumulator.Add(2, truths, found).ok());
  EXPECT_LT(accumulator.Result().ap.value, 1.0);
}

TEST(AveragePrecision, DoesNotDependOnWhoSawWhatInWhichOrder) {
  const auto truths = std::vector<ApTruth>{BoxTruth(1, {0, 0, 10, 10})};
  // Equal scores everywhere; only the picture of id 3 is right.
  const auto found = [](int64_t id) {
    return std::vector<ApDetection>{BoxFound(1, 0.5, {id == 3 ? 0.0 : 50.0, 0, 10, 10})};
  };
  ApAccumulator forward({.kind = ApKind::kBox});
  for (int64_t id = 1; id <= 5; ++id) ASSERT_TRUE(forward.Add(id, truths, found(id)).ok());
  ApAccumulator a({.kind = ApKind::kBox}), b({.kind = ApKind::kBox});
  for (const int64_t id : {5, 2}) ASSERT_TRUE(a.Add(id, truths, found(id)).ok());
  for (const int64_t id : {4, 3, 1}) ASSERT_TRUE(b.Add(id, truths, found(id)).ok());
  ASSERT_TRUE(a.Merge(b).ok());
  EXPECT_EQ(a.Result().ap.value, forward.Result().ap.value);
  EXPECT_NEAR(forward.Result().ap.value, 21.0 / 101 / 3, 1e-12);  // third of five
  EXPECT_EQ(a.Result().pictures, 5);
}

TEST(AveragePrecision, RefusesAPictureTwice) {
  ApAccumulator a, b;
  ASSERT_TRUE(a.Add(7, {}, {}).ok());
  EXPECT_EQ(a.Add(7, {}, {}).code(), absl::StatusCode::kAlreadyExists);
  ASSERT_TRUE(b.Add(7, {}, {}).ok());
  EXPECT_EQ(a.Merge(b).code(), absl::StatusCode::kAlreadyExists);
  EXPECT_EQ(a.Merge(ApAccumulator({.kind = ApKind::kBox})).code(),
            absl::StatusCode::kInvalidArgument);
}

TEST(AveragePrecision, NamesWhatItCannotUse) {
  ApAccumulator boxes({.kind = ApKind::kBox});
  const std::vector<ApTruth> truths = {BoxTruth(1, {0, 0, 10, 10})};
  const auto message = [&](const ApDetection& detection) {
    return std::string(boxes.Add(1, truths, std::vector<ApDetection>{detection}).message());
  };
  EXPECT_THAT(message(BoxFound(1, kNan, {0, 0, 1, 1})),
              HasSubstr("picture 1: detection 0: score: must be finite, not nan"));
  EXPECT_THAT(message(BoxFound(1, 0.5, {0, 0, -1, 1})), HasSubstr("box"));
  EXPECT_THAT(message(BoxFound(1, 0.5, {kNan, 0, 1, 1})), HasSubstr("box"));
  ApDetection negative = BoxFound(1, 0.5, {0, 0, 1, 1});
  negative.area = -1;
  EXPECT_THAT(message(negative), HasSubstr("area: must be 0 or more, not -1"));
  // Nothing of a refused picture was counted.
  EXPECT_TRUE(boxes.Add(1, truths, {}).ok());
  EXPECT_EQ(boxes.Result().pictures, 1);
  EXPECT_EQ(boxes.Result().detections, 0);

  ApAccumulator masks;
  const auto add = [&](const RunLengths& truth, const RunLengths& found) {
    return std::string(masks
                           .Add(1, std::vector<ApTruth>{{.mask = truth}},
                                std::vector<ApDetection>{{.score = 1, .mask = found}})
                           .message());
  };
  EXPECT_THAT(add(Mask(4), {.size = {4, 5}, .counts = {20}}), HasSubstr("is 5 x 4, another"));
  EXPECT_THAT(add({.size = {4, 4}, .counts = {15}}, Mask(1)), HasSubstr("runs of 15 px for 4 x 4"));
  EXPECT_THAT(add({}, {}), HasSubstr("truth 0"));
}

TEST(AveragePrecision, WantsAscendingLimits) {
  EXPECT_TRUE(ApOptions{}.Validate().ok());
  EXPECT_FALSE((ApOptions{.limits = {1, 1, 100}}).Validate().ok());
  EXPECT_FALSE((ApOptions{.limits = {0, 10, 100}}).Validate().ok());
}

}  // namespace
}  // namespace semsam
