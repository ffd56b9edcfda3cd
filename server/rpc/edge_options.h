// What the server wants of connections, before any call is looked at.
#ifndef SEMSAM_SERVER_RPC_EDGE_OPTIONS_H_
#define SEMSAM_SERVER_RPC_EDGE_OPTIONS_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"

namespace semsam {

struct TlsOptions {
  // PEM: the certificate with its chain, and its private key. Both empty: plain text.
  std::string cert_file;
  std::string key_file;
  // PEM: who signs the certificates that clients must show. Empty: they show none.
  std::string client_ca_file;
  // How often the files are looked at; new connections get what they hold then. To be
  // replaced together, by renaming their folder or a link to it, as Kubernetes does.
  absl::Duration reload_interval = absl::Seconds(10);

  bool enabled() const { return !cert_file.empty(); }

  absl::Status Validate() const;
};

struct ConnectionOptions {
  // A connection that is silent for so long is pinged, and given up if no answer comes.
  absl::Duration keepalive_time = absl::Seconds(60);
  absl::Duration keepalive_timeout = absl::Seconds(20);
  // A client that pings more often than this is sent away (too_many_pings).
  absl::Duration min_ping_interval = absl::Seconds(30);
  // Connections are closed at this age, so that clients find servers that came later;
  // the calls on them get the grace to end. Infinite: never.
  absl::Duration max_age = absl::Minutes(30);
  absl::Duration max_age_grace = absl::Minutes(5);
  // Calls on one connection. Above the bounds of the engine, which refuse with a reason
  // and a hint, where this one lets the client wait without a word.
  int max_concurrent_streams = 1024;
  // What gRPC may hold for all connections together, half-sent requests first of all;
  // close to it new calls are refused and idle connections closed.
  int64_t max_memory_bytes = int64_t{512} << 20;
  // Of one request.
  int64_t max_metadata_bytes = int64_t{16} << 10;

  absl::Status Validate() const;
};

// INVALID_ARGUMENT that names `field` unless `listen` is HOST:PORT or unix:PATH.
absl::Status ValidateListen(const std::string& field, const std::string& listen);

}  // namespace semsam

#endif  // SEMSAM_SERVER_RPC_EDGE_OPTIONS_H_
