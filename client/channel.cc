#include "client/channel.h"

#include <algorithm>
#include <fstream>
#include <iterator>
#include <limits>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "client/status_details.h"
#include "client/token_file.h"
#include "grpcpp/create_channel.h"
#include "grpcpp/security/credentials.h"
#include "grpcpp/support/channel_arguments.h"

namespace semsam::client {
namespace {

constexpr char kUserAgent[] = "semsam-client/1";
constexpr size_t kMaxChunkBytes = 2 << 20;
constexpr size_t kMaxMessageBytes = 1 << 30;
// gRPC's own bound.
constexpr int kMostAttempts = 5;
// What a call may have sent and still be made again: a request with its picture in it.
constexpr int kRetryBufferBytes = 16 << 20;

using Interceptors =
    std::vector<std::unique_ptr<grpc::experimental::ClientInterceptorFactoryInterface>>;

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

absl::StatusOr<std::string> ReadPem(const std::string& path, const char* field) {
  std::ifstream file(path, std::ios::binary);
  std::string pem((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  if (!file || !absl::StrContains(pem, "-----BEGIN")) {
    return InvalidField(field, absl::StrCat("holds no PEM: ", path));
  }
  return pem;
}

int Milliseconds(absl::Duration duration) {
  return static_cast<int>(
      std::min<int64_t>(absl::ToInt64Milliseconds(duration), std::numeric_limits<int>::max()));
}

// gRPC's retry policy, in the form that its service configuration has. Calls that send
// more than one message have none: see retry.h.
std::string RetryPolicy(const RetryOptions& retry) {
  return absl::StrFormat(
      R"({"methodConfig": [{"name": [{"service": "semsam.v1.SegmentationService"}],
          "retryPolicy": {"maxAttempts": %d, "initialBackoff": "%.3fs", "maxBackoff": "%.3fs",
          "backoffMultiplier": 2,
          "retryableStatusCodes": ["UNAVAILABLE", "RESOURCE_EXHAUSTED"]}},
          {"name": [{"service": "semsam.v1.SegmentationService", "method": "UploadImage"},
                    {"service": "semsam.v1.SegmentationService", "method": "Interact"}]}]})",
      retry.max_attempts, absl::ToDoubleSeconds(retry.initial_backoff),
      absl::ToDoubleSeconds(retry.max_backoff));
}

grpc::ChannelArguments Arguments(const ClientOptions& options) {
  grpc::ChannelArguments arguments;
  arguments.SetUserAgentPrefix(kUserAgent);
  arguments.SetMaxReceiveMessageSize(static_cast<int>(options.max_message_bytes));
  if (options.keepalive_time != absl::InfiniteDuration()) {
    arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, Milliseconds(options.keepalive_time));
    arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, Milliseconds(options.keepalive_timeout));
    // A call may be silent for long while the model works.
    arguments.SetInt(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  }
  if (options.retry.max_attempts > 1) {
    arguments.SetServiceConfigJSON(RetryPolicy(options.retry));
    arguments.SetInt(GRPC_ARG_PER_RPC_RETRY_BUFFER_SIZE, kRetryBufferBytes);
  }
  if (!options.tls_server_name.empty()) {
    arguments.SetSslTargetNameOverride(options.tls_server_name);
  }
  return arguments;
}

absl::StatusOr<std::shared_ptr<grpc::ChannelCredentials>> Credentials(
    const ClientOptions& options) {
  if (!options.tls) return grpc::InsecureChannelCredentials();
  grpc::SslCredentialsOptions ssl;
  const std::tuple<const char*, const std::string&, std::string&> files[] = {
      {"ca_file", options.ca_file, ssl.pem_root_certs},
      {"cert_file", options.cert_file, ssl.pem_cert_chain},
      {"key_file", options.key_file, ssl.pem_private_key}};
  for (const auto& [field, path, pem] : files) {
    if (path.empty()) continue;
    auto text = ReadPem(path, field);
    if (!text.ok()) return text.status();
    pem = *std::move(text);
  }
  return grpc::SslCredentials(ssl);
}

}  // namespace

absl::Status ClientOptions::Validate() const {
  if (target.empty()) return InvalidField("target", "must name a server, e.g. localhost:50051");
  const std::pair<const char*, const std::string*> tls_options[] = {
      {"ca_file", &ca_file},
      {"tls_server_name", &tls_server_name},
      {"cert_file", &cert_file},
      {"key_file", &key_file}};
  for (const auto& [field, value] : tls_options) {
    if (!tls && !value->empty()) return InvalidField(field, "is set, but tls is off");
  }
  if (cert_file.empty() != key_file.empty()) {
    return InvalidField(cert_file.empty() ? "cert_file" : "key_file",
                        "certificate and key go together");
  }
  if (retry.max_attempts < 1 || retry.max_attempts > kMostAttempts) {
    return InvalidField("retry.max_attempts", absl::StrCat("must lie in [1, ", kMostAttempts, "]"));
  }
  if (retry.initial_backoff < absl::Milliseconds(1) || retry.max_backoff < retry.initial_backoff ||
      retry.max_backoff > absl::Hours(1)) {
    return InvalidField("retry.max_backoff",
                        "must not be shorter than initial_backoff, which must "
                        "be positive, nor longer than 1 h");
  }
  if (keepalive_time < absl::Seconds(1)) {
    return InvalidField("keepalive_time", "must not be shorter than 1 s");
  }
  if (keepalive_timeout < absl::Milliseconds(1)) {
    return InvalidField("keepalive_timeout", "must be positive");
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
    if (key == "authorization" && !token_file.empty()) {
      return InvalidField("token_file", "metadata holds an authorization already");
    }
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
  auto credentials = Credentials(options);
  if (!credentials.ok()) return credentials.status();
  Interceptors interceptors;
  if (!options.token_file.empty()) {
    auto token = TokenFile::Open(options.token_file);
    if (!token.ok()) return token.status();
    interceptors.push_back(SendToken(*std::move(token)));
  }
  grpc::ChannelArguments arguments = Arguments(options);
  if (own_connection) arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  return grpc::experimental::CreateCustomChannelWithInterceptors(
      options.target, *credentials, arguments, std::move(interceptors));
}

}  // namespace semsam::client
