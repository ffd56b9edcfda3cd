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
  parser.AddValue("cert-file", "FILE", "PEM certificate to show to the server (mTLS)",
                  SetString(flags.cert_file));
  parser.AddValue("key-file", "FILE", "PEM key of that certificate", SetString(flags.key_file));
  parser.AddValue("token-file", "FILE", "file with the bearer token to send",
                  SetString(flags.token_file));
  parser.AddValue("tenant", "NAME", "whose call it is, for a server that takes your word for it",
                  SetString(flags.tenant));
  parser.AddValue("attempts", "N", "make a call that is refused for now up to N times, 1 to 5 (1)",
                  SetPositiveInt(flags.attempts));
  parser.AddValue("timeout", "SECONDS", "of each call (30; uploads 120; words and everything 600)",
                  SetSeconds(flags.timeout));
}

ClientOptions ToClientOptions(const ConnectionFlags& flags) {
  ClientOptions options{.target = flags.server,
                        .tls = flags.tls,
                        .ca_file = flags.ca_file,
                        .tls_server_name = flags.tls_server_name,
                        .cert_file = flags.cert_file,
                        .key_file = flags.key_file,
                        .token_file = flags.token_file,
                        .retry = {.max_attempts = flags.attempts}};
  if (!flags.tenant.empty()) options.metadata.emplace_back("semsam-tenant", flags.tenant);
  if (flags.timeout > absl::ZeroDuration()) {
    options.default_timeout = flags.timeout;
    options.default_upload_timeout = flags.timeout;
    options.default_long_timeout = flags.timeout;
  }
  return options;
}

}  // namespace semsam::client
