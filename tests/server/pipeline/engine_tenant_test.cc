// Two tenants of one engine, and what they see of each other: nothing.
#include <functional>

#include "model/base/errors.h"
#include "model/base/status_macros.h"
#include "server/cache/sha256.h"
#include "tests/fakes/metric_value.h"
#include "tests/server/pipeline/call_log.h"
#include "tests/server/pipeline/engine_fixture.h"

namespace semsam {
namespace {

class EngineTenantTest : public EngineFixture {
 protected:
  EngineTenantTest() { with_words_ = true; }

  std::string NewSessionOf(const TenantId& tenant) {
    auto session = engine_->CreateSession(tenant, absl::ZeroDuration());
    EXPECT_TRUE(session.ok()) << session.status();
    return session.ok() ? session->session_id : "";
  }

  absl::StatusOr<UploadedImage> UploadAs(const TenantId& tenant, const std::string& session,
                                         const std::string& bytes = FakeImageBytes(80, 64)) {
    SEMSAM_ASSIGN_OR_RETURN(ImageUpload upload,
                            engine_->BeginUpload(tenant, {.session_id = session}));
    SEMSAM_RETURN_IF_ERROR(upload.Append(bytes));
    UploadLog log;
    engine_->FinishUpload(std::move(upload), {.tenant = tenant}, log.Done());
    return log.Wait();
  }

  absl::StatusOr<UploadedImage> AttachAs(const TenantId& tenant, const std::string& session,
                                         const std::string& bytes = FakeImageBytes(80, 64)) {
    UploadLog log;
    engine_->AttachImage({.session_id = session, .sha256 = Sha256Hex(bytes)}, {.tenant = tenant},
                         log.Done());
    return log.Wait();
  }

  absl::Status GenerateAs(const TenantId& tenant, const ImageReference& image) {
    GenerateLog log;
    engine_->GenerateMasks({.image = image, .options = {.points_per_side = 2}}, {.tenant = tenant},
                           log.Sink());
    return log.Wait().status();
  }

  absl::Status FindWordsAs(const TenantId& tenant, const ImageReference& image) {
    VocabularyLog log;
    engine_->SegmentVocabulary({.image = image, .things = {.words = {"left"}}}, {.tenant = tenant},
                               log.Sink());
    return log.Wait().status();
  }

  absl::Status RefreshAs(const TenantId& tenant, const std::string& session, uint64_t mask) {
    RefreshLog log;
    engine_->RefreshLabels({.session_id = session,
                            .mask_ids = {mask},
                            .labels = {.objects = UserWords{.words = {"left"}}}},
                           {.tenant = tenant}, log.Done());
    return log.Wait().status();
  }

