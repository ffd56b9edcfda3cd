// The load test against the whole server in this process, over a model that a test
// can hold.
#include "client/load/grpc_target.h"

#include <gtest/gtest.h>

#include <memory>
#include <utility>

#include "client/load/load_runner.h"
#include "model/base/clock.h"
#include "model/base/mutex.h"
#include "server/app/server_app.h"
#include "tests/fakes/fake_segmenter.h"
#include "tests/fakes/model_gate.h"

namespace semsam::load {
namespace {

using absl::Seconds;

class GrpcTargetTest : public ::testing::Test {
 protected:
  void SetUp() override {
    FakeSegmenterOptions fake;
    fake.config.short_edge_px = 256;
    fake.on_decode = decodes_.Hook();
    ServerOptions server;
    server.engine.max_background_calls = 256;
    server.engine.result_buffer_bytes = int64_t{64} << 30;
    server.rpc.listen = "127.0.0.1:0";
    auto app = ServerApp::Start(server, FakeModels(fake));
    ASSERT_TRUE(app.ok()) << app.status();
    app_ = *std::move(app);
  }
  void TearDown() override { decodes_.Open(); }

  // The runner of `load` against `address`, by `clock`.
  void Prepare(const LoadOptions& load, const std::string& address, const Clock& clock) {
    auto plan = MakePlan(load);
    ASSERT_TRUE(plan.ok()) << plan.status();
    plan_ = *std::move(plan);
    auto pictures = PictureSet::Create({.width_px = 64, .height_px = 48});
    ASSERT_TRUE(pictures.ok()) << pictures.status();
    pictures_ = std::make_unique<PictureSet>(*std::move(pictures));
    auto target = GrpcTarget::Create(
        {.server = {.target = address}, .connections = 2, .levels = {1, 3}, .points_per_side = 2},
        clock);
    ASSERT_TRUE(target.ok()) << target.status();
    target_ = *std::move(target);
    runner_ = std::make_unique<LoadRunner>(load, plan_, *pictures_, *target_, clock);
  }

  const KindResults& Of(CallKind kind) const { return runner_->results().of(kind); }

  ModelGate decodes_;
  std::unique_ptr<ServerApp> app_;
  LoadPlan plan_;
  std::unique_ptr<PictureSet> pictures_;
  std::unique_ptr<GrpcTarget> target_;
  std::unique_ptr<LoadRunner> runner_;
};

TEST_F(GrpcTargetTest, AllKindsOfCallsEndAsTheyShould) {
  const RealClock clock;
  Prepare({.sessions_per_s = 20,
           .clicks_per_session = 6,
           .think_time = absl::Milliseconds(50),
           .warmup = absl::ZeroDuration(),
           .duration = Seconds(3),
           .everything_share = 0.1,
           .cancel_share = 0.1,
           .stall_share = 0.1,
           .cancel_after = absl::Milliseconds(2),
           .stall_for = absl::Milliseconds(100)},
          app_->address(), clock);
  runner_->Run();
  const LoadResults& results = runner_->results();
  EXPECT_TRUE(results.first_failure.ok()) << results.first_failure;
  EXPECT_GT(results.sessions_ready, 0);
  for (int i = 0; i < kCallKinds; ++i) {
    const KindResults& kind = results.kinds[i];
    EXPECT_GT(kind.ok + kind.abandoned, 0) << CallKindName(static_cast<CallKind>(i));
    // A slow machine may leave some out at the end.
    EXPECT_EQ(kind.ok + kind.abandoned + kind.never_started, kind.due)
        << CallKindName(static_cast<CallKind>(i));
  }
  for (const CallKind kind : {CallKind::kClick, CallKind::kEverything}) {
    EXPECT_EQ(Of(kind).abandoned, 0);
  }
  EXPECT_EQ(Of(CallKind::kClick).first_result.count(), Of(CallKind::kClick).ok);
  EXPECT_GT(Of(CallKind::kStalledClick).abandoned, 0);
}

TEST_F(GrpcTargetTest, AStalledServerShowsInTheTail) {
  FakeClock clock;
  const absl::Time start = clock.Now();
  Prepare({.sessions_per_s = 1,
           .clicks_per_session = 5,
           .think_time = absl::Milliseconds(500),
           .warmup = absl::ZeroDuration(),
           .duration = Seconds(40)},
          app_->address(), clock);
  bool shut = false;
  while (!runner_->done()) {
    const absl::Time next = runner_->Step();
    const absl::Duration at = clock.Now() - start;
    if (!shut && at >= Seconds(15) && at < Seconds(25)) decodes_.Shut();
    shut = at >= Seconds(15) && at < Seconds(25);
    if (!shut) decodes_.Open();
    if (!shut && runner_->in_flight() > 0) {
      runner_->WaitUntil(absl::InfiniteFuture());  // the server is quick: no time passes
    } else if (next != absl::InfiniteFuture()) {
      clock.Advance(next - clock.Now());
    }
  }
  const KindResults& clicks = Of(CallKind::kClick);
  EXPECT_GT(clicks.due, 100);
  EXPECT_EQ(clicks.ok, clicks.due) << runner_->results().first_failure;
  EXPECT_EQ(clicks.latency.Percentile(50), absl::ZeroDuration());
  EXPECT_GT(clicks.latency.Percentile(99), Seconds(6));
  EXPECT_LT(clicks.latency.max(), Seconds(13));
}

TEST_F(GrpcTargetTest, TheServersReasonsAreCounted) {
  const RealClock clock;
  Prepare({}, app_->address(), clock);
  CallAnswer answer;
  Mutex mutex;
  CondVar answered;
  bool done = false;
  const auto call = target_->Start(
      {.kind = CallKind::kClick, .session_id = "none", .image_id = "none"}, [&](CallAnswer result) {
        MutexLock lock(mutex);
        answer = std::move(result);
        done = true;
        answered.NotifyAll();
      });
  MutexLock lock(mutex);
  while (!done) answered.Wait(mutex);
  EXPECT_EQ(OutcomeName(answer.status), "NOT_FOUND SESSION_NOT_FOUND");
}

TEST_F(GrpcTargetTest, AServerThatIsNotThereFailsEveryCallAndEndsTheRun) {
  const RealClock clock;
  const std::string address = app_->address();
  app_.reset();
  Prepare({.closed_loop = true, .sessions = 3}, address, clock);
  runner_->Run();
  EXPECT_EQ(runner_->results().sessions_ready, 0);
  EXPECT_TRUE(absl::IsUnavailable(runner_->results().first_failure))
      << runner_->results().first_failure;
}

TEST(GrpcTargetOptionsTest, BadOptionsAreNamed) {
  const RealClock clock;
  const GrpcTargetOptions good{.server = {.target = "127.0.0.1:1"}};
  EXPECT_TRUE(good.Validate().ok());
  GrpcTargetOptions options = good;
  options.connections = 0;
  EXPECT_EQ(client::ErrorField(GrpcTarget::Create(options, clock).status()), "connections");
  options = good;
  options.levels = {1, 0};
  EXPECT_EQ(client::ErrorField(options.Validate()), "levels");
  options = good;
  options.points_per_side = -1;
  EXPECT_EQ(client::ErrorField(options.Validate()), "points_per_side");
  options = good;
  options.server.target.clear();
  EXPECT_EQ(client::ErrorField(options.Validate()), "target");
}

}  // namespace
}  // namespace semsam::load
