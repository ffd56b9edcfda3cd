// A gRPC server that listens, the same way for every port.
#ifndef SEMSAM_SERVER_RPC_LISTENER_H_
#define SEMSAM_SERVER_RPC_LISTENER_H_

#include <grpcpp/security/server_credentials.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>

#include <memory>
#include <string>

#include "absl/status/statusor.h"

namespace semsam {

struct Listener {
  std::unique_ptr<grpc::Server> server;
  std::string address;  // what clients connect to, with the port that was chosen
  int port = 0;         // 0 for a unix socket
};

// Services of gRPC's own, which are switched on for the process but belong on some
// ports only.
struct BuiltIns {
  bool reflection = false;
  bool channelz = false;
};

// Before the builder is made that is to serve them.
void EnableBuiltIns(const BuiltIns& built_ins);

// Builds what `builder` was told, and listens on `listen` ("host:port", port 0 picks a
// free one, or "unix:/path"), with the services of `built_ins` and no others. Health is there, ""
// SERVING until it is told otherwise. UNAVAILABLE if it cannot listen.
absl::StatusOr<Listener> Listen(grpc::ServerBuilder& builder, const std::string& listen,
                                const std::shared_ptr<grpc::ServerCredentials>& credentials,
                                const BuiltIns& built_ins);

}  // namespace semsam

#endif  // SEMSAM_SERVER_RPC_LISTENER_H_