  const TenantId ours_{"ours"};
  const TenantId theirs_{"theirs"};
};

TEST_F(EngineTenantTest, TenantsSeeNothingOfEachOther) {
  Start();
  const std::string session = NewSessionOf(ours_);
  const auto uploaded = UploadAs(ours_, session);
  ASSERT_TRUE(uploaded.ok()) << uploaded.status();
  const ImageReference image{session, uploaded->image.image_id};
  SegmentLog masks;
  ASSERT_TRUE(Segment(ClickOn(image), masks, {.tenant = ours_}).ok());
  const uint64_t mask = masks.masks().front().mask_id;
  ASSERT_NE(mask, 0);

  // Each call by the session's id: of a tenant, and of a session that is not there.
  const std::pair<const char*, std::function<absl::Status(const TenantId&, ImageReference)>>
      calls[] = {
          {"get",
           [&](auto& tenant, auto image) {
             return engine_->GetSession(tenant, image.session_id).status();
           }},
          {"renew",
           [&](auto& tenant, auto image) {
             return engine_->RenewSession(tenant, image.session_id, absl::ZeroDuration()).status();
           }},
          {"attach",
           [&](auto& tenant, auto image) { return AttachAs(tenant, image.session_id).status(); }},
          {"upload",
           [&](auto& tenant, auto image) { return UploadAs(tenant, image.session_id).status(); }},
          {"segment",
           [&](auto& tenant, auto image) {
             SegmentLog log;
             return Segment(ClickOn(image), log, {.tenant = tenant}).status();
           }},
          {"generate", [&](auto& tenant, auto image) { return GenerateAs(tenant, image); }},
          {"words", [&](auto& tenant, auto image) { return FindWordsAs(tenant, image); }},
          {"refresh",
           [&](auto& tenant, auto image) { return RefreshAs(tenant, image.session_id, mask); }},
          {"delete", [&](auto& tenant,
                         auto image) { return engine_->DeleteSession(tenant, image.session_id); }},
      };
  for (const auto& [name, call] : calls) {
    const absl::Status foreign = call(theirs_, image);
    EXPECT_EQ(ErrorReason(foreign), reason::kSessionNotFound) << name;
    EXPECT_EQ(foreign, call(theirs_, {"nobody", image.image_id})) << name;
  }
  for (const auto& [name, call] : calls) {
    const absl::Status own = call(ours_, image);
    EXPECT_TRUE(own.ok()) << name << ": " << own;
  }
}

TEST_F(EngineTenantTest, NoTenantLearnsThatAnotherHasTheSamePicture) {
  Start();
  const auto first = UploadAs(ours_, NewSessionOf(ours_));
  const auto again = UploadAs(ours_, NewSessionOf(ours_));
  const auto theirs = UploadAs(theirs_, NewSessionOf(theirs_));
  const auto nobodys = Upload(NewSession(), FakeImageBytes(80, 64));
  ASSERT_TRUE(first.ok() && again.ok() && theirs.ok() && nobodys.ok());
  EXPECT_TRUE(again->cached);
  EXPECT_FALSE(theirs->cached);
  EXPECT_FALSE(nobodys->cached);
  EXPECT_EQ(segmenter_->encoded_images(), 3);
  SegmentLog sent_along;
  const auto summary =
      Segment({.image = FakeImageBytes(80, 64, "sent along"), .prompts = {Click(40, 32)}},
              sent_along, {.tenant = ours_});
  ASSERT_TRUE(summary.ok()) << summary.status();
  EXPECT_FALSE(
      UploadAs(theirs_, NewSessionOf(theirs_), FakeImageBytes(80, 64, "sent along"))->cached);
}

TEST_F(EngineTenantTest, NoTenantAttachesTheImageOfAnother) {
  Start();
  ASSERT_TRUE(UploadAs(ours_, NewSessionOf(ours_)).ok());
  const std::string theirs = NewSessionOf(theirs_);
  const absl::Status foreign = AttachAs(theirs_, theirs).status();
  const absl::Status unknown = AttachAs(theirs_, theirs, "of nobody").status();
  EXPECT_EQ(ErrorReason(foreign), reason::kImageNotFound);
  EXPECT_EQ(foreign.message(), unknown.message());
  EXPECT_EQ(foreign.code(), unknown.code());
  EXPECT_TRUE(AttachAs(ours_, NewSessionOf(ours_)).ok());
  // Once they have it, too, it is theirs: a copy and an embedding of their own.
  ASSERT_TRUE(UploadAs(theirs_, theirs).ok());
  EXPECT_TRUE(AttachAs(theirs_, NewSessionOf(theirs_)).ok());
  EXPECT_EQ(segmenter_->encoded_images(), 2);
  EXPECT_EQ(MetricValue(metrics_, "semsam_retained_image_bytes"),
            std::to_string(2 * FakeImageBytes(80, 64).size()));
}

TEST_F(EngineTenantTest, NoTenantIsShownTheSessionsOfAnother) {
  Start();
  const std::string ours = NewSessionOf(ours_);
  clock_.Advance(absl::Milliseconds(1));
  NewSessionOf(ours_);
  const std::string theirs = NewSessionOf(theirs_);
  NewSession();
  const auto listed = engine_->ListSessions(theirs_, 0, "");
  ASSERT_TRUE(listed.ok()) << listed.status();
  ASSERT_EQ(listed->sessions.size(), 1);
  EXPECT_EQ(listed->sessions[0].session_id, theirs);
  const auto page = engine_->ListSessions(ours_, 1, "");
  EXPECT_EQ(page->sessions[0].session_id, ours);
  const auto behind = engine_->ListSessions(theirs_, 0, page->next_page_token);
  ASSERT_TRUE(behind.ok()) << behind.status();
  for (const SessionInfo& session : behind->sessions) EXPECT_EQ(session.session_id, theirs);
}

TEST_F(EngineTenantTest, TheIdOfARequestIsOfItsTenantAlone) {
  Start();
  const auto ours = engine_->CreateSession(ours_, absl::ZeroDuration(), "same");
  const auto theirs = engine_->CreateSession(theirs_, absl::Seconds(5), "same");
  ASSERT_TRUE(ours.ok() && theirs.ok()) << theirs.status();
  EXPECT_NE(ours->session_id, theirs->session_id);
}

}  // namespace
}  // namespace semsam
