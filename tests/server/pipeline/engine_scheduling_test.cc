// Who comes first at the model, in what batches, and whom it cannot serve in time.
#include <gmock/gmock.h>

#include <string>
#include <vector>

#include "tests/fakes/metric_value.h"
#include "tests/server/pipeline/call_log.h"
#include "tests/server/pipeline/engine_fixture.h"

namespace semsam {
namespace {

using ::testing::ElementsAre;

class EngineSchedulingTest : public EngineFixture {
 protected:
  // Comes when other threads got so far; ctest has a limit.
  void WaitForQueued(const std::string& queue, int entries) {
    const std::string series = "semsam_queue_depth{queue=\"" + queue + "\"}";
    while (MetricValue(metrics_, series) != std::to_string(entries)) {
    }
  }
};

TEST_F(EngineSchedulingTest, ABatchOfImagesIsOfOnePaddedShape) {
  options_.max_batch_images = 4;
  Start();
  encodes_.Shut();
  const std::string session = NewSession();
  std::vector<UploadLog> logs(7);
  StartUpload(session, FakeImageBytes(64, 64, "first"), logs[0]);
  encodes_.WaitForCalls(1);
  int queued = 0;
  // 80 x 64 and 79 x 64 differ, but not once padded.
  for (const int width : {64, 80, 64, 96, 79, 64}) {
    ++queued;
    StartUpload(session, FakeImageBytes(width, 64, std::to_string(queued)), logs[queued]);
    WaitForQueued("encode", queued);
  }
  encodes_.Open();
  for (UploadLog& log : logs) EXPECT_TRUE(log.Wait().ok());
  EXPECT_THAT(segmenter_->encode_batches(), ElementsAre(1, 3, 2, 1));
  std::vector<int> widths;
  for (const ImageSize& size : segmenter_->encoded_sizes()) widths.push_back(size.width);
  EXPECT_THAT(widths, ElementsAre(256, 256, 256, 256, 320, 316, 384));
}

class EngineTurnsTest : public EngineSchedulingTest {
 protected:
  // How many of its 72 masks a call has handed out when a call of one click that came
  // after it is done. One thread finishes the masks of both.
  size_t MasksBeforeTheSmallCall() {
    options_.cpu_threads = 1;
    thresholds_.Shut();
    on_threshold_ = [this, hook = thresholds_.Hook()] {
      clock_.Advance(mask_);
      (void)hook();
    };
    Start();
    const ImageReference image = NewImage();
    SegmentRequest request = ClickOn(image);
    request.prompts.resize(12, Click(40, 32));
    SegmentLog large;
    engine_->Segment(std::move(request), {}, large.Sink());
    thresholds_.WaitForCalls(1);
    SegmentLog small;
    size_t masks = 0;
    SegmentSink sink = small.Sink();
    sink.on_done = [&, done = std::move(sink.on_done)](auto summary) mutable {
      masks = large.masks().size();
      done(std::move(summary));
    };
    engine_->Segment(ClickOn(image), {}, std::move(sink));
    WaitForQueued("masks", 1);
    thresholds_.Open();
    EXPECT_TRUE(small.Wait().ok());
    EXPECT_TRUE(large.Wait().ok());
    EXPECT_EQ(large.masks().size(), 72);
    return masks;
  }

  absl::Duration mask_ = absl::ZeroDuration();
  ModelGate thresholds_;
};

TEST_F(EngineTurnsTest, ACallOfManyMasksLetsOthersAtItsThread) {
  EXPECT_EQ(MasksBeforeTheSmallCall(), 16);
}

TEST_F(EngineTurnsTest, ACallOfSlowMasksDoesSoEarlier) {
  mask_ = absl::Milliseconds(3);
  // A turn is two masks of 3 ms; the other call has six.
  EXPECT_LE(MasksBeforeTheSmallCall(), 8);
}

// A model of which the fake's hooks say how long it takes.
class EngineDeadlineTest : public EngineSchedulingTest {
 protected:
  // Each encode takes `encode_`, each decode `decode_`; one of each kind ran often enough
  // to be known.
  void StartTimed() {
    fake_options_.on_encode = [this, hook = encodes_.Hook()] {
      clock_.Advance(encode_);
      return hook();
    };
    fake_options_.on_decode = [this, hook = decodes_.Hook()] {
      clock_.Advance(decode_);
      return hook();
    };
    Start();
    session_ = NewSession();
    for (int i = 0; i < ServiceEstimate::kMinRuns; ++i) {
      auto image = Upload(session_, FakeImageBytes(80, 64, "known" + std::to_string(i)));
      ASSERT_TRUE(image.ok()) << image.status();
      image_ = {session_, image->image.image_id};
      SegmentLog log;
      ASSERT_TRUE(Segment(ClickOn(image_), log).ok());
    }
    runs_ = ServiceEstimate::kMinRuns;
  }

