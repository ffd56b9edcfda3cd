// Masks on their way to who reads them: those that come at once, and readers that stop.
#include <gtest/gtest.h>

#include <vector>

#include "tests/fakes/metric_value.h"
#include "tests/server/pipeline/engine_fixture.h"

namespace semsam {
namespace {

class EngineReaderTest : public EngineFixture {};

std::vector<bool> Followed(const std::vector<SegmentMask>& masks) {
  std::vector<bool> followed;
  for (const SegmentMask& mask : masks) followed.push_back(mask.followed);
  return followed;
}

TEST_F(EngineReaderTest, ASlowReaderPausesItsCallAndHoldsNoThread) {
  mask_bytes_ = 100;
  options_.cpu_threads = 1;
  Start();
  const ImageReference image = NewImage();
  SegmentLog slow;
  auto handle = engine_->Segment(ClickOn(image), {}, slow.Sink(/*window_bytes=*/150));
  slow.WaitForMasks(2);
  // The only CPU thread is free for others.
  SegmentLog other;
  ASSERT_TRUE(Segment(ClickOn(image), other).ok());
  EXPECT_EQ(slow.masks().size(), 2);
  EXPECT_EQ(slow.done_calls(), 0);
  handle->Consumed(100);
  slow.WaitForMasks(3);
  for (int i = 0; i < 5; ++i) handle->Consumed(100);
  EXPECT_TRUE(slow.Wait().ok());
  EXPECT_EQ(slow.masks().size(), 6);
}

TEST_F(EngineReaderTest, APausedCallHoldsRunLengthsAndNoLogits) {
  mask_bytes_ = 100;
  options_.cpu_threads = 1;
  Start();
  const ImageReference image = NewImage();
  SegmentLog slow;
  auto handle = engine_->Segment(ClickOn(image), {}, slow.Sink(/*window_bytes=*/150));
  slow.WaitForMasks(2);
  // Its turns come between those of others, until all of its masks are run lengths.
  int others = 0;
  do {
    SegmentLog other;
    ASSERT_TRUE(Segment(ClickOn(image), other).ok());
    ++others;
  } while (stages_->thresholded_masks() < 6 * (others + 1));
  EXPECT_EQ(stages_->encoded_masks(), 6 * others + 2);
  EXPECT_EQ(slow.masks().size(), 2);
  for (int i = 0; i < 6; ++i) handle->Consumed(100);
  EXPECT_TRUE(slow.Wait().ok());
  EXPECT_EQ(slow.masks().size(), 6);
  EXPECT_FALSE(slow.masks()[1].followed) << "the window was full";
  EXPECT_TRUE(slow.masks().back().followed) << "by the end";
}

TEST_F(EngineReaderTest, MasksThatComeAtOnceSayThatMoreFollow) {
  Start();  // the clock stands still
  SegmentLog log;
  ASSERT_TRUE(Segment(ClickOn(NewImage()), log).ok());
  EXPECT_EQ(Followed(log.masks()), std::vector<bool>(6, true));
}

TEST_F(EngineReaderTest, AMaskThatTakesItsTimeKeepsNoOtherWaiting) {
  on_threshold_ = [this] { clock_.Advance(absl::Microseconds(150)); };
  Start();
  SegmentLog log;
  ASSERT_TRUE(Segment(ClickOn(NewImage()), log).ok());
  // Every other one, for two take longer than a message is worth; and the last.
  EXPECT_EQ(Followed(log.masks()), (std::vector<bool>{true, false, true, false, true, true}));
}

TEST_F(EngineReaderTest, NoMaskWaitsForAnotherTurn) {
  options_.cpu_threads = 1;
  Start();
  SegmentRequest request = ClickOn(NewImage());
  request.prompts.resize(6, request.prompts[0]);
  SegmentLog log;
  ASSERT_TRUE(Segment(request, log).ok());
  // A turn ends after 16 masks.
  std::vector<bool> expected(36, true);
  expected[15] = expected[31] = false;
  EXPECT_EQ(Followed(log.masks()), expected);
}

TEST_F(EngineReaderTest, APausedCallForLogitsHoldsThemInHalfPrecision) {
  options_.cpu_threads = 1;
  Start();
  const ImageReference image = NewImage();
  const SegmentRequest request = ClickOn(image, {.encoding = MaskEncoding::kLogits});
  SegmentLog fast;
  ASSERT_TRUE(Segment(request, fast).ok());
  SegmentLog slow;
  auto handle = engine_->Segment(request, {}, slow.Sink(/*window_bytes=*/1));
  slow.WaitForMasks(1);
  int others = 1;
  do {
    SegmentLog other;
    ASSERT_TRUE(Segment(ClickOn(image), other).ok());
    ++others;
  } while (stages_->thresholded_masks() < 6 * (others + 1));
  handle->Consumed(int64_t{1} << 30);
  EXPECT_TRUE(slow.Wait().ok());
  ASSERT_EQ(slow.masks().size(), 6);
  for (size_t i = 0; i < 6; ++i) {
    EXPECT_EQ(slow.masks()[i].data.logits, fast.masks()[i].data.logits);
  }
}

TEST_F(EngineReaderTest, WhereRunLengthsAreLongerTheLogitsStay) {
  mask_bytes_ = 100;
  options_.cpu_threads = 1;
  Start();
  const ImageReference image = NewImage();
  stages_->PadRunLengths(1 << 20);
  SegmentLog slow;
  auto handle = engine_->Segment(ClickOn(image), {}, slow.Sink(/*window_bytes=*/150));
  slow.WaitForMasks(2);
  SegmentLog other;
  ASSERT_TRUE(Segment(ClickOn(image), other).ok());
  EXPECT_LT(stages_->thresholded_masks(), 6 + 6);
  for (int i = 0; i < 6; ++i) handle->Consumed(100);
  EXPECT_TRUE(slow.Wait().ok());
  EXPECT_EQ(slow.masks().size(), 6);
}

TEST_F(EngineReaderTest, ACancelledSlowReaderLetsGo) {
  mask_bytes_ = 100;
  Start();
  auto flag = std::make_shared<CancelFlag>();
  SegmentLog slow;
  auto handle =
      engine_->Segment(ClickOn(NewImage()), {.cancel = flag}, slow.Sink(/*window_bytes=*/100));
  slow.WaitForMasks(1);
  flag->Cancel();
  handle->Wake();
  // Whether the call had paused already or not, somebody notices.
  engine_->Tick();
  EXPECT_EQ(slow.Wait().status().code(), absl::StatusCode::kCancelled);
  EXPECT_EQ(MetricValue(metrics_, "semsam_segment_calls_active"), "0");
}

TEST_F(EngineReaderTest, ASlowReaderEndsAtItsDeadline) {
  mask_bytes_ = 100;
  Start();
  const ImageReference image = NewImage();
  SegmentLog slow;
  engine_->Segment(ClickOn(image), {.deadline = clock_.Now() + absl::Seconds(30)},
                   slow.Sink(/*window_bytes=*/100));
  slow.WaitForMasks(1);
  // A second call runs through the same threads: the first has paused by then, or
  // sees its deadline itself.
  clock_.Advance(absl::Seconds(31));
  SegmentLog other;
  ASSERT_TRUE(Segment(ClickOn(image), other).ok());
  engine_->Tick();
  EXPECT_EQ(slow.Wait().status().code(), absl::StatusCode::kDeadlineExceeded);
}

}  // namespace
}  // namespace semsam
