#include "client/cli/connection.h"

#include "absl/strings/str_cat.h"

namespace semsam::client {

void AddConnectionFlags(ArgParser& parser, ConnectionFlags& flags) {
  parser.AddGroup("Server");
  parser.AddValue("server", "HOST:PORT",
                  absl::StrCat("where the server listens (", flags.server, ")"),
                  SetString(flags.server));
  parser.AddSwitch("tls", "encrypt, and check the server's certificate", flags.tls);
  parser.AddValue("ca-file", "FILE", "PEM certificates to trust instead of the system's",
                  SetString(flags.ca_file));
  parser.AddValue("tls-server-name", "NAME", "name in the certificate, if it is not HOST",
                  SetString(flags.tls_server_name));
  parser.AddValue("tenant", "NAME", "whose call it is, for a server that takes your word for it",
                  SetString(flags.tenant));
  parser.AddValue("timeout", "SECONDS", "of each call (30; uploads 120; words and everything 600)",
                  SetSeconds(flags.timeout));
}

ClientOptions ToClientOptions(const ConnectionFlags& flags) {
  ClientOptions options{.target = flags.server,
                        .tls = flags.tls,
                        .ca_file = flags.ca_file,
                        .tls_server_name = flags.tls_server_name};
  if (!flags.tenant.empty()) options.metadata.emplace_back("semsam-tenant", flags.tenant);
  if (flags.timeout > absl::ZeroDuration()) {
    options.default_timeout = flags.timeout;
    options.default_upload_timeout = flags.timeout;
    options.default_long_timeout = flags.timeout;
  }
  return options;
}

}  // namespace semsam::client
