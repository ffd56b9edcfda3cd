#include "model/base/errors.h"

#include <gtest/gtest.h>

namespace semsam {
namespace {

TEST(Errors, FieldAndReasonTravelWithTheStatus) {
  const absl::Status status =
      InvalidField("prompts[3].click.x", "must be finite", reason::kPointOutsideImage);
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(status.message(), "prompts[3].click.x: must be finite");
  EXPECT_EQ(ErrorField(status), "prompts[3].click.x");
  EXPECT_EQ(ErrorReason(status), reason::kPointOutsideImage);
}

TEST(Errors, PrependFieldKeepsTextAndPathInStep) {
  const absl::Status inner = InvalidField("x", "must be finite");
  const absl::Status outer = PrependField(inner, "prompts[1].click");
  EXPECT_EQ(ErrorField(outer), "prompts[1].click.x");
  EXPECT_EQ(outer.message(), "prompts[1].click.x: must be finite");
  EXPECT_EQ(ErrorReason(outer), ErrorReason(inner));
}

TEST(Errors, PrependFieldLeavesOtherErrorsAlone) {
  const absl::Status status = absl::InternalError("boom");
  EXPECT_EQ(PrependField(status, "prompts"), status);
}

TEST(Errors, AMissingCapabilityNamesItsField) {
  const absl::Status status =
      PrependField(CapabilityMissing("objects", "the model has no words"), "labels");
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(ErrorReason(status), reason::kCapabilityMissing);
  EXPECT_EQ(ErrorField(status), "labels.objects");
  EXPECT_EQ(status.message(), "labels.objects: the model has no words");
}

TEST(Errors, AnnotateKeepsDetails) {
  const absl::Status status = Annotate(ImageNotFound("i-1", "ab12"), "Segment");
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(ErrorImageDigest(status), "ab12");
  EXPECT_EQ(ErrorReason(status), reason::kImageNotFound);
  EXPECT_TRUE(Annotate(absl::OkStatus(), "Segment").ok());
}

TEST(Errors, OverloadedSaysWhenToTryAgain) {
  const absl::Status status =
      Overloaded(reason::kQueueFull, "the decode queue is full", absl::Milliseconds(250));
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(ErrorRetryAfter(status), absl::Milliseconds(250));
  EXPECT_FALSE(ErrorRetryAfter(absl::InternalError("boom")).has_value());
}

}  // namespace
}  // namespace semsam
