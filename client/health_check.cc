#include "client/health_check.h"

#include <cstdint>
#include <future>
#include <optional>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "client/status_details.h"
#include "google/protobuf/unknown_field_set.h"
#include "grpcpp/generic/generic_stub.h"
#include "grpcpp/support/byte_buffer.h"

// The two messages are written and read by field number: gRPC compiles the
// health protocol in but installs no header for it, and a second generated copy
// would clash with any that the caller links.
namespace semsam::client {
namespace {

constexpr char kMethod[] = "/grpc.health.v1.Health/Check";
constexpr int kServiceField = 1;  // string, HealthCheckRequest
constexpr int kStatusField = 1;   // enum, HealthCheckResponse
constexpr uint64_t kServing = 1;
constexpr uint64_t kNotServing = 2;

grpc::ByteBuffer EncodeRequest(const std::string& service) {
  google::protobuf::UnknownFieldSet message;
  message.AddLengthDelimited(kServiceField, service);
  std::string bytes;
  message.SerializeToString(&bytes);
  const grpc::Slice slice(bytes);
  return grpc::ByteBuffer(&slice, 1);
}

std::optional<HealthStatus> DecodeResponse(const grpc::ByteBuffer& response) {
  grpc::Slice slice;
  google::protobuf::UnknownFieldSet message;
  if (!response.DumpToSingleSlice(&slice).ok() ||
      !message.ParseFromArray(slice.begin(), static_cast<int>(slice.size()))) {
    return std::nullopt;
  }
  HealthStatus health = HealthStatus::kUnknown;
  for (int i = 0; i < message.field_count(); ++i) {
    const google::protobuf::UnknownField& field = message.field(i);
    if (field.number() != kStatusField) continue;
    if (field.type() != google::protobuf::UnknownField::TYPE_VARINT) return std::nullopt;
    health = field.varint() == kServing      ? HealthStatus::kServing
             : field.varint() == kNotServing ? HealthStatus::kNotServing
                                             : HealthStatus::kUnknown;
  }
  return health;
}

}  // namespace

absl::StatusOr<HealthStatus> CheckHealthOf(const std::shared_ptr<grpc::Channel>& channel,
                                           grpc::ClientContext& context,
                                           const std::string& service) {
  grpc::GenericStub stub(channel);
  const grpc::ByteBuffer request = EncodeRequest(service);
  grpc::ByteBuffer response;
  std::promise<grpc::Status> done;
  stub.UnaryCall(&context, kMethod, grpc::StubOptions(), &request, &response,
                 [&done](grpc::Status status) { done.set_value(std::move(status)); });
  const grpc::Status status = done.get_future().get();
  if (status.error_code() == grpc::StatusCode::NOT_FOUND) return HealthStatus::kUnknown;
  if (!status.ok()) return FromGrpcStatus(status);
  const std::optional<HealthStatus> health = DecodeResponse(response);
  if (!health.has_value()) return absl::DataLossError("the health service's answer is malformed");
  return *health;
}

}  // namespace semsam::client
