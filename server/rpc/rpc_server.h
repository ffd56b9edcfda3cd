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
#include "server/rpc/authenticator.h"
#include "server/rpc/edge_options.h"
#include "server/rpc/readiness.h"

namespace semsam {

struct RpcServerOptions {
  // "host:port" (port 0 picks a free one) or "unix:/path".
  std::string listen = "127.0.0.1:50051";
  std::string version;
  int64_t max_message_bytes = int64_t{4} << 20;  // received, and of one SegmentOnce answer
  TlsOptions tls;
  AuthOptions auth;
  ConnectionOptions connections;
  // An upload that brings nothing for so long is given up: it holds memory for others.
  absl::Duration max_upload_pause = absl::Seconds(10);
  // grpc.reflection: the protocol, for whoever asks.
  bool reflection = true;
  // Keeps the records that grpc.channelz tells, on the port of AdminServer.
  bool channelz = false;
  // Without it health is NOT_SERVING until Readiness::WarmedUp; calls are taken.
  bool start_ready = true;

  absl::Status Validate() const;
};

// Thread-safe, but for ReloadFiles: one caller at a time.
class RpcServer {
 public:
  // Everything passed by reference outlives the server. UNAVAILABLE if it cannot
  // listen there; INVALID_ARGUMENT names the option, or the file, that is wrong. Health
  // is SERVING when it returns, if the options say so.
  static absl::StatusOr<std::unique_ptr<RpcServer>> Start(const RpcServerOptions& options,
                                                          Engine& engine, Metrics& metrics,
                                                          const Clock& clock);
  virtual ~RpcServer() = default;

  // What clients connect to, with the port that was chosen.
  virtual const std::string& address() const = 0;
  // 0 for a unix socket.
  virtual int port() const = 0;

  // What health checks are told, on every port.
  virtual Readiness& readiness() = 0;

  // Looks whether the files of tokens and certificates changed. To be called every few
  // seconds; new certificates reach connections within TlsOptions::reload_interval.
  virtual void ReloadFiles() = 0;

  // The first phase of an end: health is NOT_SERVING and new sessions are refused, while
  // balancers take the server out; everything else is served as ever.
  virtual void StartLameDuck() = 0;

  // The rest of it. Health is NOT_SERVING, the engine refuses new work, and what runs is waited
  // for, `grace` at most, however many are refused meanwhile; then the rest is cancelled and the
  // server stops. OK if no call that was there had to be cancelled.
  virtual absl::Status Drain(absl::Duration grace) = 0;
};

}  // namespace semsam

#endif  // SEMSAM_SERVER_RPC_RPC_SERVER_H_
