// The connection that a client's calls share. Internal to the client: not
// installed.
#ifndef SEMSAM_CLIENT_CHANNEL_H_
#define SEMSAM_CLIENT_CHANNEL_H_

#include <memory>

#include "absl/status/statusor.h"
#include "client/client.h"
#include "grpcpp/channel.h"

namespace semsam::client {

// A channel to options.target, which connects when it is first used. `options`
// must be valid; INVALID_ARGUMENT if the certificates cannot be read. Channels to one
// server share a connection unless they ask for their own.
absl::StatusOr<std::shared_ptr<grpc::Channel>> OpenChannel(const ClientOptions& options,
                                                           bool own_connection = false);

}  // namespace semsam::client

#endif  // SEMSAM_CLIENT_CHANNEL_H_
