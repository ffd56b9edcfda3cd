// A second port, for those who run the server: health, reflection and channelz, in plain
// text and without tokens. Not for the network that clients come from.
#ifndef SEMSAM_SERVER_RPC_ADMIN_SERVER_H_
#define SEMSAM_SERVER_RPC_ADMIN_SERVER_H_

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/rpc/readiness.h"

namespace semsam {

struct AdminOptions {
  // "host:port" (port 0 picks a free one) or "unix:/path"; empty: no such port.
  std::string listen;
  // Lets grpc.channelz.v1 tell of every connection and call of the process.
  bool channelz = false;

  absl::Status Validate() const;
};

// Stops when destroyed.
class AdminServer {
 public:
  // Says what `readiness` does, which outlives this. UNAVAILABLE if it cannot listen.
  static absl::StatusOr<std::unique_ptr<AdminServer>> Start(const AdminOptions& options,
                                                            Readiness& readiness);
  virtual ~AdminServer() = default;

  virtual const std::string& address() const = 0;
  virtual int port() const = 0;  // 0 for a unix socket
};

}  // namespace semsam

#endif  // SEMSAM_SERVER_RPC_ADMIN_SERVER_H_
