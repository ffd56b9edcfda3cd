// The flags that every command shares: where the server is and how to reach it.
#ifndef SEMSAM_CLIENT_CLI_CONNECTION_H_
#define SEMSAM_CLIENT_CLI_CONNECTION_H_

#include <string>

#include "absl/time/time.h"
#include "client/cli/args.h"
#include "client/client.h"

namespace semsam::client {

struct ConnectionFlags {
  std::string server = "127.0.0.1:50051";
  bool tls = false;
  std::string ca_file;
  std::string tls_server_name;
  std::string tenant;  // empty: the server knows, or there is none
  std::string cert_file;
  std::string key_file;
  std::string token_file;
  int attempts = 1;                               // of a call that is refused for now
  absl::Duration timeout = absl::ZeroDuration();  // a call; zero takes the library's defaults
};

// `flags` must outlive `parser`.
void AddConnectionFlags(ArgParser& parser, ConnectionFlags& flags);

ClientOptions ToClientOptions(const ConnectionFlags& flags);

}  // namespace semsam::client

#endif  // SEMSAM_CLIENT_CLI_CONNECTION_H_
