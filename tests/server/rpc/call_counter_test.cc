#include "server/rpc/call_counter.h"

#include <gtest/gtest.h>

#include <thread>

namespace semsam {
namespace {

TEST(CallCounter, NobodyIsWaitedForWhereNobodyIs) {
  const FakeClock clock;
  CallCounter counter(clock);
  counter.OpenGeneration();
  EXPECT_TRUE(counter.WaitForEarlier(absl::ZeroDuration()));
}

TEST(CallCounter, OnlyCallsThatWereThereAreWaitedFor) {
  const FakeClock clock;
  CallCounter counter(clock);
  const uint64_t first = counter.Enter();
  const uint64_t second = counter.Enter();
  counter.OpenGeneration();
  const uint64_t newer = counter.Enter();
  EXPECT_FALSE(counter.WaitForEarlier(absl::ZeroDuration()));
  counter.Leave(second);
  EXPECT_FALSE(counter.WaitForEarlier(absl::ZeroDuration()));
  counter.Leave(first);
  EXPECT_TRUE(counter.WaitForEarlier(absl::ZeroDuration())) << "the newer one is still there";
  counter.OpenGeneration();
  EXPECT_FALSE(counter.WaitForEarlier(absl::ZeroDuration())) << "and now it is an earlier one";
  counter.Leave(newer);
  EXPECT_TRUE(counter.WaitForEarlier(absl::ZeroDuration()));
}

TEST(CallCounter, TheLastToLeaveWakesWhoWaits) {
  const RealClock clock;
  CallCounter counter(clock);
  const uint64_t earlier = counter.Enter();
  counter.OpenGeneration();
  const uint64_t newer = counter.Enter();
  bool left = false;
  std::thread waiter([&] { left = counter.WaitForEarlier(absl::Minutes(10)); });
  counter.Leave(earlier);
  waiter.join();
  EXPECT_TRUE(left);
  counter.Leave(newer);
}

}  // namespace
}  // namespace semsam
