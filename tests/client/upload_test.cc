// Uploads, and how a lost image is recovered.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <future>

#include "tests/client/client_fixture.h"

namespace semsam::client {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;

using UploadTest = ClientTest;

TEST_F(UploadTest, ALostImageIsUploadedAgainAndTheCallRepeated) {
  server_.service().ForgetImages();
  request_.recovery_image = image_;
  const auto summary = Segment();
  ASSERT_TRUE(summary.ok()) << summary.status();
  EXPECT_THAT(masks_, SizeIs(6));
  const auto uploads = server_.service().uploads();
  ASSERT_THAT(uploads, SizeIs(2));
  EXPECT_EQ(uploads[1].bytes, *image_);
  const auto requests = server_.service().segment_requests();
  ASSERT_THAT(requests, SizeIs(2));
  EXPECT_NE(requests[1].image_id(), request_.image_id);
  EXPECT_EQ(summary->recovered_image_id, requests[1].image_id());
}

TEST_F(UploadTest, ALostImageIsTheCallersWithoutARecoveryImage) {
  server_.service().ForgetImages();
  const absl::Status status = Segment().status();
  EXPECT_TRUE(absl::IsNotFound(status));
  EXPECT_EQ(ErrorReason(status), "IMAGE_NOT_FOUND");
  EXPECT_THAT(ErrorImageDigest(status), testing::Optional(SizeIs(64)));
  EXPECT_THAT(server_.service().uploads(), SizeIs(1));
}

TEST_F(UploadTest, RecoveryHappensOnce) {
  Script({}, MakeError({.code = grpc::StatusCode::NOT_FOUND, .reason = "IMAGE_NOT_FOUND"}));
  request_.recovery_image = image_;
  EXPECT_TRUE(absl::IsNotFound(Segment().status()));
  EXPECT_THAT(server_.service().segment_requests(), SizeIs(2));
  EXPECT_THAT(server_.service().uploads(), SizeIs(2));
}

TEST_F(UploadTest, RecoveryNeverSendsADifferentImage) {
  server_.service().ForgetImages();
  request_.recovery_image = std::make_shared<const std::string>("another image");
  const absl::Status status = Segment().status();
  EXPECT_TRUE(absl::IsNotFound(status));
  EXPECT_THAT(std::string(status.message()), HasSubstr("different image"));
  EXPECT_THAT(server_.service().uploads(), SizeIs(1));
}

TEST_F(UploadTest, RecoveryNeverRepeatsMasks) {
  Script({MaskMessage()},
         MakeError({.code = grpc::StatusCode::NOT_FOUND, .reason = "IMAGE_NOT_FOUND"}));
  request_.recovery_image = image_;
  EXPECT_TRUE(absl::IsNotFound(Segment().status()));
  EXPECT_THAT(masks_, SizeIs(1));
  EXPECT_THAT(server_.service().segment_requests(), SizeIs(1));
}

TEST_F(UploadTest, ALostSessionIsTheCallers) {
  ASSERT_TRUE(client_->DeleteSession(request_.session_id).ok());
  request_.recovery_image = image_;
  const absl::Status status = Segment().status();
  EXPECT_EQ(ErrorReason(status), "SESSION_NOT_FOUND");
  EXPECT_THAT(server_.service().uploads(), SizeIs(1));
}

TEST_F(UploadTest, OneTimeoutBoundsTheWholeRecovery) {
  server_.service().ForgetImages();
  request_.recovery_image = image_;
  const auto release = std::make_shared<std::promise<void>>();
  server_.service().OnUploadHeader([release](const auto&) {
    release->get_future().wait();
    return grpc::Status::OK;
  });
  EXPECT_TRUE(absl::IsDeadlineExceeded(Segment({.timeout = absl::Milliseconds(200)}).status()));
  release->set_value();
}

TEST_F(UploadTest, UploadsStreamInChunksWithTheirDigestUpFront) {
  const std::string bytes(600 << 10, 'x');
  std::vector<size_t> sent;
  const auto upload =
      client_->UploadImage(request_.session_id, bytes, [&](size_t sent_bytes, size_t total_bytes) {
        EXPECT_EQ(total_bytes, bytes.size());
        sent.push_back(sent_bytes);
      });
  ASSERT_TRUE(upload.ok()) << upload.status();
  EXPECT_EQ(upload->image.size, (ImageSize{.height = 48, .width = 64}));
  EXPECT_EQ(upload->timings.encode, absl::Milliseconds(7));
  EXPECT_THAT(sent, ElementsAre(256 << 10, 512 << 10, 600 << 10));
  const UploadRecord record = server_.service().uploads().back();
  EXPECT_EQ(record.header.session_id(), request_.session_id);
  EXPECT_EQ(record.header.total_bytes(), bytes.size());
  EXPECT_EQ(record.bytes, bytes);
  EXPECT_THAT(record.chunk_bytes, ElementsAre(256 << 10, 256 << 10, 88 << 10));
}

TEST_F(UploadTest, TheDigestIsSha256) {
  ASSERT_TRUE(client_->UploadImage(request_.session_id, "abc").ok());
  EXPECT_EQ(server_.service().uploads().back().header.sha256(),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST_F(UploadTest, ChunksStayUnderTheServersLimit) {
  server_.service().info.mutable_limits()->set_max_chunk_bytes(1000);
  const auto client = ConnectTo(server_);
  ASSERT_TRUE(client->UploadImage(request_.session_id, std::string(2500, 'x')).ok());
  EXPECT_THAT(server_.service().uploads().back().chunk_bytes, ElementsAre(1000, 1000, 500));
}

TEST_F(UploadTest, AnUploadThatIsRefusedMidwayReportsTheServersReason) {
  server_.service().OnUploadHeader([](const auto&) {
    return MakeError({.code = grpc::StatusCode::INVALID_ARGUMENT,
                      .message = "too many bytes",
                      .reason = "IMAGE_TOO_LARGE",
                      .field = "header.total_bytes"});
  });
  const auto upload = client_->UploadImage(request_.session_id, std::string(8 << 20, 'x'));
  EXPECT_TRUE(absl::IsInvalidArgument(upload.status())) << upload.status();
  EXPECT_EQ(ErrorField(upload.status()), "header.total_bytes");
  EXPECT_EQ(ErrorReason(upload.status()), "IMAGE_TOO_LARGE");
}

}  // namespace
}  // namespace semsam::client
