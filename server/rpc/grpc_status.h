// From absl::Status to what travels: code, text, and google.rpc details.
//
// Thread-safe: free functions without state.
#ifndef SEMSAM_SERVER_RPC_GRPC_STATUS_H_
#define SEMSAM_SERVER_RPC_GRPC_STATUS_H_

#include <grpcpp/support/status.h>

#include <optional>
#include <string>

#include "absl/status/status.h"

namespace semsam {

// google.rpc.ErrorInfo.domain of every error.
inline constexpr char kErrorDomain[] = "semsam";
// google.rpc.ErrorInfo.metadata key of an image that must be uploaded again.
inline constexpr char kSha256Key[] = "sha256";
// Trailing metadata that gRPC's own retry policy obeys, in milliseconds.
inline constexpr char kRetryPushbackKey[] = "grpc-retry-pushback-ms";

// The same code and text (cut to what fits a header), and a google.rpc.Status with
// ErrorInfo for a reason, BadRequest for a field, RetryInfo for a retry hint.
grpc::Status ToGrpcStatus(const absl::Status& status);

// Value of kRetryPushbackKey for an error that says when to try again; negative for a
// RESOURCE_EXHAUSTED with a reason that says it not, because waiting cannot help.
std::optional<std::string> RetryPushback(const absl::Status& status);

}  // namespace semsam

#endif  // SEMSAM_SERVER_RPC_GRPC_STATUS_H_
