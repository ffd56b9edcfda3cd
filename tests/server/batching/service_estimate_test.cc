#include "server/batching/service_estimate.h"

#include <gtest/gtest.h>

#include "model/base/clock.h"

namespace semsam {
namespace {

class ServiceEstimateTest : public ::testing::Test {
 protected:
  void Run(absl::Duration took, int64_t units = 1, int runs = 1, int work_class = 0) {
    for (int i = 0; i < runs; ++i) {
      estimate_.Started(work_class, units, clock_.Now());
      clock_.Advance(took);
      estimate_.Finished(clock_.Now());
    }
  }

  FakeClock clock_;
  ServiceEstimate estimate_{2};
};

TEST_F(ServiceEstimateTest, SaysNothingOfWhatItHardlyKnows) {
  Run(absl::Seconds(1), 1, 2);
  EXPECT_FALSE(estimate_.Run(0, 1).has_value());
  EXPECT_EQ(estimate_.Backlog(0, 9), absl::ZeroDuration());
  Run(absl::Seconds(1));
  EXPECT_EQ(estimate_.Run(0, 1), absl::Seconds(1));
  EXPECT_EQ(estimate_.Backlog(0, 9), absl::Seconds(9));
  EXPECT_FALSE(estimate_.Run(1, 1).has_value()) << "the other class";
}

TEST_F(ServiceEstimateTest, ABatchTakesWhatTheSmallestTookAndItsUnitsAsInTheBest) {
  Run(absl::Milliseconds(4), 1, 2);
  Run(absl::Milliseconds(20), 20);
  EXPECT_EQ(estimate_.Backlog(0, 100), absl::Milliseconds(100));
  const auto small = estimate_.Run(0, 1);
  ASSERT_TRUE(small.has_value());
  EXPECT_GE(*small, absl::Milliseconds(4));
  EXPECT_LE(*small, absl::Milliseconds(4.5)) << "the large batch hardly counts";
  EXPECT_EQ(estimate_.Run(0, 50), absl::Milliseconds(50));
}

TEST_F(ServiceEstimateTest, AFirstRunThatWarmsUpLeavesNoTrace) {
  Run(absl::Seconds(60));
  Run(absl::Seconds(2), 1, 2);
  EXPECT_EQ(estimate_.Run(0, 1), absl::Seconds(2));
}

TEST_F(ServiceEstimateTest, OneSlowRunHardlyCounts) {
  Run(absl::Seconds(2), 1, 3);
  Run(absl::Hours(1));
  EXPECT_EQ(estimate_.Run(0, 1), absl::Seconds(2.25));
  Run(absl::Seconds(2));
  EXPECT_EQ(estimate_.Run(0, 1), absl::Seconds(2));
}

TEST_F(ServiceEstimateTest, WhatStaysSlowIsBelieved) {
  Run(absl::Seconds(1), 1, 3);
  Run(absl::Seconds(4), 1, 40);
  EXPECT_GE(estimate_.Run(0, 1), absl::Seconds(3.9));
  EXPECT_LE(estimate_.Run(0, 1), absl::Seconds(4));
}

TEST_F(ServiceEstimateTest, RisesFromNothing) {
  Run(absl::ZeroDuration(), 1, 3);
  Run(absl::Seconds(1), 1, 200);
  EXPECT_GE(estimate_.Run(0, 1), absl::Seconds(0.9));
}

TEST_F(ServiceEstimateTest, KnowsTheRestOfWhatRuns) {
  Run(absl::Seconds(2), 1, 3);
  EXPECT_EQ(estimate_.RestOfRun(clock_.Now()), absl::ZeroDuration());
  estimate_.Started(0, 1, clock_.Now());
  EXPECT_EQ(estimate_.RestOfRun(clock_.Now()), absl::Seconds(2));
  clock_.Advance(absl::Seconds(1.5));
  EXPECT_EQ(estimate_.RestOfRun(clock_.Now()), absl::Seconds(0.5));
  clock_.Advance(absl::Seconds(5));
  EXPECT_EQ(estimate_.RestOfRun(clock_.Now()), absl::ZeroDuration()) << "any moment now";
  estimate_.Finished(clock_.Now());
  estimate_.Started(1, 1, clock_.Now());
  EXPECT_EQ(estimate_.RestOfRun(clock_.Now()), absl::ZeroDuration()) << "an unknown class";
}

TEST_F(ServiceEstimateTest, GetsOld) {
  EXPECT_TRUE(estimate_.Old(0, clock_.Now()));
  Run(absl::Seconds(2), 1, 3);
  EXPECT_FALSE(estimate_.Old(0, clock_.Now() + ServiceEstimate::kMaxAge));
  clock_.Advance(ServiceEstimate::kMaxAge + absl::Nanoseconds(1));
  EXPECT_TRUE(estimate_.Old(0, clock_.Now()));
  estimate_.Started(0, 1, clock_.Now());
  EXPECT_FALSE(estimate_.Old(0, clock_.Now())) << "it is about to learn";
}

}  // namespace
}  // namespace semsam
