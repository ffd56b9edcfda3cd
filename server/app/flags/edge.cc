// Where the server listens, what a message may hold, and how it ends.
#include <cstdint>
#include <string>

#include "absl/flags/flag.h"
#include "absl/time/time.h"
#include "server/app/flags/topics.h"

ABSL_FLAG(std::string, listen, "127.0.0.1:50051",
          "where to serve gRPC: HOST:PORT (port 0 picks a free one) or unix:PATH");
ABSL_FLAG(std::string, port_file, "", "file that gets the port once the server listens");
ABSL_FLAG(std::string, metrics_listen, "",
          "where to serve Prometheus metrics: HOST:PORT; empty serves none");
ABSL_FLAG(absl::Duration, drain_grace, absl::Seconds(25),
          "how long running calls may go on after SIGTERM");
ABSL_FLAG(absl::Duration, exit_margin, absl::Seconds(4),
          "how much later the process ends at the latest, with status 3, whatever still runs");
ABSL_FLAG(bool, trust_tenant_metadata, false,
          "believe the tenant that the metadata semsam-tenant names: for a server that only a "
          "proxy of yours reaches");
ABSL_FLAG(int64_t, max_message_mib, 4, "MiB of one received message, 16 at most");

namespace semsam {

void ReadEdgeFlags(ServerOptions& options) {
  options.rpc.listen = absl::GetFlag(FLAGS_listen);
  options.port_file = absl::GetFlag(FLAGS_port_file);
  options.metrics_listen = absl::GetFlag(FLAGS_metrics_listen);
  options.drain_grace = absl::GetFlag(FLAGS_drain_grace);
  options.exit_margin = absl::GetFlag(FLAGS_exit_margin);
  options.rpc.auth.trust_tenant_metadata = absl::GetFlag(FLAGS_trust_tenant_metadata);
  options.rpc.max_message_bytes = MebibytesFlag(FLAGS_max_message_mib);
}

}  // namespace semsam
