#include "server/rpc/grpc_status.h"

#include <google/rpc/error_details.pb.h>
#include <google/rpc/status.pb.h>
#include <gtest/gtest.h>

#include <string>

#include "model/base/errors.h"

namespace semsam {
namespace {

google::rpc::Status Details(const grpc::Status& status) {
  google::rpc::Status details;
  EXPECT_TRUE(details.ParseFromString(status.error_details()));
  return details;
}

TEST(GrpcStatus, OkIsOk) { EXPECT_TRUE(ToGrpcStatus(absl::OkStatus()).ok()); }

TEST(GrpcStatus, AFieldBecomesABadRequestWithAReason) {
  const grpc::Status status =
      ToGrpcStatus(InvalidField("prompts[3].click.x", "lies outside", reason::kPointOutsideImage));
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  const google::rpc::Status details = Details(status);
  EXPECT_EQ(details.code(), 3);
  EXPECT_EQ(details.message(), status.error_message());
  ASSERT_EQ(details.details_size(), 2);
  google::rpc::ErrorInfo info;
  ASSERT_TRUE(details.details(0).UnpackTo(&info));
  EXPECT_EQ(info.domain(), "semsam");
  EXPECT_EQ(info.reason(), "POINT_OUTSIDE_IMAGE");
  google::rpc::BadRequest bad_request;
  ASSERT_TRUE(details.details(1).UnpackTo(&bad_request));
  EXPECT_EQ(bad_request.field_violations(0).field(), "prompts[3].click.x");
  EXPECT_FALSE(RetryPushback(InvalidField("x", "y")).has_value());
}

TEST(GrpcStatus, AnImageToUploadAgainIsNamedByItsDigest) {
  google::rpc::ErrorInfo info;
  ASSERT_TRUE(Details(ToGrpcStatus(ImageNotFound("i-1", "ab12"))).details(0).UnpackTo(&info));
  EXPECT_EQ(info.metadata().at("sha256"), "ab12");
}

TEST(GrpcStatus, AnOverloadSaysWhenToTryAgain) {
  const absl::Status overloaded = Overloaded(reason::kQueueFull, "full", absl::Milliseconds(1250));
  const google::rpc::Status details = Details(ToGrpcStatus(overloaded));
  ASSERT_EQ(details.details_size(), 2);
  google::rpc::RetryInfo retry;
  ASSERT_TRUE(details.details(1).UnpackTo(&retry));
  EXPECT_EQ(retry.retry_delay().seconds(), 1);
  EXPECT_EQ(retry.retry_delay().nanos(), 250000000);
  EXPECT_EQ(RetryPushback(overloaded), "1250");
}

TEST(GrpcStatus, ALimitThatWaitingDoesNotLiftForbidsRetries) {
  EXPECT_EQ(RetryPushback(ErrorWithReason(absl::StatusCode::kResourceExhausted,
                                          reason::kLimitExceeded, "the session is full")),
            "-1");
  EXPECT_FALSE(RetryPushback(absl::ResourceExhaustedError("who knows")).has_value());
  EXPECT_FALSE(RetryPushback(ErrorWithReason(absl::StatusCode::kUnavailable, reason::kDraining,
                                             "elsewhere, at once"))
                   .has_value());
}

TEST(GrpcStatus, AnErrorWithoutDetailsHasNone) {
  const grpc::Status status = ToGrpcStatus(absl::InternalError("boom"));
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INTERNAL);
  EXPECT_TRUE(status.error_details().empty());
}

TEST(GrpcStatus, LongTextsAreCutBetweenCharacters) {
  std::string text(511, 'x');
  for (int i = 0; i < 5000; ++i) text += "\xC3\xA9";  // two bytes each
  const grpc::Status status =
      ToGrpcStatus(ErrorWithReason(absl::StatusCode::kNotFound, reason::kImageNotFound, text));
  EXPECT_EQ(status.error_message(), std::string(511, 'x') + "...");
  EXPECT_LT(status.error_details().size(), 1000);
}

}  // namespace
}  // namespace semsam
