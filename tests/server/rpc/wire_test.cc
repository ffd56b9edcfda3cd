#include "server/rpc/wire.h"

#include <gmock/gmock.h>
#include <google/protobuf/unknown_field_set.h>
#include <grpcpp/support/slice.h>
#include <gtest/gtest.h>

#include <string>

#include "model/base/errors.h"
#include "semsam/v1/segmentation_service.pb.h"

namespace semsam {
namespace {

using google::protobuf::UnknownFieldSet;

// The bytes of a message field by field, which no check of protobuf's own stops.
std::string Bytes(const UnknownFieldSet& fields) {
  std::string bytes;
  fields.SerializeToString(&bytes);
  return bytes;
}

std::string WordList(const std::vector<std::string>& words) {
  UnknownFieldSet list;
  for (const std::string& word : words) list.AddLengthDelimited(1, word);
  return Bytes(list);
}

grpc::ByteBuffer Buffer(const std::string& bytes) {
  // In pieces, as it may arrive.
  const size_t half = bytes.size() / 2;
  const grpc::Slice slices[] = {grpc::Slice(bytes.substr(0, half)),
                                grpc::Slice(bytes.substr(half))};
  return grpc::ByteBuffer(slices, 2);
}

TEST(Wire, AMessageComesBackAsItWasSerialized) {
  v1::SegmentRequest sent;
  sent.set_session_id("s");
  sent.mutable_labels()->mutable_objects()->add_words("caf\xc3\xa9");
  v1::SegmentRequest read;
  ASSERT_TRUE(ParseMessage(SerializeMessage(sent), read).ok());
  EXPECT_EQ(read.SerializeAsString(), sent.SerializeAsString());
  v1::GetServerInfoRequest empty;
  EXPECT_TRUE(ParseMessage(SerializeMessage(empty), empty).ok());
}

TEST(Wire, TextThatIsNotUtf8IsNamedByItsField) {
  UnknownFieldSet labels;
  labels.AddLengthDelimited(1, WordList({"dog", "cat", "cow", "caf\xc3"}));
  UnknownFieldSet request;
  request.AddLengthDelimited(1, "session");
  request.AddLengthDelimited(5, Bytes(labels));
  v1::SegmentRequest message;
  const absl::Status status = ParseMessage(Buffer(Bytes(request)), message);
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(ErrorField(status), "labels.objects.words[3]");
  EXPECT_EQ(ErrorReason(status), reason::kInvalidArgument);
  UnknownFieldSet session;
  session.AddLengthDelimited(1, "\xff");
  v1::GetSessionRequest get;
  EXPECT_EQ(ErrorField(ParseMessage(Buffer(Bytes(session)), get)), "session_id");
}

TEST(Wire, BytesAndUnknownFieldsAreNoText) {
  UnknownFieldSet request;
  request.AddLengthDelimited(2, "\xff\xfe");    // image_bytes
  request.AddLengthDelimited(900, "\xff\xfe");  // of a newer client
  v1::SegmentOnceRequest message;
  EXPECT_TRUE(ParseMessage(Buffer(Bytes(request)), message).ok());
  EXPECT_EQ(FindBadUtf8(*message.GetDescriptor(), Bytes(request)), std::nullopt);
}

TEST(Wire, WhatIsNoMessageHasNoField) {
  v1::SegmentRequest message;
  for (const std::string& bytes : {std::string("\x0a\x7f"), std::string(3, '\xff')}) {
    const absl::Status status = ParseMessage(Buffer(bytes), message);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_EQ(ErrorField(status), std::nullopt);
    EXPECT_TRUE(ErrorReason(status).has_value());
  }
}

}  // namespace
}  // namespace semsam
