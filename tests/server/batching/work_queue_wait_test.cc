// How long what comes to a queue would wait.
#include <gtest/gtest.h>

#include <string>

#include "server/batching/service_estimate.h"
#include "server/batching/work_queue.h"

namespace semsam {
namespace {

constexpr int kClicks = 0;
constexpr int kImages = 1;

class WorkQueueWaitTest : public ::testing::Test {
 protected:
  // A run of the class that takes so long.
  void Run(int work_class, absl::Duration takes) {
    estimate_.Started(work_class, /*units=*/1, clock_.Now());
    clock_.Advance(takes);
    estimate_.Finished(clock_.Now());
  }
  void Learn() {
    for (int i = 0; i < ServiceEstimate::kMinRuns; ++i) {
      Run(kClicks, absl::Seconds(1));
      Run(kImages, absl::Seconds(4));
    }
  }
  void Push(int work_class) {
    WorkQueue<std::string>::Entry entry{
        .check = [](absl::Time /*now*/) { return absl::OkStatus(); },
        .drop = [](const absl::Status& /*why*/) {}};
    ASSERT_TRUE(queue_.Push(work_class, entry).ok());
  }

  FakeClock clock_;
  ServiceEstimate estimate_{2};
  WorkQueue<std::string> queue_{
      {.classes = {{.name = "click"}, {.name = "image", .max_wait = absl::Seconds(3)}}},
      clock_,
      nullptr,
      &estimate_};
};

TEST_F(WorkQueueWaitTest, NothingIsKnownBeforeAFewRuns) {
  Push(kClicks);
  EXPECT_EQ(queue_.Wait(kClicks), absl::ZeroDuration());
  EXPECT_EQ(queue_.WaitBehind(kImages, 5), absl::ZeroDuration());
}

TEST_F(WorkQueueWaitTest, WhatIsQueuedAndWhatRunsGoesBefore) {
  Learn();
  Push(kClicks);
  Push(kClicks);
  Push(kImages);
  EXPECT_EQ(queue_.entries(), 3);
  EXPECT_EQ(queue_.Wait(kClicks), absl::Seconds(2));
  EXPECT_EQ(queue_.Wait(kImages), absl::Seconds(2 + 4));
  EXPECT_EQ(queue_.WaitBehind(kImages, 0), absl::Seconds(2));
  EXPECT_EQ(queue_.WaitBehind(kImages, 3), absl::Seconds(2 + 12));
  Push(kClicks);
  Push(kClicks);
  EXPECT_EQ(queue_.WaitBehind(kImages, 3), absl::Seconds(3 + 12)) << "then it takes turns";
}

TEST_F(WorkQueueWaitTest, WhatRunsCountsOnce) {
  Learn();
  estimate_.Started(kImages, /*units=*/1, clock_.Now());
  clock_.Advance(absl::Seconds(1));
  EXPECT_EQ(queue_.Wait(kClicks), absl::Seconds(3));
  EXPECT_EQ(queue_.WaitBehind(kImages, 1), absl::Seconds(4)) << "it is the one";
  estimate_.Finished(clock_.Now());
  estimate_.Started(kClicks, /*units=*/1, clock_.Now());
  EXPECT_EQ(queue_.WaitBehind(kImages, 0), absl::Seconds(1));
}

}  // namespace
}  // namespace semsam
