#include "client/load/histogram.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <vector>

namespace semsam::load {
namespace {

using absl::Microseconds;

TEST(LatencyHistogramTest, IsZeroWithoutValues) {
  const LatencyHistogram histogram;
  EXPECT_EQ(histogram.count(), 0);
  EXPECT_EQ(histogram.max(), absl::ZeroDuration());
  EXPECT_EQ(histogram.mean(), absl::ZeroDuration());
  EXPECT_EQ(histogram.Percentile(99), absl::ZeroDuration());
  EXPECT_TRUE(histogram.Buckets().empty());
}

TEST(LatencyHistogramTest, PercentilesOfShortValuesAreExact) {
  LatencyHistogram histogram;
  for (int us = 200; us >= 101; --us) histogram.Record(Microseconds(us));
  EXPECT_EQ(histogram.count(), 100);
  EXPECT_EQ(histogram.Percentile(0), Microseconds(101));
  EXPECT_EQ(histogram.Percentile(1), Microseconds(101));
  EXPECT_EQ(histogram.Percentile(1.5), Microseconds(102));
  EXPECT_EQ(histogram.Percentile(50), Microseconds(150));
  EXPECT_EQ(histogram.Percentile(99), Microseconds(199));
  EXPECT_EQ(histogram.Percentile(99.9), Microseconds(200));
  EXPECT_EQ(histogram.Percentile(100), Microseconds(200));
  EXPECT_EQ(histogram.min(), Microseconds(101));
  EXPECT_EQ(histogram.max(), Microseconds(200));
  EXPECT_EQ(histogram.mean(), Microseconds(150.5));
}

TEST(LatencyHistogramTest, BucketsBeginAndEndWhereTheyShould) {
  LatencyHistogram histogram;
  for (const int us : {255, 256, 257, 258, 511, 512, 515, 516}) histogram.Record(Microseconds(us));
  const std::vector<LatencyHistogram::Bucket> expected = {
      {Microseconds(255), 1}, {Microseconds(257), 2}, {Microseconds(259), 1},
      {Microseconds(511), 1}, {Microseconds(515), 2}, {Microseconds(519), 1}};
  EXPECT_EQ(histogram.Buckets(), expected);
}

TEST(LatencyHistogramTest, NoBucketIsWiderThanAHundredTwentyEighthOfItsValues) {
  for (int64_t us = 1; us < absl::ToInt64Microseconds(LatencyHistogram::kLongest);
       us += 1 + us / 37) {
    LatencyHistogram histogram;
    histogram.Record(Microseconds(us));
    const absl::Duration longest = histogram.Buckets().front().longest;
    ASSERT_GE(longest, Microseconds(us));
    ASSERT_LT(longest, Microseconds(us) * (1 + 1.0 / 128));
    ASSERT_EQ(histogram.Percentile(50), Microseconds(us)) << "never beyond the longest value";
  }
}

TEST(LatencyHistogramTest, PercentilesFollowTheSortedValues) {
  std::mt19937_64 random(7);
  LatencyHistogram histogram;
  std::vector<int64_t> values;
  for (int i = 0; i < 20'000; ++i) {
    values.push_back(int64_t{1} << (random() % 30));
    values.back() += static_cast<int64_t>(random() % values.back());
    histogram.Record(Microseconds(values.back()));
  }
  std::sort(values.begin(), values.end());
  for (const double percent : {0.1, 1.0, 25.0, 50.0, 90.0, 99.0, 99.9}) {
    const int64_t exact = values[static_cast<size_t>(percent / 100 * 20'000 + 0.5) - 1];
    EXPECT_GE(histogram.Percentile(percent), Microseconds(exact)) << percent;
    EXPECT_LE(histogram.Percentile(percent), Microseconds(exact) * (1 + 1.0 / 128)) << percent;
  }
}

TEST(LatencyHistogramTest, RoundsUpAndKeepsToItsRange) {
  LatencyHistogram histogram;
  histogram.Record(absl::Nanoseconds(1001));
  EXPECT_EQ(histogram.max(), Microseconds(2));
  histogram.Record(absl::Seconds(-3));
  EXPECT_EQ(histogram.min(), absl::ZeroDuration());
  histogram.Record(absl::InfiniteDuration());
  EXPECT_EQ(histogram.max(), LatencyHistogram::kLongest);
  EXPECT_EQ(histogram.count(), 3);
}

TEST(LatencyHistogramTest, MergingIsRecordingBoth) {
  LatencyHistogram a;
  LatencyHistogram b;
  LatencyHistogram both;
  for (int i = 1; i <= 1000; ++i) {
    (i % 3 == 0 ? a : b).Record(Microseconds(i * i));
    both.Record(Microseconds(i * i));
  }
  LatencyHistogram merged;
  merged.Merge(a);
  merged.Merge(LatencyHistogram());
  merged.Merge(b);
  EXPECT_EQ(merged.Buckets(), both.Buckets());
  EXPECT_EQ(merged.count(), both.count());
  EXPECT_EQ(merged.min(), both.min());
  EXPECT_EQ(merged.max(), both.max());
  EXPECT_EQ(merged.mean(), both.mean());
}

}  // namespace
}  // namespace semsam::load
