// One call of grpc.health.v1.Health/Check. Internal to the client: not
// installed.
#ifndef SEMSAM_CLIENT_HEALTH_CHECK_H_
#define SEMSAM_CLIENT_HEALTH_CHECK_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "client/types.h"
#include "grpcpp/channel.h"
#include "grpcpp/client_context.h"

namespace semsam::client {

// Blocks until the answer or the context's deadline. kUnknown if the server
// keeps no record of `service`.
absl::StatusOr<HealthStatus> CheckHealthOf(const std::shared_ptr<grpc::Channel>& channel,
                                           grpc::ClientContext& context,
                                           const std::string& service);

}  // namespace semsam::client

#endif  // SEMSAM_CLIENT_HEALTH_CHECK_H_
