#include "server/pipeline/interact_calls.h"

#include <gmock/gmock.h>

#include "model/base/errors.h"
#include "tests/server/pipeline/interact_fixture.h"

namespace semsam {
namespace {

using ::testing::ElementsAre;
using ::testing::SizeIs;

class InteractCallsTest : public InteractFixture {};

TEST_F(InteractCallsTest, EveryClickIsAnsweredUnderItsId) {
  Start();
  StreamLog log;
  const auto stream = OpenOnNewImage(log);
  for (const uint64_t id : {7, 1, 900}) ASSERT_TRUE(stream->Click(At(id)).ok());
  for (const uint64_t id : {7, 1, 900}) {
    const auto summary = log.Wait(id);
    ASSERT_TRUE(summary.ok()) << summary.status();
    EXPECT_EQ(summary->masks_sent, 6);
  }
  EXPECT_EQ(log.all_masks(), 18);
  EXPECT_EQ(Metric("semsam_interact_clicks_total{outcome=\"answered\"}"), "3");
  EXPECT_EQ(Metric("semsam_interact_streams_active"), "1");
  Finish(*stream, log);
  EXPECT_EQ(Metric("semsam_interact_streams_active"), "0");
  EXPECT_EQ(Metric("semsam_interact_clicks_open"), "0");
}

TEST_F(InteractCallsTest, OfAMovingHandTheNewestClickIsDecodedAndThoseOvertakenAreNot) {
  Start();
  StreamLog log;
  const auto stream = OpenOnNewImage(log);
  decodes_.Shut();
  ASSERT_TRUE(stream->Click(At(1, /*latest_wins=*/true)).ok());
  decodes_.WaitForCalls(1);
  for (const uint64_t id : {2, 3, 4, 5}) ASSERT_TRUE(stream->Click(At(id, true)).ok());
  for (const uint64_t id : {2, 3, 4}) {
    const absl::Status status = log.Wait(id).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kAborted);
    EXPECT_EQ(ErrorReason(status), reason::kSuperseded);
  }
  EXPECT_EQ(Metric("semsam_interact_clicks_open"), "2");
  decodes_.Open();
  EXPECT_TRUE(log.Wait(1).ok()) << "what is worked on is answered, or a fast hand sees nothing";
  EXPECT_TRUE(log.Wait(5).ok());
  EXPECT_THAT(log.answered(), ElementsAre(2, 3, 4, 1, 5));
  EXPECT_EQ(segmenter_->decoded_requests(), 2);
  EXPECT_EQ(Metric("semsam_interact_clicks_total{outcome=\"superseded\"}"), "3");
  EXPECT_EQ(Metric("semsam_rejections_total{reason=\"SUPERSEDED\"}"), "3");
  Finish(*stream, log);
}

TEST_F(InteractCallsTest, OtherClicksAreNeitherOvertakenNorHeldBack) {
  Start();
  StreamLog log;
  const auto stream = OpenOnNewImage(log);
  decodes_.Shut();
  ASSERT_TRUE(stream->Click(At(1, /*latest_wins=*/true)).ok());
  decodes_.WaitForCalls(1);
  ASSERT_TRUE(stream->Click(At(2)).ok());
  ASSERT_TRUE(stream->Click(At(3, true)).ok());
  ASSERT_TRUE(stream->Click(At(4)).ok());
  ASSERT_TRUE(stream->Click(At(5, true)).ok());
  EXPECT_EQ(ErrorReason(log.Wait(3).status()), reason::kSuperseded);
  EXPECT_EQ(Metric("semsam_queue_depth{queue=\"decode\"}"), "2") << "2 and 4, but not yet 5";
  decodes_.Open();
  for (const uint64_t id : {1, 2, 4, 5}) EXPECT_TRUE(log.Wait(id).ok()) << id;
  EXPECT_EQ(segmenter_->decoded_requests(), 4);
  Finish(*stream, log);
}

TEST_F(InteractCallsTest, AClickThatIsCancelledInTheQueueNeverReachesTheModel) {
  Start();
  StreamLog log;
  const auto stream = OpenOnNewImage(log);
  decodes_.Shut();
  ASSERT_TRUE(stream->Click(At(1)).ok());
  decodes_.WaitForCalls(1);
  ASSERT_TRUE(stream->Click(At(2)).ok());
  ASSERT_TRUE(stream->Click(At(3)).ok());
  stream->Cancel(2);
  stream->Cancel(99);  // of nobody
  engine_->Tick();
  EXPECT_EQ(log.Wait(2).status().code(), absl::StatusCode::kCancelled);
  decodes_.Open();
  EXPECT_TRUE(log.Wait(1).ok());
  EXPECT_TRUE(log.Wait(3).ok());
  EXPECT_EQ(segmenter_->decoded_requests(), 2);
  EXPECT_EQ(Metric("semsam_interact_clicks_total{outcome=\"cancelled\"}"), "1");
  Finish(*stream, log);
}

TEST_F(InteractCallsTest, AClickThatWaitsForAnotherIsCancelledAtOnce) {
  Start();
  StreamLog log;
  const auto stream = OpenOnNewImage(log);
  decodes_.Shut();
  ASSERT_TRUE(stream->Click(At(1, /*latest_wins=*/true)).ok());
  decodes_.WaitForCalls(1);
  ASSERT_TRUE(stream->Click(At(2, true)).ok());
  stream->Cancel(2);
  EXPECT_THAT(log.answered(), ElementsAre(2));
  EXPECT_EQ(log.Wait(2).status().code(), absl::StatusCode::kCancelled);
  decodes_.Open();
  EXPECT_TRUE(log.Wait(1).ok());
  // The way is free again.
  ASSERT_TRUE(stream->Click(At(3, true)).ok());
  EXPECT_TRUE(log.Wait(3).ok());
  Finish(*stream, log);
}

TEST_F(InteractCallsTest, AClickThatIsCancelledOnTheModelHasNoMasks) {
  Start();
  StreamLog log;
  const auto stream = OpenOnNewImage(log);
  decodes_.Shut();
  ASSERT_TRUE(stream->Click(At(1, /*latest_wins=*/true)).ok());
  decodes_.WaitForCalls(1);
  ASSERT_TRUE(stream->Click(At(2, true)).ok());
  stream->Cancel(1);
  decodes_.Open();
  EXPECT_EQ(log.Wait(1).status().code(), absl::StatusCode::kCancelled);
  EXPECT_TRUE(log.Wait(2).ok()) << "the one that waited goes on";
  EXPECT_EQ(log.all_masks(), 6);
  Finish(*stream, log);
}

TEST_F(InteractCallsTest, AReaderThatStopsPausesEveryClickAndMayStillCancel) {
  options_.interact.window_bytes = 32;
  options_.interact.max_open_clicks = 16;
  mask_bytes_ = 100;  // one mask fills the share of a click
  Start();
  StreamLog log;
  const auto stream = OpenOnNewImage(log);
  ASSERT_TRUE(stream->Click(At(1)).ok());
  ASSERT_TRUE(stream->Click(At(2)).ok());
  log.WaitForMasks(1, 1);
  log.WaitForMasks(2, 1);
  // Others have the threads meanwhile.
  SegmentLog other;
  EXPECT_TRUE(Segment(ClickOn(NewImage()), other).ok());
  EXPECT_EQ(log.masks(1), 1);
  EXPECT_EQ(log.masks(2), 1);
  stream->Cancel(1);
  EXPECT_EQ(log.Wait(1).status().code(), absl::StatusCode::kCancelled);
  // What is read of a click that is over helps no other.
  stream->Consumed(1, 1000);
  for (size_t mask = 1; mask < 6; ++mask) {
    log.WaitForMasks(2, mask);
    EXPECT_EQ(log.masks(2), mask);
    stream->Consumed(2, 100);
  }
  EXPECT_TRUE(log.Wait(2).ok());
  Finish(*stream, log);
}

TEST_F(InteractCallsTest, AFailureIsTheAnswerOfItsClickAlone) {
  Start();
  StreamLog log;
  const auto stream = OpenOnNewImage(log);
  InteractClick outside = At(1);
  outside.prompts = std::vector<UserPrompt>{Click(4000, 32)};
  ASSERT_TRUE(stream->Click(std::move(outside)).ok());
  const absl::Status bad_point = log.Wait(1).status();
  EXPECT_EQ(ErrorReason(bad_point), reason::kPointOutsideImage);
  EXPECT_EQ(ErrorField(bad_point), "click.prompts[0].click.x");
  InteractClick unreadable = At(2);
  unreadable.prompts = InvalidField("click.prompts[0].frame", "is unknown");
  ASSERT_TRUE(stream->Click(std::move(unreadable)).ok());
  EXPECT_EQ(ErrorField(log.Wait(2).status()), "click.prompts[0].frame");
  stream->Start({.image = NewImage(), .options = {.levels = {1, 99}}});
  ASSERT_TRUE(stream->Click(At(3)).ok());
  EXPECT_EQ(ErrorField(log.Wait(3).status()), "start.options.levels[1]");
  stream->Start({.image = {"nobody", "nothing"}});
  ASSERT_TRUE(stream->Click(At(4)).ok());
  EXPECT_EQ(ErrorReason(log.Wait(4).status()), reason::kSessionNotFound);
  stream->Start({.image = NewImage()});
  ASSERT_TRUE(stream->Click(At(5)).ok());
  EXPECT_TRUE(log.Wait(5).ok());
  EXPECT_EQ(Metric("semsam_interact_clicks_total{outcome=\"failed\"}"), "4");
  EXPECT_EQ(Metric("semsam_rejections_total{reason=\"POINT_OUTSIDE_IMAGE\"}"), "1");
  Finish(*stream, log);
}

TEST_F(InteractCallsTest, AClickKeepsTheImageAndTheOptionsOfItsTime) {
  Start();
  StreamLog log;
  const auto stream = OpenOnNewImage(log, {.levels = {2}});
  const ImageReference smaller = NewImage(30, 20);
  decodes_.Shut();
  ASSERT_TRUE(stream->Click(At(1, /*latest_wins=*/true)).ok());
  decodes_.WaitForCalls(1);
  ASSERT_TRUE(stream->Click(At(2, true)).ok());
  stream->Start({.image = smaller, .options = {.levels = {1, 3, 5}}});
  decodes_.Open();
  const auto summary = log.Wait(2);
  ASSERT_TRUE(summary.ok()) << summary.status();
  EXPECT_EQ(summary->masks_sent, 1);
  EXPECT_EQ(summary->image_size.width, 80);
  ASSERT_TRUE(stream->Click(At(3)).ok());
  EXPECT_FALSE(log.Wait(3).ok()) << "outside the smaller image";
  Finish(*stream, log);
}

TEST_F(InteractCallsTest, AClickBeforeTheStartIsRefused) {
  Start();
  StreamLog log;
  const auto stream = Open(log);
  ASSERT_TRUE(stream->Click(At(1)).ok());
  EXPECT_EQ(ErrorField(log.Wait(1).status()), "start");
  Finish(*stream, log);
}

TEST_F(InteractCallsTest, TheIdOfAnOpenClickIsNoOthers) {
  Start();
  StreamLog log;
  const auto stream = OpenOnNewImage(log);
  decodes_.Shut();
  ASSERT_TRUE(stream->Click(At(1)).ok());
  const absl::Status refused = stream->Click(At(1));
  EXPECT_EQ(ErrorField(refused), "click.correlation_id");
  decodes_.Open();
  EXPECT_TRUE(log.Wait(1).ok());
  EXPECT_THAT(log.answered(), SizeIs(1));
  // Free once it is answered.
  EXPECT_TRUE(stream->Click(At(1)).ok());
  Finish(*stream, log);
  EXPECT_THAT(log.answered(), ElementsAre(1, 1));
}

TEST_F(InteractCallsTest, OpenClicksAreBounded) {
  options_.interact.max_open_clicks = 2;
  Start();
  StreamLog log;
  const auto stream = OpenOnNewImage(log);
  decodes_.Shut();
  ASSERT_TRUE(stream->Click(At(1, /*latest_wins=*/true)).ok());
  decodes_.WaitForCalls(1);
  ASSERT_TRUE(stream->Click(At(2, true)).ok());
  ASSERT_TRUE(stream->Click(At(3)).ok());
  const absl::Status refused = log.Wait(3).status();
  EXPECT_EQ(refused.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(ErrorReason(refused), reason::kLimitExceeded);
  // One that overtakes takes the place of the other.
  ASSERT_TRUE(stream->Click(At(4, true)).ok());
  EXPECT_EQ(ErrorReason(log.Wait(2).status()), reason::kSuperseded);
  decodes_.Open();
  EXPECT_TRUE(log.Wait(4).ok());
  Finish(*stream, log);
}

TEST_F(InteractCallsTest, StreamsAreBounded) {
  options_.interact.max_streams = 1;
  Start();
  EXPECT_EQ(Metric("semsam_interact_streams_capacity"), "1");
  EXPECT_EQ(Metric("semsam_interact_clicks_capacity"), "16");
  StreamLog first;
  const auto stream = Open(first);
  StreamLog second;
  const absl::Status refused = engine_->Interact({}, second.Sink()).status();
  EXPECT_EQ(ErrorReason(refused), reason::kQueueFull);
  EXPECT_TRUE(ErrorRetryAfter(refused).has_value());
  Finish(*stream, first);
  const auto again = Open(second);
  Finish(*again, second);
}

TEST_F(InteractCallsTest, AClickHasTheDefaultDeadlineFromWhenItCame) {
  options_.default_deadline = absl::Seconds(10);
  Start();
  StreamLog log;
  const auto stream = OpenOnNewImage(log);
  decodes_.Shut();
  ASSERT_TRUE(stream->Click(At(1, /*latest_wins=*/true)).ok());
  decodes_.WaitForCalls(1);
  ASSERT_TRUE(stream->Click(At(2, true)).ok());
  clock_.Advance(absl::Seconds(11));
  decodes_.Open();
  EXPECT_EQ(log.Wait(1).status().code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_EQ(log.Wait(2).status().code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_EQ(segmenter_->decoded_requests(), 1);
  Finish(*stream, log);
}

}  // namespace
}  // namespace semsam
