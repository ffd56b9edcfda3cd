// Messages to and from the bytes that travel.
//
// The service takes its requests as bytes and parses them itself, because gRPC
// answers a request that does not parse without a word: proto3 refuses text that is
// not UTF-8, and a client could not know which field to mend.
//
// Thread-safe: free functions without state.
#ifndef SEMSAM_SERVER_RPC_WIRE_H_
#define SEMSAM_SERVER_RPC_WIRE_H_

#include <google/protobuf/message.h>
#include <grpcpp/support/byte_buffer.h>

#include <optional>
#include <string>

#include "absl/status/status.h"

namespace semsam {

// INVALID_ARGUMENT that names the first field whose text is not UTF-8
// (`labels.objects.words[3]`), or none if the bytes are no such message.
absl::Status ParseMessage(const grpc::ByteBuffer& bytes, google::protobuf::Message& message);

grpc::ByteBuffer SerializeMessage(const google::protobuf::Message& message);

// The path of the first text in `bytes`, a message of this type, that is not UTF-8.
std::optional<std::string> FindBadUtf8(const google::protobuf::Descriptor& type,
                                       const std::string& bytes);

}  // namespace semsam

#endif  // SEMSAM_SERVER_RPC_WIRE_H_
