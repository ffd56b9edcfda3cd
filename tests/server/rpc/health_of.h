// Asks grpc.health.v1, whose stubs nobody generates.
#ifndef SEMSAM_TESTS_SERVER_RPC_HEALTH_OF_H_
#define SEMSAM_TESTS_SERVER_RPC_HEALTH_OF_H_

#include <grpc/health/v1/health.pb.h>
#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>
#include <grpcpp/generic/generic_stub.h>

#include <future>
#include <memory>
#include <string>
#include <utility>

#include "server/rpc/wire.h"

namespace semsam {

// One call of any method with one message, whatever it takes: its status. `answer` gets
// the bytes of a single answer.
inline grpc::Status CallWith(const std::shared_ptr<grpc::Channel>& channel,
                             grpc::ClientContext& context, const std::string& method,
                             const grpc::ByteBuffer& request, grpc::ByteBuffer* answer = nullptr) {
  grpc::GenericStub stub(channel);
  grpc::ByteBuffer ignored;
  std::promise<grpc::Status> done;
  stub.UnaryCall(&context, method, grpc::StubOptions(), &request,
                 answer != nullptr ? answer : &ignored,
                 [&done](grpc::Status status) { done.set_value(std::move(status)); });
  return done.get_future().get();
}

// "SERVING", "NOT_SERVING", or "none" if the server keeps no record of `service`.
inline std::string HealthOf(const std::shared_ptr<grpc::Channel>& channel,
                            const std::string& service) {
  grpc::health::v1::HealthCheckRequest request;
  request.set_service(service);
  grpc::ClientContext context;
  grpc::ByteBuffer bytes;
  const grpc::Status status =
      CallWith(channel, context, "/grpc.health.v1.Health/Check", SerializeMessage(request), &bytes);
  if (status.error_code() == grpc::StatusCode::NOT_FOUND) return "none";
  grpc::health::v1::HealthCheckResponse response;
  if (!status.ok() || !ParseMessage(bytes, response).ok()) return status.error_message();
  return grpc::health::v1::HealthCheckResponse::ServingStatus_Name(response.status());
}

}  // namespace semsam

#endif  // SEMSAM_TESTS_SERVER_RPC_HEALTH_OF_H_
