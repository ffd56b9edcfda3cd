#include "server/batching/work_queue.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cmath>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "server/batching/call_limits.h"

namespace semsam {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using TestQueue = WorkQueue<std::string>;
using Batch = TestQueue::Batch;

constexpr int kClicks = 0;
constexpr int kEncodes = 1;

WorkQueueOptions Options() {
  return {.classes = {{.name = "click", .max_entries = 4, .max_units = 24, .max_batch_units = 12},
                      {.name = "encode", .max_entries = 2, .max_units = 2, .max_batch_units = 1}},
          .retry_after = absl::Milliseconds(100)};
}

std::vector<std::string> Tasks(const std::optional<Batch>& batch) {
  std::vector<std::string> tasks;
  if (batch.has_value()) {
    for (const TestQueue::Taken& taken : batch->entries) tasks.push_back(taken.task);
  }
  return tasks;
}

class WorkQueueTest : public ::testing::Test {
 protected:
  TestQueue::Entry Entry(const std::string& name, int64_t units = 1, CallLimits limits = {}) {
    return {.task = name,
            .units = units,
            .check = [limits](absl::Time now) { return limits.Check(now); },
            .drop =
                [this, name](absl::Status why) {
                  drops_.push_back(name + ":" + absl::StatusCodeToString(why.code()));
                }};
  }

  absl::Status Push(int work_class, const std::string& name, int64_t units = 1,
                    CallLimits limits = {}) {
    TestQueue::Entry entry = Entry(name, units, limits);
    return queue_.Push(work_class, entry);
  }

