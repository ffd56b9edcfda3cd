// Sessions of the engine: repeated requests, leases, lists, images attached by their
// digest, and what each tenant may have.
#include <gmock/gmock.h>

#include <cctype>
#include <memory>
#include <string>
#include <vector>

#include "model/base/errors.h"
#include "server/cache/sha256.h"
#include "tests/fakes/metric_value.h"
#include "tests/server/pipeline/call_log.h"
#include "tests/server/pipeline/engine_fixture.h"

namespace semsam {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

class EngineSessionTest : public EngineFixture {
 protected:
  // `rows` of the table of tenants.
  void SetTenants(const std::string& rows) {
    auto table = TenantTable::Parse(rows);
    ASSERT_TRUE(table.ok()) << table.status();
    options_.tenants = *std::move(table);
  }

  void StartAttach(const std::string& session, const std::string& sha256, UploadLog& log,
                   CallLimits limits = {}) {
    engine_->AttachImage({.session_id = session, .sha256 = sha256}, std::move(limits), log.Done());
  }
  absl::StatusOr<UploadedImage> Attach(const std::string& session, const std::string& sha256) {
    UploadLog log;
    StartAttach(session, sha256, log);
    return log.Wait();
  }

  const std::string bytes_ = FakeImageBytes(80, 64);
  const std::string digest_ = Sha256Hex(bytes_);
};

TEST_F(EngineSessionTest, ARepeatedCreateAnswersWithTheSameSession) {
  Start();
  const auto first = engine_->CreateSession({}, absl::Seconds(60), "a");
  ASSERT_TRUE(first.ok()) << first.status();
  ASSERT_TRUE(Upload(first->session_id, bytes_).ok());
  clock_.Advance(absl::Seconds(30));
  const auto again = engine_->CreateSession({}, absl::Seconds(60), "a");
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(again->session_id, first->session_id);
  EXPECT_EQ(again->images.size(), 1) << "as it is by then";
  EXPECT_EQ(again->expire_time, clock_.Now() + absl::Seconds(60)) << "a use";
  EXPECT_NE(engine_->CreateSession({}, absl::Seconds(60), "b")->session_id, first->session_id);
  EXPECT_NE(engine_->CreateSession({"other"}, absl::Seconds(60), "a")->session_id,
            first->session_id);
  EXPECT_EQ(MetricValue(metrics_, "semsam_sessions_created_total"), "3");
  EXPECT_EQ(MetricValue(metrics_, "semsam_recent_requests"), "3");
  EXPECT_EQ(MetricValue(metrics_, "semsam_recent_requests_capacity"), "4096");
}

TEST_F(EngineSessionTest, TheIdOfARequestIsItsOwn) {
  Start();
  ASSERT_TRUE(engine_->CreateSession({}, absl::Seconds(60), "a").ok());
  const absl::Status other = engine_->CreateSession({}, absl::Seconds(61), "a").status();
  EXPECT_EQ(other.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(ErrorField(other), "request_id");
  EXPECT_EQ(ErrorField(engine_->CreateSession({}, absl::Seconds(60), "a b").status()),
            "request_id");
  EXPECT_EQ(ErrorField(engine_->CreateSession({}, -absl::Seconds(60), "c").status()), "ttl");
  EXPECT_TRUE(engine_->CreateSession({}, absl::Seconds(60), "c").ok())
      << "what failed is not remembered";
}

TEST_F(EngineSessionTest, ARequestIsRepeatableForAWhile) {
  options_.requests.ttl = absl::Seconds(60);
  Start();
  const std::string first = engine_->CreateSession({}, absl::Seconds(300), "a")->session_id;
  clock_.Advance(absl::Seconds(60));
  engine_->Tick();
  EXPECT_EQ(MetricValue(metrics_, "semsam_recent_requests"), "0");
  EXPECT_NE(engine_->CreateSession({}, absl::Seconds(300), "a")->session_id, first);
}

TEST_F(EngineSessionTest, ASessionThatEndedIsMadeAnew) {
  Start();
  const std::string first = engine_->CreateSession({}, absl::ZeroDuration(), "a")->session_id;
  ASSERT_TRUE(engine_->DeleteSession({}, first).ok());
  const auto again = engine_->CreateSession({}, absl::ZeroDuration(), "a");
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_NE(again->session_id, first);
}

TEST_F(EngineSessionTest, ARepeatedDeleteIsWell) {
  Start();
  const std::string session = NewSession();
  ASSERT_TRUE(engine_->DeleteSession({}, session, "a").ok());
  EXPECT_TRUE(engine_->DeleteSession({}, session, "a").ok());
  EXPECT_EQ(ErrorReason(engine_->DeleteSession({}, session, "b")), reason::kSessionNotFound);
  EXPECT_EQ(ErrorReason(engine_->DeleteSession({}, session)), reason::kSessionNotFound);
  EXPECT_EQ(ErrorField(engine_->DeleteSession({}, NewSession(), "a")), "request_id");
  EXPECT_EQ(ErrorReason(engine_->DeleteSession({"other"}, session, "a")), reason::kSessionNotFound);
}

TEST_F(EngineSessionTest, OnlyATenantIsShownItsSessions) {
  Start();
  NewSession();
  const absl::Status nobodys = engine_->ListSessions({}, 0, "").status();
  EXPECT_EQ(nobodys.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(ErrorReason(nobodys), reason::kTenantRequired);
  for (int i = 0; i < 120; ++i) {
    ASSERT_TRUE(engine_->CreateSession({"mine"}, absl::ZeroDuration()).ok());
  }
  EXPECT_EQ(engine_->ListSessions({"mine"}, 0, "")->sessions.size(), 50);
  EXPECT_EQ(engine_->ListSessions({"mine"}, 7, "")->sessions.size(), 7);
  const auto page = engine_->ListSessions({"mine"}, 4'000'000'000, "");
  EXPECT_EQ(page->sessions.size(), 100);
  EXPECT_EQ(engine_->ListSessions({"mine"}, 100, page->next_page_token)->sessions.size(), 20);
  EXPECT_TRUE(engine_->ListSessions({"other"}, 0, "")->sessions.empty());
}

TEST_F(EngineSessionTest, AnImageIsAttachedWithoutItsBytes) {
  Start();
  const auto uploaded = Upload(NewSession(), bytes_);
  ASSERT_TRUE(uploaded.ok()) << uploaded.status();
  const std::string session = NewSession();
  std::string upper = digest_;
  for (char& c : upper) c = static_cast<char>(std::toupper(c));
  const auto attached = Attach(session, upper);
  ASSERT_TRUE(attached.ok()) << attached.status();
  EXPECT_TRUE(attached->cached);
  EXPECT_EQ(attached->image.sha256, digest_);
  EXPECT_EQ(attached->image.geometry.original, (ImageSize{64, 80}));
  EXPECT_FALSE(attached->timings.encode.has_value());
  EXPECT_EQ(segmenter_->encoded_images(), 1);
  EXPECT_EQ(Attach(session, digest_)->image.image_id, attached->image.image_id);
  EXPECT_EQ(engine_->GetSession({}, session)->images.size(), 1);
  SegmentLog log;
  EXPECT_TRUE(Segment(ClickOn({session, attached->image.image_id}), log).ok());
  EXPECT_EQ(MetricValue(metrics_, "semsam_retained_image_bytes"), std::to_string(bytes_.size()))
      << "one copy";
  EXPECT_EQ(MetricValue(metrics_, "semsam_segment_calls_active"), "0");
}

TEST_F(EngineSessionTest, AnAttachedImageIsEncodedAgainFromTheBytesOfAnotherSession) {
  options_.cache_bytes = 0;
  Start();
  const ImageReference image = NewImage();
  engine_->Tick();
  const std::string session = NewSession();
  const auto attached = Attach(session, digest_);
  ASSERT_TRUE(attached.ok()) << attached.status();
  EXPECT_FALSE(attached->cached);
  EXPECT_TRUE(attached->timings.encode.has_value());
  engine_->Tick();
  ASSERT_TRUE(engine_->DeleteSession({}, image.session_id).ok());
  SegmentLog log;
  EXPECT_TRUE(Segment(ClickOn({session, attached->image.image_id}), log).ok())
      << "the bytes are this session's, too";
  EXPECT_EQ(segmenter_->encoded_images(), 3);
}

TEST_F(EngineSessionTest, AnEmbeddingOutlivesTheSessionsOfItsImage) {
  Start();
  const ImageReference image = NewImage();
  ASSERT_TRUE(engine_->DeleteSession({}, image.session_id).ok());
  EXPECT_EQ(MetricValue(metrics_, "semsam_retained_image_bytes"), "0");
  EXPECT_EQ(MetricValue(metrics_, "semsam_unlisted_images"), "1");
  EXPECT_EQ(MetricValue(metrics_, "semsam_unlisted_images_capacity"), "4096");
  const std::string session = NewSession();
  const auto attached = Attach(session, digest_);
  ASSERT_TRUE(attached.ok()) << attached.status();
  EXPECT_TRUE(attached->cached);
  EXPECT_EQ(MetricValue(metrics_, "semsam_unlisted_images"), "0");
  SegmentLog log;
  EXPECT_TRUE(Segment(ClickOn({session, attached->image.image_id}), log).ok());
  EXPECT_EQ(segmenter_->encoded_images(), 1);
}

TEST_F(EngineSessionTest, AnImageOfWhichNothingIsHeldIsToBeUploaded) {
  options_.cache_bytes = 0;
  Start();
  const ImageReference image = NewImage();
  ASSERT_TRUE(engine_->DeleteSession({}, image.session_id).ok());
  engine_->Tick();
  const std::string session = NewSession();
  const absl::Status gone = Attach(session, digest_).status();
  const absl::Status unknown = Attach(session, Sha256Hex("another")).status();
  for (const absl::Status& status : {gone, unknown}) {
    EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
    EXPECT_EQ(ErrorReason(status), reason::kImageNotFound);
    EXPECT_EQ(status.message(), gone.message());
  }
  EXPECT_EQ(ErrorImageDigest(gone), digest_);
  EXPECT_EQ(ErrorImageDigest(unknown), Sha256Hex("another"));
  EXPECT_TRUE(engine_->GetSession({}, session)->images.empty());
  EXPECT_EQ(MetricValue(metrics_, "semsam_segment_calls_active"), "0");
}

TEST_F(EngineSessionTest, WhatCannotBeAttachedSaysWhy) {
  options_.sessions.max_images_per_session = 1;
  Start();
  const ImageReference image = NewImage();
  EXPECT_EQ(ErrorField(Attach(image.session_id, "").status()), "sha256");
  EXPECT_EQ(ErrorField(Attach(image.session_id, std::string(64, 'g')).status()), "sha256");
  EXPECT_EQ(ErrorReason(Attach("nobody", digest_).status()), reason::kSessionNotFound);
  EXPECT_EQ(Attach(image.session_id, digest_)->image.image_id, image.image_id);
  const ImageReference other = NewImage(80, 64, "other");
  EXPECT_EQ(ErrorReason(Attach(other.session_id, digest_).status()), reason::kLimitExceeded);
  engine_->StartDrain();
  EXPECT_EQ(ErrorReason(Attach(image.session_id, digest_).status()), reason::kDraining);
}

TEST_F(EngineSessionTest, AnImageIsNotKnownBeforeItsUploadEnded) {
  Start();
  const std::string session = NewSession();
  encodes_.Shut();
  UploadLog uploading;
  StartUpload(session, bytes_, uploading);
  encodes_.WaitForCalls(1);
  EXPECT_EQ(ErrorReason(Attach(session, digest_).status()), reason::kImageNotFound);
  encodes_.Open();
  ASSERT_TRUE(uploading.Wait().ok());
  EXPECT_TRUE(Attach(session, digest_).ok());
}

TEST_F(EngineSessionTest, AttachesThatWaitAreBoundedAndMayLeave) {
  options_.max_segment_calls = 1;
  options_.cache_bytes = 0;
  Start();
  const ImageReference image = NewImage();
  engine_->Tick();
  encodes_.Shut();
  auto flag = std::make_shared<CancelFlag>();
  const std::string session = NewSession();
  UploadLog waiting;
  StartAttach(session, digest_, waiting, {.cancel = flag});
  encodes_.WaitForCalls(2);
  EXPECT_EQ(ErrorReason(Attach(session, digest_).status()), reason::kQueueFull);
  flag->Cancel();
  engine_->Tick();
  EXPECT_EQ(waiting.Wait().status().code(), absl::StatusCode::kCancelled);
  EXPECT_EQ(MetricValue(metrics_, "semsam_segment_calls_active"), "0");
  encodes_.Open();
  EXPECT_TRUE(engine_->GetSession({}, session)->images.empty());
}

TEST_F(EngineSessionTest, ATenantHasItsQuotaOfCalls) {
  SetTenants("small max_calls=1\nfew max_queries=384");
  Start();
  const std::string bytes = bytes_;
  const auto click = [&](const std::string& tenant, SegmentLog& log, size_t prompts = 1) {
    SegmentRequest request{.image = bytes, .prompts = std::vector(prompts, Click(40, 32))};
    engine_->Segment(std::move(request), {.tenant = {tenant}}, log.Sink());
  };
  decodes_.Shut();
  SegmentLog running;
  click("small", running);
  decodes_.WaitForCalls(1);
  SegmentLog refused;
  click("small", refused);
  const absl::Status status = refused.Wait().status();
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(ErrorReason(status), reason::kQuotaExceeded);
  EXPECT_TRUE(ErrorRetryAfter(status).has_value());
  SegmentLog others;
  click("other", others);
  SegmentLog large;
  click("few", large, 63);
  SegmentLog too_many;
  click("few", too_many, 2);
  EXPECT_EQ(ErrorReason(too_many.Wait().status()), reason::kQuotaExceeded);
  SegmentLog fits;
  click("few", fits, 1);
  decodes_.Open();
  for (SegmentLog* log : {&running, &others, &large, &fits}) EXPECT_TRUE(log->Wait().ok());
  SegmentLog again;
  click("small", again);
  EXPECT_TRUE(again.Wait().ok()) << "its place is free again";
}

TEST_F(EngineSessionTest, ATenantHasItsQuotaOfBackgroundCalls) {
  SetTenants("small max_background_calls=0");
  Start();
  const auto everything = [&](const std::string& tenant) {
    const std::string session = engine_->CreateSession({tenant}, absl::ZeroDuration())->session_id;
    UploadLog upload;
    StartUpload(session, bytes_, upload, {.tenant = {tenant}});
    const auto image = upload.Wait();
    EXPECT_TRUE(image.ok()) << image.status();
    GenerateLog log;
    engine_->GenerateMasks(
        {.image = {session, image->image.image_id}, .options = {.points_per_side = 2}},
        {.tenant = {tenant}}, log.Sink());
    return log.Wait().status();
  };
  EXPECT_EQ(ErrorReason(everything("small")), reason::kQuotaExceeded);
  EXPECT_TRUE(everything("other").ok());
}

TEST_F(EngineSessionTest, ATenantHasItsQuotaOfImagesOnTheirWay) {
  options_.image.max_bytes = int64_t{1} << 20;
  options_.upload_buffer_bytes = int64_t{3} << 20;
  SetTenants("* max_upload_mib=1");
  Start();
  const std::string half(512 << 10, 'x');
  const auto begin = [&](const TenantId& tenant) {
    const std::string session = engine_->CreateSession(tenant, absl::ZeroDuration())->session_id;
    auto upload = engine_->BeginUpload(tenant, {.session_id = session});
    EXPECT_TRUE(upload.ok()) << upload.status();
    return *std::move(upload);
  };
  ImageUpload theirs = begin({"other"});
  {
    ImageUpload first = begin({"mine"});
    for (size_t sent = 0; sent < half.size(); sent += 256 << 10) {
      ASSERT_TRUE(first.Append(half.substr(sent, 256 << 10)).ok());
    }
    ImageUpload second = begin({"mine"});
    const absl::Status status = second.Append("x");
    EXPECT_EQ(ErrorReason(status), reason::kQuotaExceeded);
    EXPECT_TRUE(ErrorRetryAfter(status).has_value());
    SegmentLog log;
    EXPECT_EQ(ErrorReason(
                  Segment({.image = bytes_, .prompts = {Click(40, 32)}}, log, {.tenant = {"mine"}})
                      .status()),
              reason::kQuotaExceeded);
    EXPECT_TRUE(theirs.Append("x").ok());
  }
  SegmentLog log;
  EXPECT_TRUE(
      Segment({.image = bytes_, .prompts = {Click(40, 32)}}, log, {.tenant = {"mine"}}).ok())
      << "what was given back can be had again";
  EXPECT_EQ(MetricValue(metrics_, "semsam_upload_buffer_bytes"), std::to_string(1 << 20));
}

TEST_F(EngineSessionTest, AQuotaMustLetTheLargestRequestThrough) {
  SetTenants("lab max_queries=383");
  const absl::Status status = options_.Validate(Config());
  EXPECT_EQ(ErrorField(status), "tenants");
  EXPECT_THAT(std::string(status.message()), AllOf(HasSubstr("lab"), HasSubstr("384")));
  SetTenants("lab max_queries=384 max_upload_mib=63");
  const absl::Status small = options_.Validate(Config());
  EXPECT_EQ(ErrorField(small), "tenants");
  EXPECT_THAT(std::string(small.message()), HasSubstr("max_upload_mib of lab"));
  SetTenants("lab max_queries=384 max_upload_mib=64");
  EXPECT_TRUE(options_.Validate(Config()).ok());
}

TEST_F(EngineSessionTest, PicturesSentAlongShareTheBudgetOfUploads) {
  options_.image.max_bytes = 1000;
  options_.upload_buffer_bytes = 1000;
  options_.cpu_threads = 1;
  ModelGate masks;
  on_threshold_ = [hook = masks.Hook()] { (void)hook(); };
  Start();
  const ImageReference image = NewImage();
  // The only thread that reads pictures finishes masks, too: it is held there.
  masks.Shut();
  SegmentLog holding;
  engine_->Segment(ClickOn(image), {}, holding.Sink());
  masks.WaitForCalls(1);
  const std::string large = bytes_ + std::string(600, ' ');
  auto flag = std::make_shared<CancelFlag>();
  SegmentLog waiting;
  engine_->Segment({.image = large, .prompts = {Click(40, 32)}}, {.cancel = flag}, waiting.Sink());
  EXPECT_EQ(MetricValue(metrics_, "semsam_upload_buffer_bytes"), std::to_string(large.size()));
  SegmentLog refused;
  const absl::Status status =
      Segment({.image = large, .prompts = {Click(40, 32)}}, refused).status();
  EXPECT_EQ(ErrorReason(status), reason::kMemoryFull);
  EXPECT_TRUE(ErrorRetryAfter(status).has_value());
  auto upload = engine_->BeginUpload({}, {image.session_id});
  EXPECT_EQ(ErrorReason(upload->Append(large)), reason::kMemoryFull);
  flag->Cancel();
  engine_->Tick();
  EXPECT_EQ(waiting.Wait().status().code(), absl::StatusCode::kCancelled);
  EXPECT_EQ(MetricValue(metrics_, "semsam_upload_buffer_bytes"), "0");
  masks.Open();
  EXPECT_TRUE(holding.Wait().ok());
  SegmentLog again;
  EXPECT_TRUE(Segment({.image = large, .prompts = {Click(40, 32)}}, again).ok());
  EXPECT_EQ(MetricValue(metrics_, "semsam_upload_buffer_bytes"), "0");

  SegmentLog too_large;
  const absl::Status never =
      Segment({.image = bytes_ + std::string(1000, ' '), .prompts = {Click(40, 32)}}, too_large)
          .status();
  EXPECT_EQ(ErrorReason(never), reason::kImageTooLarge);
  EXPECT_EQ(ErrorField(never), "image_bytes");
}

}  // namespace
}  // namespace semsam
