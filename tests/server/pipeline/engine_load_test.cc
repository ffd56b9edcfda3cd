// Queues, deadlines, cancellation and drain.
#include <gmock/gmock.h>

#include <thread>

#include "model/base/errors.h"
#include "tests/fakes/metric_value.h"
#include "tests/server/pipeline/engine_fixture.h"

namespace semsam {
namespace {

using ::testing::Contains;

class EngineLoadTest : public EngineFixture {};

TEST_F(EngineLoadTest, ClicksThatWaitTogetherAreDecodedTogether) {
  Start();
  const ImageReference image = NewImage();
  decodes_.Shut();
  SegmentLog first;
  engine_->Segment(ClickOn(image), {}, first.Sink());
  decodes_.WaitForCalls(1);
  SegmentLog logs[4];
  for (SegmentLog& log : logs) engine_->Segment(ClickOn(image), {}, log.Sink());
  decodes_.Open();
  for (SegmentLog& log : logs) EXPECT_TRUE(log.Wait().ok());
  EXPECT_THAT(segmenter_->decode_batches(), ::testing::ElementsAre(1, 4));
}

TEST_F(EngineLoadTest, TheAnswerDoesNotDependOnTheBatch) {
  Start();
  const ImageReference image = NewImage();
  SegmentLog alone;
  ASSERT_TRUE(Segment(ClickOn(image), alone).ok());
  decodes_.Shut();
  SegmentLog blocker;
  engine_->Segment(ClickOn(image), {}, blocker.Sink());
  decodes_.WaitForCalls(2);
  SegmentLog together[2];
  engine_->Segment({.image = image, .prompts = {Click(3, 60)}}, {}, together[0].Sink());
  engine_->Segment(ClickOn(image), {}, together[1].Sink());
  decodes_.Open();
  ASSERT_TRUE(together[1].Wait().ok());
  ASSERT_TRUE(together[0].Wait().ok());
  for (int i = 0; i < 6; ++i) {
    EXPECT_EQ(together[1].masks()[i].data.bytes, alone.masks()[i].data.bytes);
    EXPECT_EQ(together[1].masks()[i].box, alone.masks()[i].box);
  }
}

TEST_F(EngineLoadTest, ClicksGoBeforeEncodesThatWaited) {
  Start();
  const ImageReference image = NewImage();
  encodes_.Shut();
  UploadLog running;
  StartUpload(NewSession(), FakeImageBytes(80, 64, "running"), running);
  encodes_.WaitForCalls(2);
  UploadLog waiting;
  StartUpload(NewSession(), FakeImageBytes(80, 64, "waiting"), waiting);
  decodes_.Shut();
  SegmentLog click;
  engine_->Segment(ClickOn(image), {}, click.Sink());
  // The running encode ends; the click is next, whatever else waits.
  encodes_.Open();
  decodes_.WaitForCalls(1);
  EXPECT_EQ(waiting.calls(), 0);
  decodes_.Open();
  EXPECT_TRUE(click.Wait().ok());
  EXPECT_TRUE(waiting.Wait().ok());
}

TEST_F(EngineLoadTest, AFullGateRefusesAtOnceAndTellsWhenToTryAgain) {
  options_.max_segment_calls = 2;
  Start();
  const ImageReference image = NewImage();
  decodes_.Shut();
  SegmentLog logs[2];
  for (SegmentLog& log : logs) engine_->Segment(ClickOn(image), {}, log.Sink());
  SegmentLog refused;
  EXPECT_EQ(engine_->Segment(ClickOn(image), {}, refused.Sink()), nullptr);
  ASSERT_EQ(refused.done_calls(), 1) << "refused while the model is busy";
  const absl::Status status = refused.Wait().status();
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(ErrorReason(status), reason::kQueueFull);
  EXPECT_TRUE(ErrorRetryAfter(status).has_value());
  EXPECT_EQ(MetricValue(metrics_, "semsam_segment_calls_active"), "2");
  decodes_.Open();
  for (SegmentLog& log : logs) EXPECT_TRUE(log.Wait().ok());
  EXPECT_EQ(MetricValue(metrics_, "semsam_segment_calls_active"), "0");
}

TEST_F(EngineLoadTest, TheGateCountsQueriesToo) {
  options_.prompts.max_prompts = 2;
  options_.max_segment_queries = 12;
  Start();
  const ImageReference image = NewImage();
  decodes_.Shut();
  SegmentLog large;
  engine_->Segment({.image = image, .prompts = {Click(1, 1), Click(2, 2)}}, {}, large.Sink());
  SegmentLog refused;
  engine_->Segment(ClickOn(image), {}, refused.Sink());
  EXPECT_EQ(ErrorReason(refused.Wait().status()), reason::kQueueFull);
  decodes_.Open();
  EXPECT_TRUE(large.Wait().ok());
}

TEST_F(EngineLoadTest, TooManyEncodesAreRefusedAtOnce) {
  options_.max_queued_images = 1;
  options_.cpu_threads = 1;
  Start();
  encodes_.Shut();
  UploadLog running;
  StartUpload(NewSession(), FakeImageBytes(80, 64, "running"), running);
  encodes_.WaitForCalls(1);
  UploadLog refused;
  StartUpload(NewSession(), FakeImageBytes(80, 64, "refused"), refused);
  EXPECT_EQ(ErrorReason(refused.Wait().status()), reason::kQueueFull);
  encodes_.Open();
  EXPECT_TRUE(running.Wait().ok());
}

TEST_F(EngineLoadTest, ACancelledClickNeverReachesTheModel) {
  Start();
  const ImageReference image = NewImage();
  decodes_.Shut();
  SegmentLog running;
  engine_->Segment(ClickOn(image), {}, running.Sink());
  decodes_.WaitForCalls(1);
  auto flag = std::make_shared<CancelFlag>();
  SegmentLog cancelled;
  auto handle = engine_->Segment(ClickOn(image), {.cancel = flag}, cancelled.Sink());
  flag->Cancel();
  handle->Wake();
  engine_->Tick();
  EXPECT_EQ(cancelled.Wait().status().code(), absl::StatusCode::kCancelled)
      << "answered while the model is busy";
  decodes_.Open();
  EXPECT_TRUE(running.Wait().ok());
  EXPECT_EQ(segmenter_->decoded_requests(), 1);
  EXPECT_EQ(MetricValue(metrics_, "semsam_cancellations_total{stage=\"decode_queue\"}"), "1");
}

TEST_F(EngineLoadTest, AnExpiredClickNeverReachesTheModel) {
  Start();
  const ImageReference image = NewImage();
  decodes_.Shut();
  SegmentLog running;
  engine_->Segment(ClickOn(image), {}, running.Sink());
  decodes_.WaitForCalls(1);
  SegmentLog expired;
  engine_->Segment(ClickOn(image), {.deadline = clock_.Now() + absl::Seconds(5)}, expired.Sink());
  clock_.Advance(absl::Seconds(5));
  decodes_.Open();
  EXPECT_EQ(expired.Wait().status().code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_TRUE(running.Wait().ok());
  EXPECT_EQ(segmenter_->decoded_requests(), 1);
}

TEST_F(EngineLoadTest, AnUploadWhoseCallerLeftIsNotEncoded) {
  Start();
  encodes_.Shut();
  UploadLog running;
  StartUpload(NewSession(), FakeImageBytes(80, 64, "running"), running);
  encodes_.WaitForCalls(1);
  auto flag = std::make_shared<CancelFlag>();
  UploadLog left;
  StartUpload(NewSession(), FakeImageBytes(80, 64, "left"), left, {.cancel = flag});
  flag->Cancel();
  encodes_.Open();
  EXPECT_EQ(left.Wait().status().code(), absl::StatusCode::kCancelled);
  EXPECT_TRUE(running.Wait().ok());
  EXPECT_EQ(segmenter_->encoded_images(), 1);
}

TEST_F(EngineLoadTest, AnEncodeGoesOnForThoseWhoStillWait) {
  Start();
  encodes_.Shut();
  UploadLog running;
  StartUpload(NewSession(), FakeImageBytes(80, 64, "running"), running);
  encodes_.WaitForCalls(1);
  auto flag = std::make_shared<CancelFlag>();
  UploadLog leader;
  StartUpload(NewSession(), FakeImageBytes(80, 64, "shared"), leader, {.cancel = flag});
  UploadLog follower;
  StartUpload(NewSession(), FakeImageBytes(80, 64, "shared"), follower);
  flag->Cancel();
  encodes_.Open();
  EXPECT_TRUE(follower.Wait().ok());
}

TEST_F(EngineLoadTest, AFailedEncodeIsToldToAllWhoWait) {
  ModelGate gate;
  gate.Shut();
  fake_options_.on_encode = [hook = gate.Hook()] {
    (void)hook();
    return absl::InternalError("device fault");
  };
  Start();
  UploadLog logs[4];
  std::vector<std::thread> readers;
  for (UploadLog& log : logs) {
    StartUpload(NewSession(), FakeImageBytes(80, 64), log);
    readers.emplace_back(
        [log]() mutable { EXPECT_EQ(log.Wait().status().code(), absl::StatusCode::kInternal); });
  }
  gate.Open();
  for (std::thread& reader : readers) reader.join();
}

TEST_F(EngineLoadTest, CancellationIsSeenBetweenMasks) {
  auto flag = std::make_shared<CancelFlag>();
  on_threshold_ = [flag] { flag->Cancel(); };
  Start();
  SegmentLog log;
  engine_->Segment(ClickOn(NewImage()), {.cancel = flag}, log.Sink());
  EXPECT_EQ(log.Wait().status().code(), absl::StatusCode::kCancelled);
  EXPECT_EQ(stages_->thresholded_masks(), 1);
  EXPECT_TRUE(log.masks().empty());
}

TEST_F(EngineLoadTest, DeadlinesAreSetAndCapped) {
  Start();
  EXPECT_EQ(engine_->EffectiveDeadline(absl::InfiniteFuture()), clock_.Now() + absl::Seconds(30));
  EXPECT_EQ(engine_->EffectiveDeadline(absl::InfiniteFuture(), /*background=*/true),
            clock_.Now() + absl::Minutes(5));
  const absl::Time soon = clock_.Now() + absl::Seconds(1);
  EXPECT_EQ(engine_->EffectiveDeadline(soon), soon);
  EXPECT_EQ(engine_->EffectiveDeadline(clock_.Now() + absl::Hours(5)),
            clock_.Now() + absl::Minutes(5));
}

TEST_F(EngineLoadTest, DrainingRefusesNewWorkAndFinishesWhatRuns) {
  Start();
  const ImageReference image = NewImage();
  auto begun = engine_->BeginUpload({}, {.session_id = image.session_id});
  ASSERT_TRUE(begun.ok());
  decodes_.Shut();
  SegmentLog running;
  engine_->Segment(ClickOn(image), {}, running.Sink());
  engine_->StartDrain();
  SegmentLog refused;
  EXPECT_EQ(ErrorReason(Segment(ClickOn(image), refused).status()), reason::kDraining);
  EXPECT_EQ(engine_->CreateSession({}, absl::ZeroDuration()).status().code(),
            absl::StatusCode::kUnavailable);
  EXPECT_EQ(ErrorReason(engine_->BeginUpload({}, {.session_id = image.session_id}).status()),
            reason::kDraining);
  decodes_.Open();
  EXPECT_TRUE(running.Wait().ok());
  EXPECT_EQ(running.masks().size(), 6);
  ASSERT_TRUE(begun->Append(FakeImageBytes(80, 64, "begun")).ok());
  UploadLog log;
  engine_->FinishUpload(*std::move(begun), {}, log.Done());
  EXPECT_TRUE(log.Wait().ok());
}

TEST_F(EngineLoadTest, RefusingSessionsServesThoseThatLive) {
  Start();
  const ImageReference image = NewImage();
  engine_->RefuseSessions();
  EXPECT_EQ(ErrorReason(engine_->CreateSession({}, absl::ZeroDuration()).status()),
            reason::kDraining);
  SegmentLog log;
  EXPECT_TRUE(Segment(ClickOn(image), log).ok());
  EXPECT_TRUE(engine_->BeginUpload({}, {.session_id = image.session_id}).ok());
  engine_->StartDrain();
  engine_->RefuseSessions();
  SegmentLog refused;
  EXPECT_EQ(ErrorReason(Segment(ClickOn(image), refused).status()), reason::kDraining)
      << "there is no way back";
}

TEST_F(EngineLoadTest, ShutdownAnswersEverybodyExactlyOnce) {
  mask_bytes_ = 100;
  Start();
  const ImageReference image = NewImage();
  SegmentLog paused;
  auto handle = engine_->Segment(ClickOn(image), {}, paused.Sink(/*window_bytes=*/100));
  paused.WaitForMasks(1);
  decodes_.Shut();
  SegmentLog running;
  engine_->Segment(ClickOn(image), {}, running.Sink());
  decodes_.WaitForCalls(2);
  SegmentLog queued;
  engine_->Segment(ClickOn(image), {}, queued.Sink());
  UploadLog upload;
  StartUpload(image.session_id, FakeImageBytes(80, 64, "upload"), upload);
  std::thread opener([this] { decodes_.Open(); });
  engine_->Shutdown();
  opener.join();
  EXPECT_EQ(paused.done_calls(), 1);
  EXPECT_EQ(running.done_calls(), 1);
  EXPECT_EQ(queued.done_calls(), 1);
  EXPECT_EQ(upload.calls(), 1);
  EXPECT_EQ(paused.Wait().status().code(), absl::StatusCode::kUnavailable);
  // A handle outlives its engine.
  engine_.reset();
  handle->Consumed(100);
  handle->Wake();
}

TEST_F(EngineLoadTest, ExpiredSessionsAreSweptByTheTick) {
  Start();
  NewSession();
  EXPECT_EQ(MetricValue(metrics_, "semsam_sessions_active"), "1");
  clock_.Advance(absl::Minutes(11));
  engine_->Tick();
  EXPECT_EQ(MetricValue(metrics_, "semsam_sessions_active"), "0");
  EXPECT_EQ(MetricValue(metrics_, "semsam_sessions_closed_total{cause=\"idle\"}"), "1");
}

// Everything at once, under a cache a fraction of what is asked for: every call is
// answered exactly once, and nothing is left behind.
TEST_F(EngineLoadTest, ManyCallersUnderASmallCache) {
  constexpr int kThreads = 4;
  constexpr int kRounds = 40;
  options_.cache_bytes = 3000;
  options_.max_queued_images = 1000;
  Start();
  std::vector<ImageReference> images;
  for (int t = 0; t < kThreads; ++t) images.push_back(NewImage(80, 64, std::to_string(t)));
  std::atomic<int> unexpected{0};
  std::vector<std::thread> threads;
  for (const ImageReference& image : images) {
    threads.emplace_back([&, image] {
      for (int i = 0; i < kRounds; ++i) {
        SegmentLog log;
        auto flag = std::make_shared<CancelFlag>();
        auto handle = engine_->Segment(ClickOn(image), {.cancel = flag}, log.Sink());
        if (i % 5 == 0) {
          flag->Cancel();
          if (handle != nullptr) handle->Wake();
          engine_->Tick();
        }
        const absl::StatusOr<SegmentSummary> summary = log.Wait();
        const bool fine = summary.ok() || absl::IsCancelled(summary.status()) ||
                          ErrorReason(summary.status()) == reason::kMemoryFull;
        if (!fine || log.done_calls() != 1) ++unexpected;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(unexpected, 0);
  engine_->Tick();
  EXPECT_EQ(MetricValue(metrics_, "semsam_segment_calls_active"), "0");
  EXPECT_EQ(MetricValue(metrics_, "semsam_segment_queries_active"), "0");
  EXPECT_EQ(MetricValue(metrics_, "semsam_cache_bytes"), "3000");
}

}  // namespace
}  // namespace semsam