  FakeClock clock_;
  std::vector<std::string> drops_;
  TestQueue queue_{Options(), clock_};
};

TEST_F(WorkQueueTest, ClicksGoBeforeEncodesThatCameEarlier) {
  ASSERT_TRUE(Push(kEncodes, "encode").ok());
  ASSERT_TRUE(Push(kClicks, "click").ok());
  EXPECT_THAT(Tasks(queue_.TakeBatch()), ElementsAre("click"));
  EXPECT_THAT(Tasks(queue_.TakeBatch()), ElementsAre("encode"));
}

TEST_F(WorkQueueTest, ABatchTakesWhatIsQueuedUpToItsUnits) {
  for (const char* name : {"a", "b", "c"}) ASSERT_TRUE(Push(kClicks, name, 6).ok());
  const std::optional<Batch> batch = queue_.TakeBatch();
  EXPECT_THAT(Tasks(batch), ElementsAre("a", "b"));
  EXPECT_EQ(batch->units, 12);
  EXPECT_THAT(Tasks(queue_.TakeBatch()), ElementsAre("c"));
}

TEST_F(WorkQueueTest, AnEntryLargerThanABatchGoesAlone) {
  ASSERT_TRUE(Push(kClicks, "large", 18).ok());
  ASSERT_TRUE(Push(kClicks, "small", 1).ok());
  EXPECT_THAT(Tasks(queue_.TakeBatch()), ElementsAre("large"));
  EXPECT_THAT(Tasks(queue_.TakeBatch()), ElementsAre("small"));
}

TEST_F(WorkQueueTest, ASmallEntryDoesNotOvertakeALargerOne) {
  ASSERT_TRUE(Push(kClicks, "first", 6).ok());
  ASSERT_TRUE(Push(kClicks, "large", 10).ok());
  ASSERT_TRUE(Push(kClicks, "small", 1).ok());
  EXPECT_THAT(Tasks(queue_.TakeBatch()), ElementsAre("first"));
  EXPECT_THAT(Tasks(queue_.TakeBatch()), ElementsAre("large", "small"));
}

TEST_F(WorkQueueTest, ABatchHoldsOneKeyAndOthersKeepTheirPlace) {
  struct Image {
    const char* name;
    uint64_t key;
  };
  TestQueue queue({.classes = {{.name = "encode", .max_batch_units = 3}}}, clock_);
  for (const Image& image : {Image{"a1", 1}, Image{"b1", 2}, Image{"a2", 1}, Image{"c1", 3},
                             Image{"b2", 2}, Image{"a3", 1}, Image{"a4", 1}, Image{"any", 0}}) {
    TestQueue::Entry entry = Entry(image.name);
    entry.batch_key = image.key;
    ASSERT_TRUE(queue.Push(0, entry).ok());
  }
  EXPECT_THAT(Tasks(queue.TakeBatch()), ElementsAre("a1", "a2", "a3"));
  EXPECT_THAT(Tasks(queue.TakeBatch()), ElementsAre("b1", "b2", "any"));
  EXPECT_THAT(Tasks(queue.TakeBatch()), ElementsAre("c1"));
  EXPECT_THAT(Tasks(queue.TakeBatch()), ElementsAre("a4"));
}

TEST_F(WorkQueueTest, WhatGoesWithAnythingTakesTheKeyOfTheNext) {
  TestQueue queue({.classes = {{.name = "encode", .max_batch_units = 3}}}, clock_);
  for (const auto& [name, key] : {std::pair{"any", 0}, {"a", 1}, {"b", 2}}) {
    TestQueue::Entry entry = Entry(name);
    entry.batch_key = key;
    ASSERT_TRUE(queue.Push(0, entry).ok());
  }
  EXPECT_THAT(Tasks(queue.TakeBatch()), ElementsAre("any", "a"));
  EXPECT_THAT(Tasks(queue.TakeBatch()), ElementsAre("b"));
}

TEST_F(WorkQueueTest, AFullClassRefusesAtOnceAndSaysWhenToTryAgain) {
  for (int i = 0; i < 4; ++i) ASSERT_TRUE(Push(kClicks, "click").ok());
  const absl::Status status = Push(kClicks, "late");
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(ErrorReason(status), reason::kQueueFull);
  EXPECT_EQ(ErrorRetryAfter(status), absl::Milliseconds(100));
  EXPECT_THAT(drops_, IsEmpty()) << "a refused entry is its owner's to answer";
  EXPECT_TRUE(Push(kEncodes, "encode").ok()) << "classes have room of their own";
}

TEST_F(WorkQueueTest, UnitsAreBoundedAsWellAsEntries) {
  ASSERT_TRUE(Push(kClicks, "a", 20).ok());
  EXPECT_EQ(Push(kClicks, "b", 5).code(), absl::StatusCode::kResourceExhausted);
  EXPECT_TRUE(Push(kClicks, "c", 4).ok());
  EXPECT_EQ(queue_.units(kClicks), 24);
}

TEST_F(WorkQueueTest, ARefusedEntryIsLeftWithItsOwner) {
  for (int i = 0; i < 2; ++i) ASSERT_TRUE(Push(kEncodes, "encode").ok());
  TestQueue::Entry entry = Entry("mine");
  ASSERT_FALSE(queue_.Push(kEncodes, entry).ok());
  EXPECT_EQ(entry.task, "mine");
  entry.drop(absl::CancelledError());
  EXPECT_THAT(drops_, ElementsAre("mine:CANCELLED"));
}

TEST_F(WorkQueueTest, ExpiredAndCancelledEntriesAreDroppedWhenABatchForms) {
  auto flag = std::make_shared<CancelFlag>();
  ASSERT_TRUE(Push(kClicks, "cancelled", 1, {.cancel = flag}).ok());
  ASSERT_TRUE(Push(kClicks, "expired", 1, {.deadline = clock_.Now() + absl::Seconds(1)}).ok());
  ASSERT_TRUE(Push(kClicks, "alive").ok());
  flag->Cancel();
  clock_.Advance(absl::Seconds(1));
  EXPECT_THAT(Tasks(queue_.TakeBatch()), ElementsAre("alive"));
  EXPECT_THAT(drops_, ElementsAre("cancelled:CANCELLED", "expired:DEADLINE_EXCEEDED"));
}

TEST_F(WorkQueueTest, DeadEntriesMakeRoom) {
  auto flag = std::make_shared<CancelFlag>();
  for (int i = 0; i < 4; ++i) ASSERT_TRUE(Push(kClicks, "old", 1, {.cancel = flag}).ok());
  flag->Cancel();
  EXPECT_TRUE(Push(kClicks, "new").ok());
  EXPECT_EQ(drops_.size(), 4);
  EXPECT_EQ(queue_.entries(kClicks), 1);
}

TEST_F(WorkQueueTest, DropDeadAnswersWithoutAWorker) {
  ASSERT_TRUE(Push(kEncodes, "expired", 1, {.deadline = clock_.Now() + absl::Seconds(1)}).ok());
  EXPECT_EQ(queue_.DropDead(), 0);
  clock_.Advance(absl::Seconds(2));
  EXPECT_EQ(queue_.DropDead(), 1);
  EXPECT_THAT(drops_, ElementsAre("expired:DEADLINE_EXCEEDED"));
  EXPECT_EQ(queue_.units(kEncodes), 0);
}

TEST_F(WorkQueueTest, AnEntryThatIsDeadOnArrivalIsRefused) {
  EXPECT_EQ(Push(kClicks, "late", 1, {.deadline = clock_.Now()}).code(),
            absl::StatusCode::kDeadlineExceeded);
  EXPECT_EQ(queue_.entries(kClicks), 0);
}

TEST_F(WorkQueueTest, TheWaitIsMeasured) {
  ASSERT_TRUE(Push(kClicks, "click").ok());
  clock_.Advance(absl::Milliseconds(70));
  EXPECT_EQ(queue_.TakeBatch()->entries[0].wait, absl::Milliseconds(70));
}

TEST_F(WorkQueueTest, DrainingRunsWhatIsQueuedAndRefusesTheRest) {
  ASSERT_TRUE(Push(kClicks, "click").ok());
  queue_.Close(TestQueue::CloseMode::kDrain);
  const absl::Status status = Push(kClicks, "late");
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(ErrorReason(status), reason::kDraining);
  EXPECT_THAT(Tasks(queue_.TakeBatch()), ElementsAre("click"));
  EXPECT_FALSE(queue_.TakeBatch().has_value());
}

TEST_F(WorkQueueTest, RejectingDropsWhatIsQueued) {
  ASSERT_TRUE(Push(kClicks, "click").ok());
  ASSERT_TRUE(Push(kEncodes, "encode").ok());
  queue_.Close(TestQueue::CloseMode::kReject);
  EXPECT_FALSE(queue_.TakeBatch().has_value());
  EXPECT_THAT(drops_, ElementsAre("click:UNAVAILABLE", "encode:UNAVAILABLE"));
}

TEST_F(WorkQueueTest, TheFirstReasonToCloseStays) {
  ASSERT_TRUE(Push(kClicks, "click").ok());
  queue_.Close(TestQueue::CloseMode::kReject, absl::DataLossError("lost"));
  queue_.Close(TestQueue::CloseMode::kReject);
  EXPECT_THAT(drops_, ElementsAre("click:DATA_LOSS"));
  EXPECT_EQ(Push(kClicks, "late").code(), absl::StatusCode::kDataLoss);
}

TEST_F(WorkQueueTest, DestructionAnswersWhatIsLeft) {
  {
    TestQueue queue(Options(), clock_);
    TestQueue::Entry entry = Entry("left");
    ASSERT_TRUE(queue.Push(kClicks, entry).ok());
  }
  EXPECT_THAT(drops_, ElementsAre("left:UNAVAILABLE"));
}

TEST_F(WorkQueueTest, AClassThatWaitedTooLongTakesTurnsWithThoseBeforeIt) {
  WorkQueueOptions options = Options();
  options.classes[kEncodes].max_wait = absl::Seconds(10);
  TestQueue queue(options, clock_);
  const auto push = [&](int work_class, const char* name, CallLimits limits = {}) {
    TestQueue::Entry entry = Entry(name, /*units=*/12, limits);
    if (work_class == kEncodes) entry.units = 1;
    ASSERT_TRUE(queue.Push(work_class, entry).ok());
  };
  push(kEncodes, "encode1");
  push(kEncodes, "encode2");
  push(kClicks, "click1");
  push(kClicks, "click2");
  clock_.Advance(absl::Seconds(10));
  EXPECT_THAT(Tasks(queue.TakeBatch()), ElementsAre("click1")) << "no longer than that";
  clock_.Advance(absl::Nanoseconds(1));
  push(kClicks, "click3");
  EXPECT_THAT(Tasks(queue.TakeBatch()), ElementsAre("encode1"));
  EXPECT_THAT(Tasks(queue.TakeBatch()), ElementsAre("click2")) << "clicks do not starve either";
  EXPECT_THAT(Tasks(queue.TakeBatch()), ElementsAre("encode2"));
  EXPECT_THAT(Tasks(queue.TakeBatch()), ElementsAre("click3"));
  push(kEncodes, "dead", {.deadline = clock_.Now() + absl::Seconds(1)});
  push(kEncodes, "young");
  push(kClicks, "click4");
  clock_.Advance(absl::Seconds(10));
  EXPECT_THAT(Tasks(queue.TakeBatch()), ElementsAre("click4")) << "the dead are not overdue";
  EXPECT_THAT(Tasks(queue.TakeBatch()), ElementsAre("young"));
}

TEST_F(WorkQueueTest, OfTwoThatWaitedTooLongTheOneFurtherPastItsBoundGoesFirst) {
  WorkQueueOptions options = Options();
  options.classes.push_back({.name = "text"});
  options.classes[kEncodes].max_wait = absl::Seconds(10);
  options.classes[2].max_wait = absl::Seconds(5);
  TestQueue queue(options, clock_);
  for (const auto& [work_class, name] :
       {std::pair{kClicks, "click"}, {kEncodes, "encode"}, {2, "text"}}) {
    TestQueue::Entry entry = Entry(name);
    ASSERT_TRUE(queue.Push(work_class, entry).ok());
  }
  clock_.Advance(absl::Seconds(11));
  EXPECT_THAT(Tasks(queue.TakeBatch()), ElementsAre("text"));
  EXPECT_THAT(Tasks(queue.TakeBatch()), ElementsAre("click"));
  EXPECT_THAT(Tasks(queue.TakeBatch()), ElementsAre("encode"));
}

TEST_F(WorkQueueTest, FlowsShareAClassByTheWeightsOfTheirTenants) {
  WorkQueueOptions options{
      .classes = {{.name = "decode", .max_units = 288, .max_batch_units = 12}}};
  options.tenants = *TenantTable::Parse("lab weight=3\n");
  TestQueue queue(options, clock_);
  for (int i = 0; i < 24; ++i) {
    for (const char* flow : {"lab", "shop"}) {
      TestQueue::Entry entry = Entry(flow, /*units=*/6);
      entry.flow = {flow};
      ASSERT_TRUE(queue.Push(0, entry).ok());
    }
  }
  std::map<std::string, int> served;
  for (int i = 0; i < 8; ++i) {
    for (const std::string& task : Tasks(queue.TakeBatch())) ++served[task];
  }
  EXPECT_EQ(served["lab"], 12);
  EXPECT_EQ(served["shop"], 4);
}

TEST_F(WorkQueueTest, OneFlowCannotFillAClass) {
  WorkQueueOptions options{.classes = {{.name = "decode", .max_entries = 6, .max_units = 100}},
                           .max_flow_share = 0.5};
  TestQueue queue(options, clock_);
  const auto push = [&](const char* flow, int64_t units = 1) {
    TestQueue::Entry entry = Entry(flow, units);
    entry.flow = {flow};
    return queue.Push(0, entry);
  };
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(push("greedy").ok());
  const absl::Status refusal = push("greedy");
  EXPECT_EQ(refusal.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(ErrorReason(refusal), reason::kQuotaExceeded);
  EXPECT_TRUE(ErrorRetryAfter(refusal).has_value());
  EXPECT_TRUE(push("large", 60).ok()) << "its first is let in";
  EXPECT_EQ(ErrorReason(push("large", 1)), reason::kQuotaExceeded);
  EXPECT_TRUE(push("other").ok());
  EXPECT_TRUE(push("third").ok());
  EXPECT_EQ(ErrorReason(push("fourth")), reason::kQueueFull) << "the class's own bound holds";
}

TEST_F(WorkQueueTest, TheDeadOfAFlowDoNotCountAgainstItsShare) {
  TestQueue queue({.classes = {{.name = "decode", .max_entries = 2}}, .max_flow_share = 0.5},
                  clock_);
  auto flag = std::make_shared<CancelFlag>();
  TestQueue::Entry dead = Entry("dead", 1, {.cancel = flag});
  ASSERT_TRUE(queue.Push(0, dead).ok());
  flag->Cancel();
  TestQueue::Entry alive = Entry("alive");
  EXPECT_TRUE(queue.Push(0, alive).ok());
}

// Clicks of a millisecond a unit and encodes of two seconds.
class WorkQueueDeadlineTest : public WorkQueueTest {
 protected:
  WorkQueueDeadlineTest() {
    for (int i = 0; i < ServiceEstimate::kMinRuns; ++i) {
      Run(kClicks, 6, absl::Milliseconds(6));
      Run(kEncodes, 1, absl::Seconds(2));
    }
  }
  void Run(int work_class, int64_t units, absl::Duration took) {
    estimate_.Started(work_class, units, clock_.Now());
    clock_.Advance(took);
    estimate_.Finished(clock_.Now());
  }
  absl::Status PushWithin(absl::Duration time, int work_class, int64_t units = 1,
                          const std::string& flow = "", CallLimits limits = {}) {
    TestQueue::Entry entry = Entry(flow, units, limits);
    entry.flow = {flow};
    entry.deadline = clock_.Now() + time;
    return timed_.Push(work_class, entry);
  }

  ServiceEstimate estimate_{2};
  TestQueue timed_{Options(), clock_, nullptr, &estimate_};
};

TEST_F(WorkQueueDeadlineTest, WhatWouldBeLateEvenAloneIsRefused) {
  const absl::Status status = PushWithin(absl::Seconds(1.9), kEncodes);
  EXPECT_EQ(status.code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_EQ(ErrorReason(status), reason::kDeadlineUnmeetable);
  EXPECT_TRUE(PushWithin(absl::Seconds(2), kEncodes).ok());
  EXPECT_TRUE(PushWithin(absl::InfiniteDuration(), kEncodes).ok());
}

TEST_F(WorkQueueDeadlineTest, WhatWaitsBeforeAnEntryCounts) {
  ASSERT_TRUE(PushWithin(absl::Seconds(9), kEncodes).ok());
  ASSERT_TRUE(PushWithin(absl::Seconds(9), kClicks, 12).ok());
  estimate_.Started(kEncodes, 1, clock_.Now());
  clock_.Advance(absl::Seconds(1));
  // Rest of the run 1 s, clicks 12 ms, an encode 2 s, and its own.
  const absl::Status status = PushWithin(absl::Seconds(5), kEncodes);
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(ErrorReason(status), reason::kDeadlineUnmeetable);
  EXPECT_EQ(ErrorRetryAfter(status), absl::Milliseconds(12));
  EXPECT_TRUE(PushWithin(absl::Seconds(5) + absl::Milliseconds(12), kEncodes).ok());
  EXPECT_TRUE(PushWithin(absl::Milliseconds(1018), kClicks, 6).ok()) << "clicks go before";
}

TEST_F(WorkQueueDeadlineTest, OnlyWhatGoesBeforeItsFlowCounts) {
  ASSERT_TRUE(PushWithin(absl::Seconds(9), kEncodes, 1, "greedy").ok());
  EXPECT_FALSE(PushWithin(absl::Seconds(2), kEncodes, 1, "greedy").ok());
  EXPECT_TRUE(PushWithin(absl::Seconds(2), kEncodes, 1, "other").ok()) << "its turn may be first";
}

TEST_F(WorkQueueDeadlineTest, ThoseWhoLeftDoNotCount) {
  auto flag = std::make_shared<CancelFlag>();
  ASSERT_TRUE(PushWithin(absl::Seconds(9), kEncodes, 1, "", {.cancel = flag}).ok());
  EXPECT_FALSE(PushWithin(absl::Seconds(2), kEncodes).ok());
  flag->Cancel();
  EXPECT_TRUE(PushWithin(absl::Seconds(2), kEncodes).ok());
}

TEST_F(WorkQueueDeadlineTest, AnOldEstimateLetsOneInToLearn) {
  clock_.Advance(ServiceEstimate::kMaxAge + absl::Seconds(1));
  EXPECT_TRUE(timed_.CheckDeadline(kEncodes, 1, {}, clock_.Now() + absl::Seconds(1)).ok());
  ASSERT_TRUE(PushWithin(absl::Seconds(1), kEncodes).ok());
  EXPECT_FALSE(PushWithin(absl::Seconds(1), kEncodes).ok()) << "one is enough";
  timed_.TakeBatch();
  estimate_.Started(kEncodes, 1, clock_.Now());
  EXPECT_FALSE(PushWithin(absl::Seconds(1), kEncodes).ok()) << "it runs";
  clock_.Advance(absl::Seconds(0.5));
  estimate_.Finished(clock_.Now());
  EXPECT_TRUE(PushWithin(absl::Seconds(1), kEncodes).ok());
}

TEST_F(WorkQueueDeadlineTest, AFullClassSaysWhenItWillNotBe) {
  ASSERT_TRUE(PushWithin(absl::Seconds(9), kEncodes).ok());
  ASSERT_TRUE(PushWithin(absl::Seconds(9), kEncodes).ok());
  EXPECT_EQ(ErrorRetryAfter(PushWithin(absl::Seconds(9), kEncodes)), absl::Seconds(4));
  EXPECT_EQ(timed_.RetryAfter(kClicks), absl::Milliseconds(50)) << "not less";
  estimate_.Started(kEncodes, 1, clock_.Now());
  EXPECT_EQ(timed_.RetryAfter(kEncodes), absl::Seconds(5)) << "not more";
  EXPECT_EQ(queue_.RetryAfter(kEncodes), Options().retry_after) << "nothing is known";
}

TEST(WorkQueueOptions, ValidateNamesTheField) {
  EXPECT_TRUE(Options().Validate().ok());
  EXPECT_EQ(ErrorField(WorkQueueOptions{}.Validate()), "classes");
  WorkQueueOptions options = Options();
  options.classes[1].max_units = 0;
  EXPECT_EQ(ErrorField(options.Validate()), "classes[1].max_units");
  options = Options();
  options.classes[0].max_wait = -absl::Seconds(1);
  EXPECT_EQ(ErrorField(options.Validate()), "classes[0].max_wait");
  for (const double share : {0.0, 1.5, std::nan("")}) {
    options = Options();
    options.max_flow_share = share;
    EXPECT_EQ(ErrorField(options.Validate()), "max_flow_share");
  }
}

// Invariant 2 under load: whatever was accepted is taken or dropped exactly once.
TEST(WorkQueueStress, EveryAcceptedEntryLeavesExactlyOnce) {
  constexpr int kProducers = 4;
  constexpr int kEach = 2000;
  RealClock clock;
  std::atomic<int> taken{0};
  std::atomic<int> dropped{0};
  std::atomic<int> refused{0};
  WorkQueue<int> queue(
      {.classes =
           {{.name = "a", .max_entries = 32, .max_units = 64, .max_batch_units = 8},
            {.name = "b", .max_entries = 32, .max_units = 64, .max_wait = absl::Nanoseconds(1)}},
       .tenants = *TenantTable::Parse("tenant0 weight=3\ntenant1 weight=7\n"),
       .max_flow_share = 0.5},
      clock);
  std::vector<std::thread> consumers;
  for (int i = 0; i < 2; ++i) {
    consumers.emplace_back([&] {
      while (auto batch = queue.TakeBatch()) taken += static_cast<int>(batch->entries.size());
    });
  }
  std::vector<std::thread> producers;
  for (int p = 0; p < kProducers; ++p) {
    producers.emplace_back([&, p] {
      for (int i = 0; i < kEach; ++i) {
        auto flag = std::make_shared<CancelFlag>();
        WorkQueue<int>::Entry entry{.task = i,
                                    .units = 1 + i % 3,
                                    .batch_key = static_cast<uint64_t>(i % 4),
                                    .flow = {"tenant" + std::to_string(i % 5)},
                                    .check =
                                        [flag](absl::Time /*now*/) {
                                          return flag->cancelled() ? absl::CancelledError()
                                                                   : absl::OkStatus();
                                        },
                                    .drop = [&](absl::Status /*why*/) { ++dropped; }};
        if (!queue.Push(p % 2, entry).ok()) ++refused;
        if (i % 5 == 0) flag->Cancel();
        if (i % 97 == 0) queue.DropDead();
      }
    });
  }
  for (std::thread& thread : producers) thread.join();
  queue.Close(WorkQueue<int>::CloseMode::kDrain);
  for (std::thread& thread : consumers) thread.join();
  EXPECT_EQ(taken + dropped + refused, kProducers * kEach);
  EXPECT_GT(taken, 0);
}

}  // namespace
}  // namespace semsam
