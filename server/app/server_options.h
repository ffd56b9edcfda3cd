// Everything the server can be told, but for the model.
#ifndef SEMSAM_SERVER_APP_SERVER_OPTIONS_H_
#define SEMSAM_SERVER_APP_SERVER_OPTIONS_H_

#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "model/base/model_config.h"
#include "server/log/log.h"
#include "server/pipeline/engine_options.h"
#include "server/rpc/admin_server.h"
#include "server/rpc/rpc_server.h"

namespace semsam {

struct ServerOptions {
  EngineOptions engine;
  RpcServerOptions rpc;
  LogOptions log;
  AdminOptions admin;
  // "host:port" of the Prometheus metrics; empty serves none.
  std::string metrics_listen;
  // Table of what each tenant may have (TenantTable::Parse); empty: all that there is.
  std::string tenants_file;
  // Gets the port in decimal once the server listens; empty writes none.
  std::string port_file;
  // Runs the model once before health says SERVING: the first calls of a cold process
  // take several times as long.
  bool warm_up = true;
  // How long running calls may go on after SIGTERM.
  absl::Duration drain_grace = absl::Seconds(25);
  // The first part of that: health is NOT_SERVING and new sessions are refused, all else
  // is served, for as long as balancers need to look elsewhere.
  absl::Duration drain_delay = absl::ZeroDuration();
  // How much later the process is gone, whatever still runs.
  absl::Duration exit_margin = absl::Seconds(4);

  // OK, or INVALID_ARGUMENT that names the first bad field.
  absl::Status Validate(const ModelConfig& config) const;
};

}  // namespace semsam

#endif  // SEMSAM_SERVER_APP_SERVER_OPTIONS_H_
