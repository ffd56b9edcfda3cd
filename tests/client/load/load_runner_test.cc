#include "client/load/load_runner.h"

#include <google/rpc/error_details.pb.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "tests/client/load/fake_target.h"

namespace semsam::load {
namespace {

using absl::Seconds;

// RESOURCE_EXHAUSTED as the client library gives it.
absl::Status Refusal(std::optional<int> retry_after_ms) {
  absl::Status status = absl::ResourceExhaustedError("full");
  if (!retry_after_ms.has_value()) return status;
  google::rpc::RetryInfo retry;
  retry.mutable_retry_delay()->set_nanos(*retry_after_ms * 1'000'000);
  status.SetPayload("type.googleapis.com/google.rpc.RetryInfo",
                    absl::Cord(retry.SerializeAsString()));
  return status;
}

bool IsClick(const CallRequest& request) { return request.kind == CallKind::kClick; }

class LoadRunnerTest : public ::testing::Test {
 protected:
  void Start() {
    auto plan = MakePlan(options_);
    ASSERT_TRUE(plan.ok()) << plan.status();
    plan_ = *std::move(plan);
    auto pictures = PictureSet::Create({.width_px = 4, .height_px = 4});
    ASSERT_TRUE(pictures.ok()) << pictures.status();
    pictures_ = std::make_unique<PictureSet>(*std::move(pictures));
    start_ = clock_.Now();
    runner_ = std::make_unique<LoadRunner>(options_, plan_, *pictures_, target_, clock_);
  }

  // Does all that can be done at this time. Returns when more is due.
  absl::Time Settle() {
    size_t before = 0;
    absl::Time next;
    do {
      before = target_.calls().size();
      runner_->Step();
      next = runner_->Step();
    } while (target_.calls().size() != before);
    return next;
  }

  // Moves the clock from one due time to the next.
  void AdvanceTo(absl::Duration since_start) {
    const absl::Time until = start_ + since_start;
    for (absl::Time next = Settle(); next <= until; next = Settle()) {
      clock_.Advance(next - clock_.Now());
    }
    clock_.Advance(until - clock_.Now());
    Settle();
  }

  const KindResults& Of(CallKind kind) const { return runner_->results().of(kind); }

  void ExpectThatNoCallIsUnaccounted() const {
    for (const KindResults& kind : runner_->results().kinds) {
      EXPECT_EQ(kind.due,
                kind.ok + kind.abandoned + kind.failed + kind.skipped + kind.never_started);
      int64_t outcomes = 0;
      for (const auto& [name, count] : kind.outcomes) outcomes += count;
      EXPECT_EQ(outcomes, kind.ok + kind.abandoned + kind.failed);
      EXPECT_EQ(kind.latency.count(), kind.ok);
      EXPECT_EQ(kind.failure.count(), kind.failed);
    }
  }

