// Uploads, the embedding cache behind them, and what re-encoding hides.
#include <gmock/gmock.h>

#include "model/base/errors.h"
#include "server/cache/sha256.h"
#include "tests/fakes/metric_value.h"
#include "tests/server/pipeline/engine_fixture.h"

namespace semsam {
namespace {

class EngineUploadTest : public EngineFixture {};

TEST_F(EngineUploadTest, AnUploadSaysWhatCame) {
  Start();
  const std::string bytes = FakeImageBytes(80, 64);
  const auto uploaded = Upload(NewSession(), bytes);
  ASSERT_TRUE(uploaded.ok()) << uploaded.status();
  EXPECT_EQ(uploaded->image.sha256, Sha256Hex(bytes));
  EXPECT_EQ(uploaded->image.geometry.original, (ImageSize{64, 80}));
  EXPECT_FALSE(uploaded->cached);
  EXPECT_TRUE(uploaded->timings.image_decode.has_value());
  EXPECT_TRUE(uploaded->timings.encode.has_value());
}

TEST_F(EngineUploadTest, Sha256IsTheStandardOne) {
  EXPECT_EQ(Sha256Hex("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST_F(EngineUploadTest, TheSameBytesAreEncodedOnceForAllSessions) {
  Start();
  EXPECT_FALSE(Upload(NewSession(), FakeImageBytes(80, 64))->cached);
  EXPECT_TRUE(Upload(NewSession(), FakeImageBytes(80, 64))->cached);
  EXPECT_FALSE(Upload(NewSession(), FakeImageBytes(80, 64, "other"))->cached);
  EXPECT_EQ(segmenter_->encoded_images(), 2);
}

TEST_F(EngineUploadTest, ConcurrentUploadsOfOneImageEncodeOnce) {
  Start();
  encodes_.Shut();
  UploadLog logs[4];
  for (UploadLog& log : logs) StartUpload(NewSession(), FakeImageBytes(80, 64), log);
  encodes_.WaitForCalls(1);
  encodes_.Open();
  for (UploadLog& log : logs) EXPECT_TRUE(log.Wait().ok());
  EXPECT_EQ(segmenter_->encoded_images(), 1);
}

TEST_F(EngineUploadTest, WhoLeavesDuringAnEncodeIsAnsweredBeforeItEnds) {
  options_.cpu_threads = 1;
  Start();
  encodes_.Shut();
  auto flag = std::make_shared<CancelFlag>();
  const SegmentRequest click = {.image = FakeImageBytes(80, 64), .prompts = {Click(40, 32)}};
  SegmentLog leader;
  engine_->Segment(click, {.cancel = flag}, leader.Sink());
  encodes_.WaitForCalls(1);
  SegmentLog late;
  engine_->Segment(click, {.deadline = clock_.Now() + absl::Seconds(5)}, late.Sink());
  SegmentLog patient;
  engine_->Segment(click, {}, patient.Sink());
  // One thread reads the pictures in order: once this one is, the others have joined.
  UploadLog joined;
  StartUpload(NewSession(), "no picture", joined);
  EXPECT_FALSE(joined.Wait().ok());
  flag->Cancel();
  clock_.Advance(absl::Seconds(5));
  engine_->Tick();
  EXPECT_EQ(leader.Wait().status().code(), absl::StatusCode::kCancelled);
  EXPECT_EQ(late.Wait().status().code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_EQ(patient.done_calls(), 0);
  EXPECT_EQ(MetricValue(metrics_, "semsam_segment_calls_active"), "1");
  encodes_.Open();
  EXPECT_TRUE(patient.Wait().ok());
  EXPECT_EQ(segmenter_->encoded_images(), 1);
}

TEST_F(EngineUploadTest, AnEvictedEmbeddingIsMadeAgainWithoutTheClientNoticing) {
  options_.cache_bytes = 1000;  // one embedding of the fake
  Start();
  const ImageReference first = NewImage(80, 64, "first");
  const ImageReference second = NewImage(80, 64, "second");
  engine_->Tick();
  for (int round = 0; round < 3; ++round) {
    for (const ImageReference& image : {first, second}) {
      SegmentLog log;
      const auto summary = Segment(ClickOn(image), log);
      ASSERT_TRUE(summary.ok()) << summary.status();
      EXPECT_TRUE(summary->timings.encode.has_value());
      engine_->Tick();
    }
  }
  EXPECT_EQ(segmenter_->encoded_images(), 8);
  EXPECT_EQ(MetricValue(metrics_, "semsam_cache_bytes"), "1000");
}

TEST_F(EngineUploadTest, AnImageThatIsNoLongerHeldIsNotFoundWithItsDigest) {
  options_.cache_bytes = 1000;
  options_.sessions.max_retained_bytes = 0;
  Start();
  const ImageReference first = NewImage(80, 64, "first");
  NewImage(80, 64, "second");
  engine_->Tick();
  SegmentLog log;
  const absl::Status status = Segment(ClickOn(first), log).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(ErrorReason(status), reason::kImageNotFound);
  EXPECT_EQ(ErrorImageDigest(status), Sha256Hex(FakeImageBytes(80, 64, "first")));

  // What the contract tells the client to do.
  const auto again = Upload(first.session_id, FakeImageBytes(80, 64, "first"));
  ASSERT_TRUE(again.ok());
  EXPECT_EQ(again->image.image_id, first.image_id);
  SegmentLog replay;
  EXPECT_TRUE(Segment(ClickOn(first), replay).ok());
}

TEST_F(EngineUploadTest, AFullSessionTakesAnImageBackThatItLost) {
  options_.cache_bytes = 0;
  options_.sessions.max_images_per_session = 1;
  options_.sessions.max_retained_bytes = 0;
  Start();
  const std::string bytes = FakeImageBytes(80, 64);
  const ImageReference image = NewImage(80, 64);
  engine_->Tick();
  SegmentLog lost;
  EXPECT_EQ(ErrorReason(Segment(ClickOn(image), lost).status()), reason::kImageNotFound);

  std::string upper = Sha256Hex(bytes);
  for (char& c : upper) c = static_cast<char>(std::toupper(c));
  for (const std::string& announced : {upper, std::string()}) {
    auto upload = engine_->BeginUpload({}, {.session_id = image.session_id, .sha256 = announced});
    ASSERT_TRUE(upload.ok()) << upload.status();
    ASSERT_TRUE(upload->Append(bytes).ok());
    UploadLog log;
    engine_->FinishUpload(*std::move(upload), {}, log.Done());
    const auto again = log.Wait();
    ASSERT_TRUE(again.ok()) << again.status();
    EXPECT_EQ(again->image.image_id, image.image_id);
  }
  const std::string stranger = Sha256Hex("another image");
  EXPECT_EQ(ErrorReason(engine_->BeginUpload({}, {image.session_id, 0, stranger}).status()),
            reason::kLimitExceeded);
  EXPECT_EQ(Upload(image.session_id, FakeImageBytes(80, 64, "other")).status().code(),
            absl::StatusCode::kResourceExhausted);
}

TEST_F(EngineUploadTest, WhatDoesNotMatchItsAnnouncementIsRefused) {
  options_.image.max_bytes = 100;
  options_.max_chunk_bytes = 40;
  Start();
  const std::string session = NewSession();
  const std::string bytes = FakeImageBytes(80, 64);
  const auto field_and_reason = [](const absl::Status& status) {
    return ErrorField(status).value_or("-") + " " + ErrorReason(status).value_or("-");
  };

  EXPECT_EQ(field_and_reason(engine_->BeginUpload({}, {session, 101, ""}).status()),
            "header.total_bytes IMAGE_TOO_LARGE");
  EXPECT_EQ(field_and_reason(engine_->BeginUpload({}, {session, ~uint64_t{0}, ""}).status()),
            "header.total_bytes IMAGE_TOO_LARGE");
  EXPECT_EQ(field_and_reason(engine_->BeginUpload({}, {session, 0, "xyz"}).status()),
            "header.sha256 INVALID_ARGUMENT_FIELD");
  EXPECT_EQ(ErrorReason(engine_->BeginUpload({}, {"nobody", 0, ""}).status()),
            reason::kSessionNotFound);

  auto upload = engine_->BeginUpload({}, {session, 0, ""});
  EXPECT_EQ(field_and_reason(upload->Append(std::string(41, 'x'))), "chunk UPLOAD_PROTOCOL");
  EXPECT_TRUE(upload->Append(std::string(40, 'x')).ok());
  EXPECT_TRUE(upload->Append(std::string(40, 'x')).ok());
  EXPECT_EQ(field_and_reason(upload->Append(std::string(40, 'x'))), "chunk IMAGE_TOO_LARGE");

  auto announced = engine_->BeginUpload({}, {session, 5, ""});
  EXPECT_EQ(field_and_reason(announced->Append("123456")), "chunk UPLOAD_PROTOCOL");

  const auto finish = [&](UploadHeader header, const std::string& sent) {
    auto started = engine_->BeginUpload({}, std::move(header));
    EXPECT_TRUE(started.ok() && started->Append(sent).ok());
    UploadLog log;
    engine_->FinishUpload(*std::move(started), {}, log.Done());
    return log.Wait().status();
  };
  EXPECT_EQ(field_and_reason(finish({session, 50, ""}, bytes)),
            "header.total_bytes UPLOAD_PROTOCOL");
  EXPECT_EQ(field_and_reason(finish({session, 0, ""}, "")), "chunk UPLOAD_PROTOCOL");
  EXPECT_EQ(field_and_reason(finish({session, 0, std::string(64, 'A')}, bytes)),
            "header.sha256 DIGEST_MISMATCH");
  EXPECT_EQ(field_and_reason(finish({session, 0, ""}, "no picture")), "chunk IMAGE_UNDECODABLE");

  std::string upper = Sha256Hex(bytes);
  for (char& c : upper) c = static_cast<char>(std::toupper(c));
  EXPECT_TRUE(finish({session, bytes.size(), upper}, bytes).ok()) << "and the engine lives";
}

TEST_F(EngineUploadTest, UploadsTogetherAreBoundedAndGiveTheirBytesBack) {
  options_.image.max_bytes = int64_t{2} << 20;
  options_.max_chunk_bytes = int64_t{2} << 20;
  options_.upload_buffer_bytes = int64_t{2} << 20;
  Start();
  const std::string session = NewSession();
  const std::string mebibyte(1 << 20, 'x');
  {
    auto first = engine_->BeginUpload({}, {session});
    auto second = engine_->BeginUpload({}, {session});
    auto third = engine_->BeginUpload({}, {session});
    EXPECT_TRUE(first->Append(mebibyte).ok());
    EXPECT_TRUE(second->Append(mebibyte).ok());
    const absl::Status status = third->Append("x");
    EXPECT_EQ(ErrorReason(status), reason::kMemoryFull);
    EXPECT_TRUE(ErrorRetryAfter(status).has_value());
    EXPECT_EQ(MetricValue(metrics_, "semsam_upload_buffer_bytes"), "2097152");
  }
  EXPECT_EQ(MetricValue(metrics_, "semsam_upload_buffer_bytes"), "0");
}

TEST_F(EngineUploadTest, ASessionThatEndsDuringItsUploadIsNotFound) {
  Start();
  const std::string session = NewSession();
  encodes_.Shut();
  UploadLog log;
  StartUpload(session, FakeImageBytes(80, 64), log);
  encodes_.WaitForCalls(1);
  ASSERT_TRUE(engine_->DeleteSession({}, session).ok());
  encodes_.Open();
  EXPECT_EQ(ErrorReason(log.Wait().status()), reason::kSessionNotFound);
}

TEST_F(EngineUploadTest, AFailedEncodeIsToldAndNotRemembered) {
  int calls = 0;
  fake_options_.on_encode = [&calls] {
    return ++calls == 1 ? absl::ResourceExhaustedError("out of device memory") : absl::OkStatus();
  };
  Start();
  const std::string session = NewSession();
  EXPECT_EQ(Upload(session, FakeImageBytes(80, 64)).status().code(),
            absl::StatusCode::kResourceExhausted);
  EXPECT_TRUE(engine_->GetSession({}, session)->images.empty());
  EXPECT_TRUE(Upload(session, FakeImageBytes(80, 64)).ok());
}

}  // namespace
}  // namespace semsam