  CallLimits Within(absl::Duration time) const { return {.deadline = clock_.Now() + time}; }

  absl::Status UploadWithin(absl::Duration time, const std::string& seed) {
    UploadLog log;
    StartUpload(session_, FakeImageBytes(80, 64, seed), log, Within(time));
    return log.Wait().status();
  }

  absl::Duration encode_ = absl::Seconds(2);
  absl::Duration decode_ = absl::Milliseconds(120);
  std::string session_;
  ImageReference image_;
  int runs_ = 0;  // of each kind, so far
};

TEST_F(EngineDeadlineTest, AnImageThatCannotBeInTimeIsNotEvenRead) {
  StartTimed();
  const int read = stages_->decoded_images();
  const absl::Status late = UploadWithin(absl::Seconds(1.9), "late");
  EXPECT_EQ(late.code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_EQ(ErrorReason(late), reason::kDeadlineUnmeetable);
  EXPECT_FALSE(ErrorRetryAfter(late).has_value()) << "it would not help";
  EXPECT_EQ(stages_->decoded_images(), read);
  EXPECT_EQ(segmenter_->encoded_images(), runs_);
  EXPECT_TRUE(UploadWithin(absl::Seconds(2.1), "in time").ok());
  SegmentLog sent_along;
  const auto summary =
      Segment({.image = FakeImageBytes(80, 64, "sent"), .prompts = {Click(40, 32)}}, sent_along,
              Within(absl::Seconds(1)));
  EXPECT_EQ(ErrorReason(summary.status()), reason::kDeadlineUnmeetable);
}

TEST_F(EngineDeadlineTest, WhoWouldBeLateBehindOthersIsToldByHowMuch) {
  StartTimed();
  encodes_.Shut();
  encode_ = absl::ZeroDuration();
  UploadLog running;
  StartUpload(session_, FakeImageBytes(80, 64, "running"), running);
  encodes_.WaitForCalls(runs_ + 1);
  UploadLog waits;
  StartUpload(session_, FakeImageBytes(80, 64, "waits"), waits);
  WaitForQueued("encode", 1);
  clock_.Advance(absl::Seconds(0.5));
  // What runs takes 1.5 s more, what waits 2 s, and it as long.
  const absl::Status late = UploadWithin(absl::Seconds(5), "late");
  EXPECT_EQ(late.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(ErrorReason(late), reason::kDeadlineUnmeetable);
  EXPECT_EQ(ErrorRetryAfter(late), absl::Seconds(0.5));
  UploadLog in_time;
  StartUpload(session_, FakeImageBytes(80, 64, "in time"), in_time, Within(absl::Seconds(5.5)));
  WaitForQueued("encode", 2);
  encodes_.Open();
  for (UploadLog* log : {&running, &waits, &in_time}) EXPECT_TRUE(log->Wait().ok());
}

TEST_F(EngineDeadlineTest, AClickWaitsForClicksAndForWhatRunsButNotForImages) {
  StartTimed();
  encodes_.Shut();
  encode_ = absl::ZeroDuration();
  std::vector<UploadLog> uploads(3);
  for (size_t i = 0; i < uploads.size(); ++i) {
    StartUpload(session_, FakeImageBytes(80, 64, std::to_string(i)), uploads[i]);
  }
  encodes_.WaitForCalls(runs_ + 1);
  WaitForQueued("encode", 2);
  SegmentLog first;
  engine_->Segment(ClickOn(image_), Within(absl::Seconds(2.2)), first.Sink());
  WaitForQueued("decode", 1);
  SegmentLog late;
  const auto refused = Segment(ClickOn(image_), late, Within(absl::Seconds(2.2)));
  EXPECT_EQ(ErrorReason(refused.status()), reason::kDeadlineUnmeetable);
  EXPECT_EQ(ErrorRetryAfter(refused.status()), absl::Milliseconds(40));
  SegmentLog second;
  engine_->Segment(ClickOn(image_), Within(absl::Milliseconds(2240)), second.Sink());
  WaitForQueued("decode", 2);
  encodes_.Open();
  EXPECT_TRUE(first.Wait().ok());
  EXPECT_TRUE(second.Wait().ok());
  for (UploadLog& log : uploads) EXPECT_TRUE(log.Wait().ok());
}

TEST_F(EngineDeadlineTest, AModelThatBecameFasterIsNoticed) {
  StartTimed();
  encode_ = absl::Milliseconds(100);
  EXPECT_FALSE(UploadWithin(absl::Seconds(1), "still known as slow").ok());
  clock_.Advance(ServiceEstimate::kMaxAge + absl::Seconds(1));
  EXPECT_TRUE(UploadWithin(absl::Seconds(1), "let in to see").ok());
  EXPECT_TRUE(UploadWithin(absl::Seconds(1), "known as fast").ok());
}

TEST_F(EngineDeadlineTest, NothingIsRefusedWhereThatIsTurnedOff) {
  options_.deadline_admission = false;
  StartTimed();
  UploadWithin(absl::Seconds(1), "late").IgnoreError();
  EXPECT_EQ(segmenter_->encoded_images(), runs_ + 1);
}

TEST_F(EngineDeadlineTest, WhoFindsItFullIsToldWhenItIsNot) {
  options_.max_segment_calls = 3;
  StartTimed();
  decodes_.Shut();
  decode_ = absl::ZeroDuration();
  std::vector<SegmentLog> logs(3);
  engine_->Segment(ClickOn(image_), {}, logs[0].Sink());
  decodes_.WaitForCalls(runs_ + 1);
  engine_->Segment(ClickOn(image_), {}, logs[1].Sink());
  engine_->Segment(ClickOn(image_), {}, logs[2].Sink());
  SegmentLog refused;
  const absl::Status full = Segment(ClickOn(image_), refused).status();
  EXPECT_EQ(ErrorReason(full), reason::kQueueFull);
  EXPECT_EQ(ErrorRetryAfter(full), absl::Milliseconds(360));
  decodes_.Open();
  for (SegmentLog& log : logs) EXPECT_TRUE(log.Wait().ok());
}

// Fills the queue of images with those of two tenants, told apart by their width, behind
// one that is being encoded; in which order they came to the model.
class EngineFairnessTest : public EngineSchedulingTest {
 protected:
  void StartWith(const std::string& tenants) {
    auto table = TenantTable::Parse(tenants);
    ASSERT_TRUE(table.ok()) << table.status();
    options_.tenants = *std::move(table);
    Start();
  }

  std::string NewSessionOf(const TenantId& tenant) {
    auto session = engine_->CreateSession(tenant, absl::ZeroDuration());
    EXPECT_TRUE(session.ok()) << session.status();
    return session.ok() ? session->session_id : "";
  }

  // Images of `ours_`, that is 'o', and then as many of `theirs_`: 't'.
  std::string OrderOf(int each) {
    encodes_.Shut();
    const std::string our_session = NewSessionOf(ours_);
    const std::string their_session = NewSessionOf(theirs_);
    std::vector<UploadLog> logs(2 * each + 1);
    StartUpload(NewSession(), FakeImageBytes(64, 64), logs[0]);
    encodes_.WaitForCalls(1);
    for (int i = 1; i <= 2 * each; ++i) {
      const bool ours = i <= each;
      StartUpload(ours ? our_session : their_session,
                  FakeImageBytes(ours ? 80 : 96, 64, std::to_string(i)), logs[i],
                  {.tenant = ours ? ours_ : theirs_});
      WaitForQueued("encode", i);
    }
    encodes_.Open();
    for (UploadLog& log : logs) EXPECT_TRUE(log.Wait().ok());
    std::string order;
    for (const ImageSize& size : segmenter_->encoded_sizes()) {
      if (size.width != 256) order += size.width == 320 ? 'o' : 't';
    }
    return order;
  }

  const TenantId ours_{"ours"};
  const TenantId theirs_{"theirs"};
};

TEST_F(EngineFairnessTest, TenantsTakeTurnsHoweverMuchOneAsksFor) {
  StartWith("");
  EXPECT_EQ(OrderOf(6), "otototototot");
}

TEST_F(EngineFairnessTest, ATenantOfMoreWeightIsServedMore) {
  StartWith("theirs weight=3\n");
  EXPECT_EQ(OrderOf(8), "otttotttottooooo");
}

TEST_F(EngineFairnessTest, ClicksAreSharedByTheirQueries) {
  options_.max_batch_queries = 12;
  StartWith("");
  const ImageReference image = NewImage();
  const std::string session = NewSessionOf(theirs_);
  UploadLog upload;
  StartUpload(session, FakeImageBytes(80, 64), upload, {.tenant = theirs_});
  const ImageReference their_image{session, upload.Wait()->image.image_id};
  decodes_.Shut();
  std::vector<SegmentLog> logs(9);
  engine_->Segment(ClickOn(image), {}, logs[0].Sink());
  decodes_.WaitForCalls(1);
  // Requests of one prompt against requests of two, one a batch.
  for (int i = 1; i <= 4; ++i) {
    SegmentRequest two = ClickOn(image);
    two.prompts.push_back(Click(20, 20));
    engine_->Segment(std::move(two), {}, logs[i].Sink());
  }
  for (int i = 5; i <= 8; ++i) {
    engine_->Segment(ClickOn(their_image), {.tenant = theirs_}, logs[i].Sink());
  }
  decodes_.Open();
  for (SegmentLog& log : logs) EXPECT_TRUE(log.Wait().ok());
  EXPECT_THAT(segmenter_->decoded_prompts(), ElementsAre(1, 2, 1, 1, 2, 1, 1, 2, 2));
}

TEST_F(EngineFairnessTest, OneTenantLeavesRoomForOthers) {
  options_.max_segment_calls = 4;
  StartWith("* max_sessions=100\n");
  encodes_.Shut();
  const auto picture = [](const char* seed) {
    return SegmentRequest{.image = FakeImageBytes(80, 64, seed), .prompts = {Click(40, 32)}};
  };
  std::vector<SegmentLog> logs(4);
  engine_->Segment(picture("1"), {.tenant = ours_}, logs[0].Sink());
  engine_->Segment(picture("2"), {.tenant = ours_}, logs[1].Sink());
  engine_->Segment(picture("3"), {.tenant = ours_}, logs[2].Sink());
  EXPECT_EQ(ErrorReason(logs[2].Wait().status()), reason::kQuotaExceeded);
  engine_->Segment(picture("3"), {.tenant = theirs_}, logs[3].Sink());
  encodes_.Open();
  for (const int i : {0, 1, 3}) EXPECT_TRUE(logs[i].Wait().ok()) << i;
}

TEST_F(EngineFairnessTest, OneTenantLeavesImagesToEncodeForOthers) {
  options_.max_queued_images = 4;
  StartWith("* max_sessions=100\n");
  encodes_.Shut();
  const std::string our_session = NewSessionOf(ours_);
  std::vector<UploadLog> logs(4);
  StartUpload(our_session, FakeImageBytes(80, 64, "1"), logs[0], {.tenant = ours_});
  encodes_.WaitForCalls(1);
  StartUpload(our_session, FakeImageBytes(80, 64, "2"), logs[1], {.tenant = ours_});
  WaitForQueued("encode", 1);
  // No queue holds more than one of ours: it is the images under way that are shared.
  StartUpload(our_session, FakeImageBytes(80, 64, "3"), logs[2], {.tenant = ours_});
  EXPECT_EQ(ErrorReason(logs[2].Wait().status()), reason::kQuotaExceeded);
  StartUpload(NewSessionOf(theirs_), FakeImageBytes(80, 64, "3"), logs[3], {.tenant = theirs_});
  encodes_.Open();
  for (const int i : {0, 1, 3}) EXPECT_TRUE(logs[i].Wait().ok()) << i;
}

}  // namespace
}  // namespace semsam
