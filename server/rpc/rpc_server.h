// The gRPC server over an engine: service, health, reflection, graceful stop.
#ifndef SEMSAM_SERVER_RPC_RPC_SERVER_H_
#define SEMSAM_SERVER_RPC_RPC_SERVER_H_

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "model/base/clock.h"
#include "server/metrics/metrics.h"
#include "server/pipeline/engine.h"

namespace semsam {

struct AuthOptions {
  // Believe the tenant that the metadata `semsam-tenant` names: for a server that is
  // reached through a proxy alone, which sets it.
  bool trust_tenant_metadata = false;
};

struct RpcServerOptions {
  // "host:port" (port 0 picks a free one) or "unix:/path".
  std::string listen = "127.0.0.1:50051";
  std::string version;
  int64_t max_message_bytes = int64_t{4} << 20;  // received, and of one SegmentOnce answer
  AuthOptions auth;
  absl::Duration keepalive_time = absl::Seconds(60);
  absl::Duration keepalive_timeout = absl::Seconds(20);

  absl::Status Validate() const;
};

// Thread-safe.
class RpcServer {
 public:
  // Everything passed by reference outlives the server. UNAVAILABLE if it cannot
  // listen there. Health is SERVING when it returns.
  static absl::StatusOr<std::unique_ptr<RpcServer>> Start(const RpcServerOptions& options,
                                                          Engine& engine, Metrics& metrics,
                                                          const Clock& clock);
  virtual ~RpcServer() = default;

  // What clients connect to, with the port that was chosen.
  virtual const std::string& address() const = 0;
  // 0 for a unix socket.
  virtual int port() const = 0;

  // Health is NOT_SERVING, the engine refuses new work, and what runs is waited for,
  // `grace` at most, however many are refused meanwhile; then the rest is cancelled
  // and the server stops. OK if no call that was there had to be cancelled.
  virtual absl::Status Drain(absl::Duration grace) = 0;
};

}  // namespace semsam

#endif  // SEMSAM_SERVER_RPC_RPC_SERVER_H_
