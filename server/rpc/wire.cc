#include "server/rpc/wire.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/unknown_field_set.h>
#include <grpcpp/support/proto_buffer_reader.h>
#include <grpcpp/support/slice.h>

#include <map>
#include <vector>

#include "absl/strings/str_cat.h"
#include "model/base/errors.h"
#include "model/text/clean_text.h"

namespace semsam {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::UnknownField;
using google::protobuf::UnknownFieldSet;

// Deeper than any message of ours, and than protobuf itself would follow.
constexpr int kMaxDepth = 32;

std::string AllBytes(const grpc::ByteBuffer& buffer) {
  std::vector<grpc::Slice> slices;
  std::string bytes;
  if (!buffer.Dump(&slices).ok()) return bytes;
  bytes.reserve(buffer.Length());
  for (const grpc::Slice& slice : slices) {
    bytes.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
  }
  return bytes;
}

std::optional<std::string> FindIn(const Descriptor& type, const std::string& bytes, int depth) {
  // Every field is unknown to an empty message: nothing is checked while reading.
  UnknownFieldSet fields;
  if (depth > kMaxDepth || !fields.ParseFromString(bytes)) return std::nullopt;
  std::map<int, int> seen;  // entries of repeated fields, by number
  for (int i = 0; i < fields.field_count(); ++i) {
    const UnknownField& field = fields.field(i);
    const FieldDescriptor* known = type.FindFieldByNumber(field.number());
    if (known == nullptr || field.type() != UnknownField::TYPE_LENGTH_DELIMITED) continue;
    std::string path = known->name();
    if (known->is_repeated()) absl::StrAppend(&path, "[", seen[field.number()]++, "]");
    if (known->type() == FieldDescriptor::TYPE_STRING &&
        CountCharacters(field.length_delimited()) < 0) {
      return path;
    }
    if (known->type() != FieldDescriptor::TYPE_MESSAGE) continue;
    const std::optional<std::string> inner =
        FindIn(*known->message_type(), field.length_delimited(), depth + 1);
    if (inner.has_value()) return absl::StrCat(path, ".", *inner);
  }
  return std::nullopt;
}

}  // namespace

std::optional<std::string> FindBadUtf8(const Descriptor& type, const std::string& bytes) {
  return FindIn(type, bytes, /*depth=*/0);
}

absl::Status ParseMessage(const grpc::ByteBuffer& bytes, google::protobuf::Message& message) {
  grpc::ByteBuffer copy = bytes;  // shares the bytes; the reader wants to change it
  {
    grpc::ProtoBufferReader reader(&copy);
    if (reader.status().ok() && message.ParseFromZeroCopyStream(&reader)) return absl::OkStatus();
  }
  const Descriptor& type = *message.GetDescriptor();
  if (const auto field = FindBadUtf8(type, AllBytes(bytes)); field.has_value()) {
    return InvalidField(*field, "is not UTF-8");
  }
  return ErrorWithReason(absl::StatusCode::kInvalidArgument, reason::kInvalidArgument,
                         absl::StrCat("the request is no ", type.full_name()));
}

grpc::ByteBuffer SerializeMessage(const google::protobuf::Message& message) {
  const grpc::Slice slice(message.SerializeAsString());
  return grpc::ByteBuffer(&slice, 1);
}

}  // namespace semsam
