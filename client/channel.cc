#include "client/channel.h"

#include <algorithm>
#include <fstream>
#include <iterator>
#include <string>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "client/status_details.h"
#include "grpcpp/create_channel.h"
#include "grpcpp/security/credentials.h"
#include "grpcpp/support/channel_arguments.h"

namespace semsam::client {
namespace {

constexpr char kUserAgent[] = "semsam-client/1";
constexpr size_t kMaxChunkBytes = 2 << 20;
constexpr size_t kMaxMessageBytes = 1 << 30;

// gRPC aborts on metadata that HTTP/2 cannot carry.
bool IsMetadataKey(const std::string& key) {
  return !key.empty() && !absl::StartsWith(key, "grpc-") &&
         std::all_of(key.begin(), key.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' ||
                  c == '.';
         });
}

bool IsMetadataValue(const std::string& key, const std::string& value) {
  return absl::EndsWith(key, "-bin") ||
         std::all_of(value.begin(), value.end(), [](char c) { return c >= 0x20 && c <= 0x7e; });
}

absl::StatusOr<std::string> ReadCertificates(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::string pem((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  if (!file || !absl::StrContains(pem, "-----BEGIN")) {
    return InvalidField("ca_file", absl::StrCat("holds no PEM certificate: ", path));
  }
  return pem;
}

}  // namespace

absl::Status ClientOptions::Validate() const {
  if (target.empty()) return InvalidField("target", "must name a server, e.g. localhost:50051");
  if (!tls && !(ca_file.empty() && tls_server_name.empty())) {
    return InvalidField(ca_file.empty() ? "tls_server_name" : "ca_file", "is set, but tls is off");
  }
  if (connect_timeout < absl::ZeroDuration()) {
    return InvalidField("connect_timeout", "must not be negative");
  }
  if (default_timeout <= absl::ZeroDuration()) {
    return InvalidField("default_timeout", "must be positive");
  }
  if (default_upload_timeout <= absl::ZeroDuration()) {
    return InvalidField("default_upload_timeout", "must be positive");
  }
  if (default_long_timeout <= absl::ZeroDuration()) {
    return InvalidField("default_long_timeout", "must be positive");
  }
  if (chunk_bytes < 1 || chunk_bytes > kMaxChunkBytes) {
    return InvalidField("chunk_bytes", absl::StrCat("must lie in [1, ", kMaxChunkBytes, "]"));
  }
  if (max_message_bytes < 1 || max_message_bytes > kMaxMessageBytes) {
    return InvalidField("max_message_bytes",
                        absl::StrCat("must lie in [1, ", kMaxMessageBytes, "]"));
  }
  for (const auto& [key, value] : metadata) {
    if (!IsMetadataKey(key)) {
      return InvalidField("metadata", absl::StrCat("'", absl::CEscape(key),
                                                   "' is no key: a-z, "
                                                   "0-9, '-', '_', '.', not grpc-"));
    }
    if (!IsMetadataValue(key, value)) {
      return InvalidField("metadata", absl::StrCat("the value of '", key, "' is not ASCII text"));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<std::shared_ptr<grpc::Channel>> OpenChannel(const ClientOptions& options,
                                                           bool own_connection) {
  grpc::ChannelArguments arguments;
  arguments.SetUserAgentPrefix(kUserAgent);
  arguments.SetMaxReceiveMessageSize(static_cast<int>(options.max_message_bytes));
  if (own_connection) arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  if (!options.tls) {
    return grpc::CreateCustomChannel(options.target, grpc::InsecureChannelCredentials(), arguments);
  }
  grpc::SslCredentialsOptions ssl;
  if (!options.ca_file.empty()) {
    auto pem = ReadCertificates(options.ca_file);
    if (!pem.ok()) return pem.status();
    ssl.pem_root_certs = *std::move(pem);
  }
  if (!options.tls_server_name.empty()) {
    arguments.SetSslTargetNameOverride(options.tls_server_name);
  }
  return grpc::CreateCustomChannel(options.target, grpc::SslCredentials(ssl), arguments);
}

}  // namespace semsam::client
