// Leases, lists of sessions, and images that need no upload.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/client/client_fixture.h"

namespace semsam::client {
namespace {

using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

class SessionTest : public ClientTest {
 protected:
  // Larger than a chunk.
  const std::string large_ = std::string(600 << 10, 'x');
};

TEST_F(SessionTest, ALeaseIsRenewedForAsLongOrForAnotherTime) {
  const auto longer = client_->RenewSession(request_.session_id, absl::Seconds(90));
  ASSERT_TRUE(longer.ok()) << longer.status();
  EXPECT_EQ(longer->session_id, request_.session_id);
  EXPECT_EQ(longer->ttl, absl::Seconds(90));
  EXPECT_EQ(longer->expire_time, absl::FromUnixSeconds(2'090));
  EXPECT_THAT(longer->images, SizeIs(1));
  EXPECT_EQ(client_->RenewSession(request_.session_id)->ttl, absl::Seconds(90));
  EXPECT_EQ(ErrorReason(client_->RenewSession("nobody").status()), "SESSION_NOT_FOUND");
  EXPECT_TRUE(absl::IsInvalidArgument(
      client_->RenewSession(request_.session_id, -absl::Seconds(1)).status()));
}

TEST_F(SessionTest, SessionsAreListedPageByPage) {
  const auto client = ConnectTo(server_, {.metadata = {{"semsam-tenant", "lab"}}});
  ASSERT_TRUE(client->CreateSession().ok());
  ASSERT_TRUE(client->CreateSession().ok());
  const auto first = client->ListSessions({.page_size = 7});
  ASSERT_TRUE(first.ok()) << first.status();
  EXPECT_THAT(first->sessions, SizeIs(2));
  EXPECT_THAT(first->next_page_token, Not(IsEmpty()));
  EXPECT_EQ(server_.service().list_requests().back().page_size(), 7);
  const auto second = client->ListSessions({.page_token = first->next_page_token});
  ASSERT_TRUE(second.ok()) << second.status();
  EXPECT_THAT(second->sessions, SizeIs(1));
  EXPECT_THAT(second->next_page_token, IsEmpty());
  EXPECT_EQ(ErrorReason(client_->ListSessions().status()), "TENANT_REQUIRED");
}

TEST_F(SessionTest, WhatChangesSomethingCarriesAnIdOfItsOwn) {
  ASSERT_TRUE(client_->CreateSession().ok());
  ASSERT_TRUE(client_->DeleteSession(request_.session_id).ok());
  const auto created = server_.service().create_requests();
  ASSERT_THAT(created, SizeIs(2));
  const std::string end = server_.service().delete_requests().back().request_id();
  for (const std::string& id : {created[0].request_id(), created[1].request_id(), end}) {
    EXPECT_THAT(id, SizeIs(32));
  }
  EXPECT_NE(created[0].request_id(), created[1].request_id());
  EXPECT_NE(created[1].request_id(), end);
}

TEST_F(SessionTest, AnImageIsAttachedByItsDigest) {
  const std::string digest = server_.service().uploads().back().header.sha256();
  const std::string session = client_->CreateSession()->session_id;
  const auto attached = client_->AttachImage(session, digest);
  ASSERT_TRUE(attached.ok()) << attached.status();
  EXPECT_TRUE(attached->attached);
  EXPECT_TRUE(attached->cached);
  EXPECT_EQ(attached->image.sha256, digest);
  EXPECT_EQ(attached->image.size, (ImageSize{.height = 48, .width = 64}));
  const absl::Status unknown = client_->AttachImage(session, std::string(64, '0')).status();
  EXPECT_TRUE(absl::IsNotFound(unknown));
  EXPECT_EQ(ErrorReason(unknown), "IMAGE_NOT_FOUND");
  EXPECT_EQ(ErrorImageDigest(unknown), std::string(64, '0'));
}

TEST_F(SessionTest, AnUploadSendsNothingThatTheServerHolds) {
  const auto first = client_->UploadImage(request_.session_id, large_);
  ASSERT_TRUE(first.ok()) << first.status();
  EXPECT_FALSE(first->attached);
  EXPECT_THAT(server_.service().uploads(), SizeIs(2));
  const std::string session = client_->CreateSession()->session_id;
  int progress = 0;
  const auto again = client_->UploadImage(session, large_, [&](size_t, size_t) { ++progress; });
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_TRUE(again->attached);
  EXPECT_EQ(again->image.sha256, first->image.sha256);
  EXPECT_EQ(progress, 0);
  EXPECT_THAT(server_.service().uploads(), SizeIs(2));
}

TEST_F(SessionTest, WhatFitsAChunkIsSentAtOnce) {
  EXPECT_THAT(server_.service().uploads(), SizeIs(1));
  EXPECT_THAT(server_.service().attach_requests(), IsEmpty());
}

TEST_F(SessionTest, NobodyIsAskedWhereTheCallerWantsToSend) {
  const auto client = ConnectTo(server_, {.attach_images = false});
  ASSERT_TRUE(client->UploadImage(request_.session_id, large_).ok());
  EXPECT_THAT(server_.service().attach_requests(), IsEmpty());
}

TEST_F(SessionTest, AServerThatCannotAttachIsAskedOnce) {
  server_.service().OnAttach(
      [](const auto&) { return grpc::Status(grpc::StatusCode::UNIMPLEMENTED, "an older server"); });
  for (int i = 0; i < 2; ++i) {
    const auto upload = client_->UploadImage(request_.session_id, large_);
    ASSERT_TRUE(upload.ok()) << upload.status();
    EXPECT_FALSE(upload->attached);
  }
  EXPECT_THAT(server_.service().attach_requests(), SizeIs(1));
  EXPECT_THAT(server_.service().uploads(), SizeIs(3));
}

TEST_F(SessionTest, AnotherErrorOfTheQuestionEndsTheUpload) {
  server_.service().OnAttach([](const auto&) {
    return MakeError({.code = grpc::StatusCode::RESOURCE_EXHAUSTED,
                      .message = "busy",
                      .reason = "QUEUE_FULL",
                      .retry_after_ms = 250});
  });
  const absl::Status status = client_->UploadImage(request_.session_id, large_).status();
  EXPECT_EQ(ErrorReason(status), "QUEUE_FULL");
  EXPECT_EQ(ErrorRetryAfter(status), absl::Milliseconds(250));
  EXPECT_EQ(ErrorReason(client_->UploadImage("nobody", large_).status()), "QUEUE_FULL");
  EXPECT_THAT(server_.service().uploads(), SizeIs(1));
}

TEST_F(SessionTest, TheQuotaOfTheTenantIsTold) {
  EXPECT_EQ(client_->GetServerInfo()->quota.tenant, "");
  EXPECT_EQ(client_->GetServerInfo()->quota.max_sessions, std::nullopt);
  v1::TenantQuota& quota = *server_.service().info.mutable_quota();
  quota.set_tenant("lab");
  quota.set_max_sessions(0);
  quota.set_max_retained_image_bytes(1 << 20);
  quota.set_max_requests(2);
  quota.set_max_queries(3);
  quota.set_max_background_requests(4);
  quota.set_max_upload_bytes(5);
  const TenantQuota told = client_->GetServerInfo()->quota;
  EXPECT_EQ(told.tenant, "lab");
  EXPECT_EQ(told.max_sessions, 0);
  EXPECT_EQ(told.max_retained_image_bytes, 1 << 20);
  EXPECT_EQ(told.max_requests, 2);
  EXPECT_EQ(told.max_queries, 3);
  EXPECT_EQ(told.max_background_requests, 4);
  EXPECT_EQ(told.max_upload_bytes, 5);
}

}  // namespace
}  // namespace semsam::client