  LoadOptions options_{.sessions_per_s = 1,
                       .clicks_per_session = 10,
                       .warmup = absl::ZeroDuration(),
                       .duration = Seconds(100)};
  FakeClock clock_;
  FakeTarget target_{clock_};
  LoadPlan plan_;
  std::unique_ptr<PictureSet> pictures_;
  absl::Time start_;
  std::unique_ptr<LoadRunner> runner_;
};

TEST_F(LoadRunnerTest, EveryPlannedCallIsSentWhenItIsDue) {
  Start();
  AdvanceTo(Seconds(101));
  ASSERT_TRUE(runner_->done());
  std::vector<absl::Time> planned;
  for (const PlannedSession& session : plan_.sessions) {
    for (const PlannedCall& call : session.calls) planned.push_back(start_ + call.at);
  }
  std::sort(planned.begin(), planned.end());
  std::vector<absl::Time> sent;
  for (const auto& call : target_.calls()) {
    if (IsClick(call->request())) sent.push_back(call->sent());
  }
  EXPECT_EQ(sent, planned);
  const auto sessions = static_cast<int64_t>(plan_.sessions.size());
  EXPECT_EQ(Of(CallKind::kClick).ok, planned.size());
  EXPECT_EQ(Of(CallKind::kCreate).ok, sessions);
  EXPECT_EQ(Of(CallKind::kUpload).ok, sessions);
  EXPECT_EQ(target_.CountOf(CallKind::kDelete), sessions);
  EXPECT_EQ(runner_->results().sessions_ready, sessions);
  EXPECT_EQ(Of(CallKind::kClick).latency.max(), absl::ZeroDuration());
  EXPECT_EQ(runner_->results().generator_lag.max(), absl::ZeroDuration());
  EXPECT_TRUE(runner_->results().first_failure.ok());
  ExpectThatNoCallIsUnaccounted();
}

TEST_F(LoadRunnerTest, CallsCarryWhatTheirSessionHas) {
  Start();
  AdvanceTo(Seconds(101));
  std::map<size_t, std::string> pictures;
  for (const auto& call : target_.calls()) {
    const CallRequest& request = call->request();
    if (request.kind == CallKind::kCreate) continue;
    EXPECT_EQ(request.session_id, "create id");
    if (request.kind == CallKind::kUpload) pictures[request.session] = *request.picture;
    if (IsClick(request)) {
      EXPECT_EQ(request.image_id, "upload id");
      EXPECT_GT(request.x, 0);
    }
  }
  ASSERT_EQ(pictures.size(), plan_.sessions.size());
  EXPECT_NE(pictures[0], pictures[1]);
}

// The point of an open loop: a server that stands still for 30 of 100 seconds was slow
// for 30 of 100 calls, though only one call was with it at the time.
TEST_F(LoadRunnerTest, AStalledServerShowsInTheTailOfCallsItNeverSaw) {
  options_.max_in_flight = 1;
  Start();
  AdvanceTo(Seconds(40));
  target_.policy = [](const CallRequest&) { return std::nullopt; };
  AdvanceTo(Seconds(70));
  EXPECT_EQ(target_.in_flight(), 1);
  target_.policy = [](const CallRequest&) { return absl::OkStatus(); };
  target_.AnswerHeld(absl::OkStatus());
  AdvanceTo(Seconds(101));
  ASSERT_TRUE(runner_->done());

  const KindResults& clicks = Of(CallKind::kClick);
  EXPECT_EQ(clicks.ok, clicks.due);
  EXPECT_EQ(clicks.latency.Percentile(50), absl::ZeroDuration());
  EXPECT_GT(clicks.latency.Percentile(85), Seconds(5));
  EXPECT_GT(clicks.latency.Percentile(95), Seconds(20));
  EXPECT_GT(clicks.latency.max(), Seconds(28));
  EXPECT_LE(clicks.latency.max(), Seconds(30));
  EXPECT_EQ(clicks.service.Percentile(99), absl::ZeroDuration()) << "what it used to look like";
  EXPECT_NEAR(static_cast<double>(clicks.late) / static_cast<double>(clicks.due), 0.3, 0.1);
  EXPECT_EQ(clicks.first_result.max(), clicks.latency.max());
  EXPECT_EQ(runner_->results().generator_lag.max(), absl::ZeroDuration())
      << "the wait for a place is the server's doing";
  ExpectThatNoCallIsUnaccounted();
}

TEST_F(LoadRunnerTest, WhatFindsNoPlaceUntilTheEndIsSaidToHaveNeverStarted) {
  options_.max_in_flight = 3;
  target_.policy = [](const CallRequest& request) -> std::optional<absl::Status> {
    if (IsClick(request)) return std::nullopt;
    return absl::OkStatus();
  };
  Start();
  AdvanceTo(Seconds(101));
  EXPECT_EQ(target_.in_flight(), 3) << "never more, and waited for";
  EXPECT_FALSE(runner_->done());
  EXPECT_GT(Of(CallKind::kClick).never_started, 300);
  EXPECT_GT(Of(CallKind::kCreate).never_started, 50);
  EXPECT_EQ(Of(CallKind::kCreate).never_started, Of(CallKind::kUpload).never_started);

  target_.AnswerHeld(absl::DeadlineExceededError("too late"));
  AdvanceTo(Seconds(102));
  EXPECT_TRUE(runner_->done());
  EXPECT_EQ(Of(CallKind::kClick).failed, 3);
  EXPECT_EQ(Of(CallKind::kClick).outcomes.at("DEADLINE_EXCEEDED"), 3);
  EXPECT_EQ(target_.CountOf(CallKind::kDelete), target_.CountOf(CallKind::kCreate))
      << "no session is left behind";
  ExpectThatNoCallIsUnaccounted();
}

TEST_F(LoadRunnerTest, ClicksThatAreDueBeforeTheirUploadIsDoneWaitForIt) {
  options_.sessions_per_s = 0.005;  // the first is alone for a while
  options_.duration = Seconds(1000);
  target_.policy = [](const CallRequest& request) -> std::optional<absl::Status> {
    if (request.kind == CallKind::kUpload) return std::nullopt;
    return absl::OkStatus();
  };
  Start();
  ASSERT_FALSE(plan_.sessions.empty());
  const PlannedSession& first = plan_.sessions.front();
  ASSERT_GT(first.calls.size(), 3);
  AdvanceTo(first.calls[1].at);
  EXPECT_EQ(target_.CountOf(CallKind::kClick), 0);
  target_.AnswerHeld(absl::OkStatus());
  AdvanceTo(first.calls[1].at);
  EXPECT_EQ(target_.CountOf(CallKind::kClick), 2);
  EXPECT_EQ(Of(CallKind::kClick).waited_for_upload, 2);
  EXPECT_EQ(Of(CallKind::kClick).late, 0);
  const absl::Duration wait = first.calls[1].at - first.calls[0].at;
  EXPECT_NEAR(absl::ToDoubleSeconds(Of(CallKind::kClick).latency.max()),
              absl::ToDoubleSeconds(wait), 1e-5);
  EXPECT_GE(Of(CallKind::kUpload).latency.max(), wait) << "from when the session was due";
}

TEST_F(LoadRunnerTest, ASessionWithoutItsPictureMakesNoClicks) {
  target_.policy = [](const CallRequest& request) -> std::optional<absl::Status> {
    if (request.kind == CallKind::kUpload) return absl::InvalidArgumentError("no picture");
    return absl::OkStatus();
  };
  Start();
  AdvanceTo(Seconds(101));
  ASSERT_TRUE(runner_->done());
  EXPECT_EQ(target_.CountOf(CallKind::kClick), 0);
  EXPECT_EQ(Of(CallKind::kClick).skipped, Of(CallKind::kClick).due);
  EXPECT_GT(Of(CallKind::kClick).due, 500);
  EXPECT_EQ(Of(CallKind::kUpload).failed, Of(CallKind::kUpload).due);
  EXPECT_EQ(target_.CountOf(CallKind::kDelete), target_.CountOf(CallKind::kCreate));
  EXPECT_EQ(runner_->results().sessions_ready, 0);
  EXPECT_EQ(runner_->results().first_failure.message(), "upload: INVALID_ARGUMENT: no picture");
  ExpectThatNoCallIsUnaccounted();
}

TEST_F(LoadRunnerTest, WithoutASessionThereIsNothingToUploadOrDelete) {
  target_.policy = [](const CallRequest&) { return absl::UnavailableError("nobody listens"); };
  Start();
  AdvanceTo(Seconds(101));
  ASSERT_TRUE(runner_->done());
  EXPECT_EQ(target_.calls().size(), plan_.sessions.size());
  EXPECT_EQ(Of(CallKind::kUpload).skipped, Of(CallKind::kCreate).failed);
  ExpectThatNoCallIsUnaccounted();
}

TEST_F(LoadRunnerTest, CallsThatTheClientEndsAreNotFailures) {
  options_.cancel_share = 0.5;
  options_.stall_share = 0.5;
  options_.stall_for = Seconds(3);
  target_.policy = [](const CallRequest& request) -> std::optional<absl::Status> {
    if (request.kind == CallKind::kStalledClick) return std::nullopt;
    if (request.kind == CallKind::kCancelledClick && request.x < 0.5) return std::nullopt;
    return absl::OkStatus();
  };
  Start();
  AdvanceTo(Seconds(110));
  ASSERT_TRUE(runner_->done());
  const KindResults& cancelled = Of(CallKind::kCancelledClick);
  EXPECT_GT(cancelled.abandoned, 100);
  EXPECT_GT(cancelled.ok, 100) << "answered before the client lost interest";
  EXPECT_EQ(cancelled.failed, 0);
  EXPECT_EQ(Of(CallKind::kStalledClick).abandoned, Of(CallKind::kStalledClick).due);
  EXPECT_EQ(Of(CallKind::kStalledClick).outcomes.at("CANCELLED"), Of(CallKind::kStalledClick).due);
  EXPECT_TRUE(runner_->results().first_failure.ok());
  ExpectThatNoCallIsUnaccounted();
}

TEST_F(LoadRunnerTest, ARefusalIsTriedAgainWhenTheServerSays) {
  options_.max_attempts = 3;
  options_.sessions_per_s = 0.1;
  options_.clicks_per_session = 1;
  std::map<size_t, int> attempts;  // by session, which has one click
  target_.policy = [&attempts](const CallRequest& request) -> std::optional<absl::Status> {
    if (IsClick(request) && ++attempts[request.session] < 3) return Refusal(250);
    return absl::OkStatus();
  };
  Start();
  AdvanceTo(Seconds(90));
  const KindResults& clicks = Of(CallKind::kClick);
  ASSERT_GT(clicks.ok, 0);
  EXPECT_EQ(clicks.ok, std::count_if(attempts.begin(), attempts.end(),
                                     [](const auto& entry) { return entry.second == 3; }));
  EXPECT_EQ(clicks.failed, 0);
  EXPECT_GE(clicks.retries, 2 * clicks.ok);
  EXPECT_EQ(clicks.latency.min(), absl::Milliseconds(500)) << "from the first attempt on";
  EXPECT_EQ(clicks.latency.max(), absl::Milliseconds(500));
  EXPECT_EQ(clicks.service.max(), absl::ZeroDuration());
}

TEST_F(LoadRunnerTest, WhatIsRefusedRightBeforeTheEndIsTriedAgainAfterIt) {
  options_.max_attempts = 2;
  options_.sessions_per_s = 5;
  options_.clicks_per_session = 1;
  std::map<size_t, int> attempts;  // by session, which has one click
  target_.policy = [&attempts](const CallRequest& request) -> std::optional<absl::Status> {
    if (IsClick(request) && ++attempts[request.session] == 1) return Refusal(900);
    return absl::OkStatus();
  };
  Start();
  AdvanceTo(Seconds(102));
  ASSERT_TRUE(runner_->done());
  const KindResults& clicks = Of(CallKind::kClick);
  EXPECT_EQ(clicks.failed, 0);
  EXPECT_EQ(clicks.ok, attempts.size());
  const auto calls = target_.calls();
  EXPECT_TRUE(std::any_of(calls.begin(), calls.end(), [this](const auto& call) {
    return IsClick(call->request()) && call->sent() > start_ + Seconds(100);
  }));
  ExpectThatNoCallIsUnaccounted();
}

TEST_F(LoadRunnerTest, ARefusalThatInvitesNobodyIsFinal) {
  options_.max_attempts = 3;
  target_.policy = [](const CallRequest& request) -> std::optional<absl::Status> {
    if (IsClick(request)) return Refusal(std::nullopt);
    return absl::OkStatus();
  };
  Start();
  AdvanceTo(Seconds(101));
  EXPECT_EQ(Of(CallKind::kClick).failed, Of(CallKind::kClick).due);
  EXPECT_EQ(Of(CallKind::kClick).retries, 0);
}

TEST_F(LoadRunnerTest, TheLastOfTooManyAttemptsCounts) {
  options_.max_attempts = 2;
  options_.duration = Seconds(1000);
  options_.sessions_per_s = 0.01;
  target_.policy = [](const CallRequest& request) -> std::optional<absl::Status> {
    if (IsClick(request)) return absl::UnavailableError("draining");
    return absl::OkStatus();
  };
  Start();
  AdvanceTo(Seconds(1001));
  ASSERT_TRUE(runner_->done());
  const KindResults& clicks = Of(CallKind::kClick);
  EXPECT_EQ(target_.CountOf(CallKind::kClick), clicks.due + clicks.retries);
  EXPECT_GT(clicks.retries, 0);
  EXPECT_EQ(clicks.failed, clicks.due);
  ExpectThatNoCallIsUnaccounted();
}

TEST_F(LoadRunnerTest, TheWarmUpIsNotCounted) {
  options_.warmup = Seconds(50);
  options_.duration = Seconds(50);
  Start();
  AdvanceTo(Seconds(101));
  int64_t due = 0;
  for (const PlannedSession& session : plan_.sessions) {
    for (const PlannedCall& call : session.calls) due += call.at >= Seconds(50);
  }
  EXPECT_EQ(Of(CallKind::kClick).due, due);
  EXPECT_EQ(Of(CallKind::kClick).ok_in_time, due);
  EXPECT_GT(target_.CountOf(CallKind::kClick), due);
  const LoadResults& results = runner_->results();
  EXPECT_EQ(results.counted, Seconds(50));
  ASSERT_EQ(results.due_by_bin.size(), 100);
  int64_t binned = 0;
  for (const int64_t count : results.ok_by_bin) binned += count;
  EXPECT_GE(binned, target_.CountOf(CallKind::kClick) + 2 * results.sessions);
}

TEST_F(LoadRunnerTest, AClosedLoopClicksWhenItIsAnswered) {
  options_.closed_loop = true;
  options_.sessions = 4;
  options_.warmup = Seconds(10);
  options_.think_time = Seconds(2);
  target_.policy = [](const CallRequest& request) -> std::optional<absl::Status> {
    if (request.kind == CallKind::kUpload && request.session == 2) return std::nullopt;
    return absl::OkStatus();
  };
  Start();
  AdvanceTo(Seconds(30));
  EXPECT_EQ(target_.CountOf(CallKind::kClick), 0) << "not before all have their picture";
  target_.AnswerHeld(absl::OkStatus());
  AdvanceTo(Seconds(145));
  ASSERT_TRUE(runner_->done());
  EXPECT_NEAR(Of(CallKind::kClick).due, 4 * 100 / 2, 60);
  EXPECT_EQ(Of(CallKind::kClick).ok, Of(CallKind::kClick).due);
  EXPECT_EQ(Of(CallKind::kClick).latency.max(), absl::ZeroDuration());
  EXPECT_EQ(target_.CountOf(CallKind::kDelete), 4);
  EXPECT_EQ(runner_->results().sessions_ready, 4);
  ExpectThatNoCallIsUnaccounted();
}

TEST_F(LoadRunnerTest, AClosedLoopThatIsHeldAsksNoMore) {
  options_.closed_loop = true;
  options_.sessions = 4;
  options_.warmup = absl::ZeroDuration();
  target_.policy = [](const CallRequest& request) -> std::optional<absl::Status> {
    if (IsClick(request)) return std::nullopt;
    return absl::OkStatus();
  };
  Start();
  AdvanceTo(Seconds(60));
  EXPECT_EQ(target_.CountOf(CallKind::kClick), 4);
  target_.AnswerHeld(absl::OkStatus());
  AdvanceTo(Seconds(120));
  EXPECT_EQ(target_.CountOf(CallKind::kClick), 8);
  target_.AnswerHeld(absl::OkStatus());
  AdvanceTo(Seconds(121));
  EXPECT_TRUE(runner_->done());
  EXPECT_EQ(target_.CountOf(CallKind::kDelete), 4);
}

TEST_F(LoadRunnerTest, AClosedLoopWithoutSessionsEndsAtOnce) {
  options_.closed_loop = true;
  options_.sessions = 4;
  target_.policy = [](const CallRequest&) { return absl::UnavailableError("nobody listens"); };
  Start();
  AdvanceTo(Seconds(1));
  EXPECT_TRUE(runner_->done());
  EXPECT_EQ(runner_->results().sessions, 4);
  EXPECT_EQ(runner_->results().sessions_ready, 0);
}

TEST_F(LoadRunnerTest, LeavingEarlyCancelsWhatIsInFlight) {
  target_.policy = [](const CallRequest&) { return std::nullopt; };
  Start();
  AdvanceTo(Seconds(20));
  EXPECT_GT(target_.in_flight(), 0);
  runner_.reset();
  EXPECT_EQ(target_.in_flight(), 0);
}

}  // namespace
}  // namespace semsam::load
