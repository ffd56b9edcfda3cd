// How streams of clicks end, and what becomes of what is open.
#include <gmock/gmock.h>

#include <thread>

#include "model/base/errors.h"
#include "tests/server/pipeline/interact_fixture.h"

namespace semsam {
namespace {

using ::testing::ElementsAre;
using ::testing::SizeIs;

class InteractEndTest : public InteractFixture {};

TEST_F(InteractEndTest, ClosingAnswersWhatIsOpenAndTakesNoMore) {
  Start();
  StreamLog log;
  const auto stream = OpenOnNewImage(log);
  decodes_.Shut();
  ASSERT_TRUE(stream->Click(At(1, /*latest_wins=*/true)).ok());
  ASSERT_TRUE(stream->Click(At(2, true)).ok());
  stream->Close(absl::OkStatus());
  EXPECT_TRUE(stream->closed());
  ASSERT_TRUE(stream->Click(At(3)).ok());
  EXPECT_EQ(log.ends(), 0);
  decodes_.Open();
  Finish(*stream, log);
  EXPECT_THAT(log.answered(), ElementsAre(1, 2));
  EXPECT_TRUE(log.Wait(2).ok());
}

TEST_F(InteractEndTest, AbortingCancelsWhatIsOpen) {
  Start();
  StreamLog log;
  const auto stream = OpenOnNewImage(log);
  decodes_.Shut();
  ASSERT_TRUE(stream->Click(At(1, /*latest_wins=*/true)).ok());
  decodes_.WaitForCalls(1);
  ASSERT_TRUE(stream->Click(At(2, true)).ok());
  ASSERT_TRUE(stream->Click(At(3)).ok());
  stream->Close(absl::OkStatus());
  stream->Abort(absl::CancelledError("left"));
  EXPECT_EQ(log.ends(), 0) << "the model still has one of them";
  decodes_.Open();
  EXPECT_EQ(log.WaitForEnd().code(), absl::StatusCode::kCancelled);
  for (const uint64_t id : {1, 2, 3}) {
    EXPECT_EQ(log.Wait(id).status().code(), absl::StatusCode::kCancelled);
  }
  EXPECT_EQ(segmenter_->decoded_requests(), 1);
  stream->Abort(absl::InternalError("too late"));
  EXPECT_EQ(log.ends(), 1);
}

TEST_F(InteractEndTest, ADrainEndsIdleStreamsAtOnceAndOthersAfterTheirAnswers) {
  Start();
  StreamLog idle_log;
  const auto idle = Open(idle_log);
  StreamLog log;
  const auto stream = OpenOnNewImage(log);
  decodes_.Shut();
  ASSERT_TRUE(stream->Click(At(1)).ok());
  decodes_.WaitForCalls(1);
  engine_->StartDrain();
  EXPECT_EQ(ErrorReason(idle_log.WaitForEnd()), reason::kDraining);
  EXPECT_EQ(log.ends(), 0);
  StreamLog late;
  EXPECT_EQ(ErrorReason(engine_->Interact({}, late.Sink()).status()), reason::kDraining);
  decodes_.Open();
  EXPECT_EQ(ErrorReason(log.WaitForEnd()), reason::kDraining);
  EXPECT_TRUE(log.Wait(1).ok());
  EXPECT_EQ(log.masks(1), 6);
}

TEST_F(InteractEndTest, AShutdownAnswersEverythingAndEndsEveryStream) {
  Start();
  StreamLog log;
  const auto stream = OpenOnNewImage(log);
  decodes_.Shut();
  ASSERT_TRUE(stream->Click(At(1, /*latest_wins=*/true)).ok());
  decodes_.WaitForCalls(1);
  ASSERT_TRUE(stream->Click(At(2, true)).ok());
  ASSERT_TRUE(stream->Click(At(3)).ok());
  std::thread opener([this] { decodes_.Open(); });
  engine_->Shutdown();
  opener.join();
  EXPECT_EQ(log.ends(), 1) << "every callback has run";
  EXPECT_THAT(log.answered(), SizeIs(3));
}

TEST_F(InteractEndTest, ManyHandsMoveAtOnce) {
  constexpr int kHands = 4;
  constexpr uint64_t kClicks = 200;
  options_.interact.max_open_clicks = 64;
  Start();
  std::vector<StreamLog> logs(kHands);
  std::vector<std::thread> hands;
  for (int hand = 0; hand < kHands; ++hand) {
    hands.emplace_back([&, hand] {
      StreamLog& log = logs[hand];
      const auto stream = OpenOnNewImage(log, {.levels = {3}});
      for (uint64_t id = 1; id <= kClicks; ++id) {
        EXPECT_TRUE(stream->Click(At(id, /*latest_wins=*/id % 7 != 0)).ok());
        if (id % 5 == 0) stream->Cancel(id - 1);
        if (id % 7 == 0) {
          EXPECT_TRUE(log.Wait(id).ok());
        }
      }
      EXPECT_TRUE(log.Wait(kClicks).ok()) << "the last is nobody's to overtake";
      if (hand % 2 == 0) {
        Finish(*stream, log);
      } else {
        stream->Abort(absl::CancelledError("left"));
        EXPECT_TRUE(absl::IsCancelled(log.WaitForEnd()));
      }
    });
  }
  for (std::thread& hand : hands) hand.join();
  for (const StreamLog& log : logs) {
    EXPECT_THAT(log.answered(), SizeIs(kClicks));
    EXPECT_EQ(log.late_calls(), 0);
  }
  EXPECT_EQ(Metric("semsam_interact_clicks_open"), "0");
  EXPECT_EQ(Metric("semsam_interact_streams_active"), "0");
}

TEST(InteractOptions, BadLimitsAreNamed) {
  const std::pair<const char*, InteractLimits> cases[] = {
      {"interact.max_streams", {.max_streams = 0}},
      {"interact.max_open_clicks", {.max_open_clicks = -1}},
      {"interact.window_bytes", {.window_bytes = 0}},
      {"interact.max_age", {.max_age = absl::ZeroDuration()}}};
  for (const auto& [field, limits] : cases) {
    EXPECT_EQ(ErrorField(EngineOptions{.interact = limits}.Validate(SwinT())), field);
  }
}

}  // namespace
}  // namespace semsam
