#include "server/rpc/listener.h"

#include <grpcpp/health_check_service_interface.h>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace semsam {

absl::StatusOr<Listener> Listen(grpc::ServerBuilder& builder, const std::string& listen,
                                const std::shared_ptr<grpc::ServerCredentials>& credentials) {
  grpc::EnableDefaultHealthCheckService(true);
  // Two servers on one port would share its clients by chance.
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  Listener listener;
  builder.AddListeningPort(listen, credentials, &listener.port);
  listener.server = builder.BuildAndStart();
  const bool is_unix = absl::StartsWith(listen, "unix:");
  if (listener.server == nullptr || (!is_unix && listener.port <= 0)) {
    return absl::UnavailableError(absl::StrCat("cannot listen on ", listen));
  }
  if (is_unix) {
    listener.port = 0;
    listener.address = listen;
  } else {
    listener.address = absl::StrCat(listen.substr(0, listen.rfind(':')), ":", listener.port);
  }
  return listener;
}

}  // namespace semsam
