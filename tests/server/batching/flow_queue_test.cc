#include "server/batching/flow_queue.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <map>
#include <string>
#include <utility>

namespace semsam {
namespace {

constexpr int64_t kAny = std::numeric_limits<int64_t>::max();

class FlowQueueTest : public ::testing::Test {
 protected:
  using Queue = FlowQueue<std::string>;

  // The item of a flow is called as the flow.
  void Push(const std::string& flow, int64_t weight = 1, int64_t units = 1, int count = 1) {
    for (int i = 0; i < count; ++i) {
      Queue::Slot slot;
      slot.item = flow;
      slot.units = units;
      queue_.Push(flow, weight, std::move(slot));
    }
  }

  std::string Take(int count = 1) {
    std::string taken;
    for (int i = 0; i < count; ++i) {
      const auto slot = queue_.Take(/*key=*/0, kAny);
      taken += slot.has_value() ? slot->item : "-";
    }
    return taken;
  }

  Queue queue_;
};

TEST_F(FlowQueueTest, EqualFlowsTakeTurns) {
  Push("a", 1, 1, 4);
  Push("b", 1, 1, 4);
  EXPECT_EQ(Take(8), "abababab");
  EXPECT_TRUE(queue_.empty());
}

TEST_F(FlowQueueTest, SharesAreExactlyThoseOfTheWeights) {
  Push("a", 3, 1, 300);
  Push("b", 1, 1, 300);
  std::map<std::string, int> served;
  for (int i = 1; i <= 400; ++i) {
    ++served[Take()];
    // Never further from the share than one turn.
    EXPECT_NEAR(served["a"], i * 0.75, 1) << i;
  }
  EXPECT_EQ(served["a"], 300);
  EXPECT_EQ(served["b"], 100);
}

TEST_F(FlowQueueTest, UnitsCountAndNotItems) {
  Push("large", 1, 6, 50);
  Push("small", 1, 2, 150);
  std::map<std::string, int64_t> units;
  for (int i = 0; i < 80; ++i) {
    const std::string flow = Take();
    units[flow] += flow == "large" ? 6 : 2;
  }
  EXPECT_EQ(units["large"], 120);
  EXPECT_EQ(units["small"], 120);
}

TEST_F(FlowQueueTest, AFlowGetsNoCreditForTheTimeItWasAway) {
  Push("a", 1, 1, 20);
  EXPECT_EQ(Take(10), "aaaaaaaaaa");
  Push("b", 1, 1, 10);
  EXPECT_EQ(Take(8), "babababa") << "not ten of b";
}

TEST_F(FlowQueueTest, AFlowWithOneItemAtATimeKeepsItsDebt) {
  Push("a", 3, 1, 12);
  Push("b");
  std::string served;
  for (int i = 0; i < 12; ++i) {
    const std::string flow = Take();
    served += flow;
    if (flow == "b") Push("b");
  }
  EXPECT_EQ(std::count(served.begin(), served.end(), 'b'), 3) << served;
}

TEST_F(FlowQueueTest, OnceNothingWaitsAllAreEven) {
  Push("a", 1, 100);
  EXPECT_EQ(Take(), "a");
  Push("a");
  Push("b");
  EXPECT_EQ(Take(2), "ab");
}

TEST_F(FlowQueueTest, AKeyIsServedAloneAndOthersKeepTheirPlace) {
  for (const auto& [item, key] : {std::pair{"x1", 1}, {"y1", 2}, {"x2", 1}, {"any", 0}}) {
    Queue::Slot slot;
    slot.item = item;
    slot.key = key;
    queue_.Push("a", 1, std::move(slot));
  }
  EXPECT_EQ(queue_.Take(1, kAny)->item, "x1");
  EXPECT_EQ(queue_.Take(1, kAny)->item, "x2");
  EXPECT_EQ(queue_.Take(1, kAny)->item, "any");
  EXPECT_FALSE(queue_.Take(1, kAny).has_value());
  EXPECT_EQ(queue_.Take(2, kAny)->item, "y1");
}

TEST_F(FlowQueueTest, TheKeyIsLookedForInAllFlows) {
  for (const auto& [flow, key] : {std::pair{"a", 1}, {"b", 2}, {"c", 1}}) {
    Queue::Slot slot;
    slot.item = flow;
    slot.key = key;
    queue_.Push(flow, 1, std::move(slot));
  }
  EXPECT_EQ(queue_.Take(0, kAny)->item, "a");
  EXPECT_EQ(queue_.Take(1, kAny)->item, "c");
  EXPECT_EQ(Take(), "b");
}

TEST_F(FlowQueueTest, NothingSmallerOvertakesWhatDoesNotFit) {
  Push("a", 1, 5);
  Push("a", 1, 1);
  EXPECT_FALSE(queue_.Take(0, 4).has_value());
  EXPECT_EQ(queue_.Take(0, 5)->units, 5);
}

TEST_F(FlowQueueTest, WhatIsRefusedGoesAndItsFlowWithIt) {
  Push("a", 1, 2, 2);
  Push("b", 1, 3, 2);
  int dropped = 0;
  queue_.RemoveIf(
      [](const std::string& item) {
        return item == "a" ? absl::CancelledError() : absl::OkStatus();
      },
      [&dropped](const Queue::Slot& slot, const absl::Status& why) {
        EXPECT_EQ(slot.item, "a");
        EXPECT_TRUE(absl::IsCancelled(why));
        ++dropped;
      });
  EXPECT_EQ(dropped, 2);
  EXPECT_EQ(queue_.load("a").entries, 0);
  EXPECT_EQ(queue_.load("b").units, 6);
  EXPECT_EQ(queue_.load().units, 6);
  EXPECT_EQ(Take(3), "bb-");
}

TEST_F(FlowQueueTest, KnowsHowMuchIsServedBefore) {
  EXPECT_EQ(queue_.UnitsBefore("a"), 0);
  Push("a", 1, 6, 3);
  EXPECT_EQ(queue_.UnitsBefore("a"), 18) << "its own";
  EXPECT_EQ(queue_.UnitsBefore("b"), 0) << "another's turn comes first";
  Push("b", 3, 6, 1);
  EXPECT_EQ(queue_.UnitsBefore("a"), 24) << "all, of weight 3";
  EXPECT_EQ(queue_.UnitsBefore("b"), 8) << "its own, and a third of that of a";
}

TEST_F(FlowQueueTest, FlowsThatLeaveAreForgotten) {
  Push("stays", 1, 1, 2);
  Push("leaves", 1, 4);
  EXPECT_EQ(Take(2),
            "stays"
            "leaves");
  EXPECT_EQ(queue_.flows(), 2) << "it took four units";
  Push("stays", 1, 1, 10);
  Take(5);
  EXPECT_EQ(queue_.flows(), 1) << "and the other as many since";
}

TEST_F(FlowQueueTest, FlowsThatAreRememberedAreBounded) {
  Push("stays");
  for (int i = 0; i < 2000; ++i) {
    const std::string flow = "flow" + std::to_string(i);
    Push(flow, 1, 1000000);
    while (queue_.load(flow).entries > 0) {
      if (Take() == "stays") Push("stays");
    }
  }
  EXPECT_EQ(queue_.flows(), Queue::kMaxIdleFlows + 1);
}

TEST_F(FlowQueueTest, TheOldestItemIsKnown) {
  EXPECT_EQ(queue_.oldest(), absl::InfiniteFuture());
  for (const int second : {3, 2}) {
    Queue::Slot slot;
    slot.since = absl::FromUnixSeconds(second);
    queue_.Push(std::to_string(second), 1, std::move(slot));
  }
  EXPECT_EQ(queue_.oldest(), absl::FromUnixSeconds(2));
}

}  // namespace
}  // namespace semsam
