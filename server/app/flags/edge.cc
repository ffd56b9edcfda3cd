// Where the server listens, what a message may hold, and how it ends.
#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>

#include "absl/flags/flag.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "server/app/flags/topics.h"

namespace semsam {

// Found by the flags library next to the type.
bool AbslParseFlag(absl::string_view text, LogFormat* format, std::string* error) {
  const std::optional<LogFormat> named = LogFormatByName({text.data(), text.size()});
  if (named.has_value()) {
    *format = *named;
  } else {
    *error = "must be text or json";
  }
  return named.has_value();
}

std::string AbslUnparseFlag(LogFormat format) {
  return format == LogFormat::kJson ? "json" : "text";
}

}  // namespace semsam

ABSL_FLAG(std::string, listen, "127.0.0.1:50051",
          "where to serve gRPC: HOST:PORT (port 0 picks a free one) or unix:PATH");
ABSL_FLAG(std::string, tls_cert, "",
          "PEM file of the server's certificate and its chain; empty serves plain text");
ABSL_FLAG(std::string, tls_key, "", "PEM file of its private key");
ABSL_FLAG(std::string, tls_client_ca, "",
          "PEM file of who signs clients' certificates: clients must show one (mTLS)");
ABSL_FLAG(absl::Duration, reload_interval, absl::Seconds(10),
          "how often those files and --auth_tokens_file are looked at for changes");
ABSL_FLAG(std::string, auth_tokens_file, "",
          "file of tokens, a line each: TENANT SHA256-OF-TOKEN; calls need one of them");
ABSL_FLAG(bool, trust_tenant_metadata, false,
          "without tokens, believe the tenant that the metadata semsam-tenant names: for a server "
          "that only a proxy of yours reaches");
ABSL_FLAG(bool, reflection, true, "answer gRPC reflection to clients");
ABSL_FLAG(std::string, admin_listen, "",
          "where to serve health and reflection, in plain text and without tokens, to those who "
          "run the server: HOST:PORT or unix:PATH; empty serves them with --listen alone");
ABSL_FLAG(bool, channelz, false, "serve grpc.channelz there");
ABSL_FLAG(bool, warm_up, true, "run the model once before health says SERVING");
ABSL_FLAG(absl::Duration, keepalive_time, absl::Seconds(60),
          "silence after which a connection is pinged");
ABSL_FLAG(absl::Duration, keepalive_timeout, absl::Seconds(20), "longest wait for the answer");
ABSL_FLAG(absl::Duration, min_ping_interval, absl::Seconds(30),
          "a client that pings more often is sent away");
ABSL_FLAG(absl::Duration, max_connection_age, absl::Minutes(30),
          "age at which a connection is closed, so that clients find newer servers; inf: never");
ABSL_FLAG(absl::Duration, max_connection_age_grace, absl::Minutes(5),
          "what calls on it then get to end");
ABSL_FLAG(int, max_concurrent_streams, 1024, "calls on one connection");
ABSL_FLAG(int64_t, grpc_memory_mib, 512, "MiB that gRPC may hold for all connections together");
ABSL_FLAG(int64_t, max_metadata_kib, 16, "KiB of the metadata of one request");
ABSL_FLAG(absl::Duration, max_upload_pause, absl::Seconds(10),
          "silence after which an upload is given up");
ABSL_FLAG(std::string, port_file, "", "file that gets the port once the server listens");
ABSL_FLAG(std::string, metrics_listen, "",
          "where to serve Prometheus metrics: HOST:PORT; empty serves none");
ABSL_FLAG(absl::Duration, drain_grace, absl::Seconds(25),
          "how long running calls may go on after SIGTERM");
ABSL_FLAG(absl::Duration, drain_delay, absl::Seconds(5),
          "the first part of --drain_grace: not ready and no new sessions, all else is served");
ABSL_FLAG(absl::Duration, exit_margin, absl::Seconds(4),
          "how much later the process ends at the latest, with status 3, whatever still runs");
ABSL_FLAG(int64_t, max_message_mib, 4, "MiB of one received message, 16 at most");

ABSL_FLAG(semsam::LogFormat, log_format, semsam::LogFormat::kText,
          "one line an event on standard error: text (key=value) or json");
ABSL_FLAG(int, log_queue_lines, 8192,
          "lines that wait for whoever reads the log; beyond them the oldest are dropped");

namespace semsam {
namespace {

void ReadConnectionFlags(RpcServerOptions& rpc) {
  rpc.tls = {.cert_file = absl::GetFlag(FLAGS_tls_cert),
             .key_file = absl::GetFlag(FLAGS_tls_key),
             .client_ca_file = absl::GetFlag(FLAGS_tls_client_ca),
             .reload_interval = absl::GetFlag(FLAGS_reload_interval)};
  rpc.auth = {.tokens_file = absl::GetFlag(FLAGS_auth_tokens_file),
              .trust_tenant_metadata = absl::GetFlag(FLAGS_trust_tenant_metadata)};
  constexpr int64_t kMostKib = int64_t{1} << 40;  // no overflow
  rpc.connections = {
      .keepalive_time = absl::GetFlag(FLAGS_keepalive_time),
      .keepalive_timeout = absl::GetFlag(FLAGS_keepalive_timeout),
      .min_ping_interval = absl::GetFlag(FLAGS_min_ping_interval),
      .max_age = absl::GetFlag(FLAGS_max_connection_age),
      .max_age_grace = absl::GetFlag(FLAGS_max_connection_age_grace),
      .max_concurrent_streams = absl::GetFlag(FLAGS_max_concurrent_streams),
      .max_memory_bytes = MebibytesFlag(FLAGS_grpc_memory_mib),
      .max_metadata_bytes =
          std::clamp(absl::GetFlag(FLAGS_max_metadata_kib), -kMostKib, kMostKib) * 1024};
  rpc.max_upload_pause = absl::GetFlag(FLAGS_max_upload_pause);
  rpc.reflection = absl::GetFlag(FLAGS_reflection);
}

}  // namespace

void ReadEdgeFlags(ServerOptions& options) {
  options.rpc.listen = absl::GetFlag(FLAGS_listen);
  options.port_file = absl::GetFlag(FLAGS_port_file);
  options.metrics_listen = absl::GetFlag(FLAGS_metrics_listen);
  options.drain_grace = absl::GetFlag(FLAGS_drain_grace);
  options.exit_margin = absl::GetFlag(FLAGS_exit_margin);
  options.rpc.max_message_bytes = MebibytesFlag(FLAGS_max_message_mib);
  ReadConnectionFlags(options.rpc);
  options.admin = {.listen = absl::GetFlag(FLAGS_admin_listen),
                   .channelz = absl::GetFlag(FLAGS_channelz)};
  options.warm_up = absl::GetFlag(FLAGS_warm_up);
  options.drain_delay = absl::GetFlag(FLAGS_drain_delay);
  options.log.format = absl::GetFlag(FLAGS_log_format);
  options.log.max_waiting_lines = absl::GetFlag(FLAGS_log_queue_lines);
}

}  // namespace semsam
