#include "client/load/load_plan.h"

#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "model/base/errors.h"

namespace semsam::load {
namespace {

LoadPlan PlanOf(const LoadOptions& options) {
  auto plan = MakePlan(options);
  EXPECT_TRUE(plan.ok()) << plan.status();
  return plan.ok() ? *std::move(plan) : LoadPlan{};
}

// 10,000 sessions expected.
LoadOptions ManySessions() {
  return {.sessions_per_s = 50,
          .clicks_per_session = 2,
          .warmup = absl::Seconds(20),
          .duration = absl::Seconds(180)};
}

std::vector<double> Gaps(const LoadPlan& plan) {
  std::vector<double> gaps;
  absl::Duration last;
  for (const PlannedSession& session : plan.sessions) {
    gaps.push_back(absl::ToDoubleSeconds(session.start - last));
    last = session.start;
  }
  return gaps;
}

TEST(LoadPlanTest, SessionsBeginAsAPoissonProcess) {
  const LoadPlan plan = PlanOf(ManySessions());
  EXPECT_NEAR(plan.sessions.size(), 10'000, 400) << "four standard deviations";
  double sum = 0;
  double squares = 0;
  int above_mean = 0;
  for (const double gap : Gaps(plan)) {
    ASSERT_GE(gap, 0);
    sum += gap;
    squares += gap * gap;
    if (gap > 1.0 / 50) ++above_mean;
  }
  const auto count = static_cast<double>(plan.sessions.size());
  const double mean = sum / count;
  const double deviation = std::sqrt(squares / count - mean * mean);
  EXPECT_NEAR(deviation / mean, 1, 0.05) << "of an exponential distribution";
  EXPECT_NEAR(above_mean / count, std::exp(-1), 0.02);
}

TEST(LoadPlanTest, ThinkTimesAreExponential) {
  LoadOptions options = ManySessions();
  options.think_time = absl::Milliseconds(10);  // the end of the run cuts few of them off
  double sum = 0;
  int64_t count = 0;
  int64_t above_mean = 0;
  for (const PlannedSession& session : PlanOf(options).sessions) {
    absl::Duration last = session.start;
    for (const PlannedCall& call : session.calls) {
      sum += absl::ToDoubleMilliseconds(call.at - last);
      if (call.at - last > options.think_time) ++above_mean;
      last = call.at;
      ++count;
    }
  }
  EXPECT_NEAR(sum / static_cast<double>(count), 10, 0.5);
  EXPECT_NEAR(static_cast<double>(above_mean) / static_cast<double>(count), std::exp(-1), 0.02);
}

TEST(LoadPlanTest, SharesAreKept) {
  LoadOptions options = ManySessions();
  options.everything_share = 0.1;
  options.cancel_share = 0.2;
  options.stall_share = 0.3;
  options.cancel_after = absl::Milliseconds(40);
  std::map<CallKind, double> counts;
  double cancel_ms = 0;
  double count = 0;
  for (const PlannedSession& session : PlanOf(options).sessions) {
    for (const PlannedCall& call : session.calls) {
      ++counts[call.kind];
      ++count;
      if (call.kind == CallKind::kCancelledClick) {
        cancel_ms += absl::ToDoubleMilliseconds(call.abort_after);
      } else if (call.kind == CallKind::kStalledClick) {
        ASSERT_EQ(call.abort_after, options.stall_for);
      } else {
        ASSERT_EQ(call.abort_after, absl::InfiniteDuration());
      }
      ASSERT_TRUE(call.x > 0 && call.x < 1 && call.y > 0 && call.y < 1);
    }
  }
  EXPECT_NEAR(counts[CallKind::kEverything] / count, 0.1, 0.01);
  EXPECT_NEAR(counts[CallKind::kCancelledClick] / count, 0.2, 0.015);
  EXPECT_NEAR(counts[CallKind::kStalledClick] / count, 0.3, 0.015);
  EXPECT_NEAR(counts[CallKind::kClick] / count, 0.4, 0.015);
  EXPECT_NEAR(cancel_ms / counts[CallKind::kCancelledClick], 40, 4);
}

TEST(LoadPlanTest, ASessionKeepsToItsOrderAndTheRunToItsEnd) {
  LoadOptions options{.sessions_per_s = 5, .upload_allowance = absl::Seconds(3)};
  const absl::Duration end = options.warmup + options.duration;
  size_t cut_short = 0;
  for (const PlannedSession& session : PlanOf(options).sessions) {
    absl::Duration last = session.start + options.upload_allowance;
    for (const PlannedCall& call : session.calls) {
      EXPECT_GE(call.at, last);
      EXPECT_LT(call.at, end);
      last = call.at;
    }
    if (session.calls.size() < 10) ++cut_short;
    EXPECT_GE(session.end, session.calls.empty() ? session.start : last);
    EXPECT_LE(session.end, end);
  }
  EXPECT_GT(cut_short, 0);
}

TEST(LoadPlanTest, TheSeedIsAllThatChanges) {
  LoadOptions options;
  const LoadPlan plan = PlanOf(options);
  const LoadPlan again = PlanOf(options);
  ASSERT_EQ(plan.sessions.size(), again.sessions.size());
  EXPECT_EQ(Gaps(plan), Gaps(again));
  EXPECT_EQ(plan.sessions.back().calls.size(), again.sessions.back().calls.size());
  EXPECT_EQ(plan.sessions.front().calls.front().x, again.sessions.front().calls.front().x);
  options.seed = 2;
  EXPECT_NE(Gaps(plan), Gaps(PlanOf(options)));
}

TEST(LoadPlanTest, MoreClicksDoNotMoveTheArrivals) {
  LoadOptions options;
  const LoadPlan plan = PlanOf(options);
  options.clicks_per_session = 30;
  options.cancel_share = 0.5;
  EXPECT_EQ(Gaps(plan), Gaps(PlanOf(options)));
}

TEST(LoadPlanTest, AClosedLoopHasItsSessionsAtOnce) {
  const LoadPlan plan = PlanOf({.closed_loop = true, .sessions = 3});
  ASSERT_EQ(plan.sessions.size(), 3);
  for (const PlannedSession& session : plan.sessions) {
    EXPECT_EQ(session.start, absl::ZeroDuration());
    EXPECT_FALSE(session.calls.empty());
  }
  EXPECT_NE(plan.sessions[0].calls[0].x, plan.sessions[1].calls[0].x);
}

TEST(LoadPlanTest, BadOptionsAreNamed) {
  const std::pair<std::string, LoadOptions> cases[] = {
      {"sessions_per_s", {.sessions_per_s = 0}},
      {"sessions_per_s", {.sessions_per_s = std::nan("")}},
      {"sessions", {.sessions = 0}},
      {"clicks_per_session", {.clicks_per_session = 0}},
      {"think_time", {.think_time = absl::ZeroDuration()}},
      {"upload_allowance", {.upload_allowance = absl::Seconds(-1)}},
      {"warmup", {.warmup = absl::Seconds(-1)}},
      {"duration", {.duration = absl::ZeroDuration()}},
      {"duration", {.duration = absl::InfiniteDuration()}},
      {"everything_share", {.everything_share = -0.1}},
      {"everything_share", {.everything_share = 0.6, .cancel_share = 0.6}},
      {"cancel_share", {.cancel_share = -1}},
      {"stall_share", {.stall_share = -1}},
      {"cancel_after", {.cancel_after = absl::Seconds(-1)}},
      {"stall_for", {.stall_for = absl::ZeroDuration()}},
      {"max_in_flight", {.max_in_flight = 0}},
      {"max_attempts", {.max_attempts = 0}},
      {"duration", {.sessions_per_s = 1000, .duration = absl::Hours(10)}},
      {"sessions", {.closed_loop = true, .sessions = 100'000}},
  };
  for (const auto& [field, options] : cases) {
    const auto plan = MakePlan(options);
    ASSERT_EQ(plan.status().code(), absl::StatusCode::kInvalidArgument) << field;
    EXPECT_EQ(ErrorField(plan.status()), field) << plan.status();
  }
}

TEST(LoadPlanTest, AClosedLoopNeedsNoThinkTime) {
  EXPECT_TRUE(MakePlan({.closed_loop = true, .think_time = absl::ZeroDuration()}).ok());
}

}  // namespace
}  // namespace semsam::load
