// Named factories for the errors that reach a client, and the details they carry.
//
// An error is an absl::Status whose payloads hold what a program needs beside
// the text: a stable reason, the path of the offending request field, and the
// digest of an image that the server no longer holds. server/rpc turns them
// into google.rpc.ErrorInfo and google.rpc.BadRequest; nothing else reads them.
//
// Thread-safe: free functions without state.
#ifndef SEMSAM_MODEL_BASE_ERRORS_H_
#define SEMSAM_MODEL_BASE_ERRORS_H_

#include <optional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/time/time.h"

namespace semsam {

// Stable, machine-readable reasons (google.rpc.ErrorInfo.reason). Never rename.
namespace reason {
inline constexpr std::string_view kInvalidArgument = "INVALID_ARGUMENT_FIELD";
inline constexpr std::string_view kImageUndecodable = "IMAGE_UNDECODABLE";
inline constexpr std::string_view kImageTooLarge = "IMAGE_TOO_LARGE";
inline constexpr std::string_view kPointOutsideImage = "POINT_OUTSIDE_IMAGE";
inline constexpr std::string_view kUnknownLevel = "UNKNOWN_LEVEL";
inline constexpr std::string_view kUploadProtocol = "UPLOAD_PROTOCOL";
inline constexpr std::string_view kDigestMismatch = "DIGEST_MISMATCH";
inline constexpr std::string_view kSessionNotFound = "SESSION_NOT_FOUND";
inline constexpr std::string_view kImageNotFound = "IMAGE_NOT_FOUND";
inline constexpr std::string_view kMaskNotFound = "MASK_NOT_FOUND";
inline constexpr std::string_view kCapabilityMissing = "CAPABILITY_MISSING";
inline constexpr std::string_view kQueueFull = "QUEUE_FULL";
inline constexpr std::string_view kMemoryFull = "MEMORY_FULL";
inline constexpr std::string_view kLimitExceeded = "LIMIT_EXCEEDED";
inline constexpr std::string_view kQuotaExceeded = "QUOTA_EXCEEDED";
inline constexpr std::string_view kUnauthenticated = "UNAUTHENTICATED";
inline constexpr std::string_view kTenantRequired = "TENANT_REQUIRED";
inline constexpr std::string_view kDeadlineUnmeetable = "DEADLINE_UNMEETABLE";
inline constexpr std::string_view kDeviceFault = "DEVICE_FAULT";
inline constexpr std::string_view kDraining = "DRAINING";
inline constexpr std::string_view kUploadStalled = "UPLOAD_STALLED";
inline constexpr std::string_view kSuperseded = "SUPERSEDED";
inline constexpr std::string_view kStreamExpired = "STREAM_EXPIRED";
}  // namespace reason

// INVALID_ARGUMENT that names the request field, e.g. `prompts[3].click.x`.
absl::Status InvalidField(std::string_view field, std::string_view message,
                          std::string_view reason = reason::kInvalidArgument);

// Any other code that names the request field.
absl::Status FieldError(absl::StatusCode code, std::string_view field, std::string_view message,
                        std::string_view reason);

// FAILED_PRECONDITION: `field` asks for what the loaded model cannot do.
absl::Status CapabilityMissing(std::string_view field, std::string_view message);

// Any other code with a stable reason.
absl::Status ErrorWithReason(absl::StatusCode code, std::string_view reason,
                             std::string_view message);

// NOT_FOUND for an image; `sha256_hex` (may be empty) tells the client what to
// upload again. `image_id` is empty for one that is known by its digest alone.
absl::Status ImageNotFound(std::string_view image_id, std::string_view sha256_hex);

// RESOURCE_EXHAUSTED with a hint when to try again.
absl::Status Overloaded(std::string_view reason, std::string_view message,
                        absl::Duration retry_after);

// UNAVAILABLE: the device answers nothing any more in this process; another may.
absl::Status DeviceFault(std::string_view message);
bool IsDeviceFault(const absl::Status& status);

// `status` with `prefix` put before the text; code and details stay.
absl::Status Annotate(const absl::Status& status, std::string_view prefix);

// `status` with `prefix` put before the path in its field detail, if it has
// one: PrependField(InvalidField("x", ...), "prompts[3].click") names
// `prompts[3].click.x`.
absl::Status PrependField(const absl::Status& status, std::string_view prefix);

std::optional<std::string> ErrorField(const absl::Status& status);
std::optional<std::string> ErrorReason(const absl::Status& status);
std::optional<std::string> ErrorImageDigest(const absl::Status& status);
std::optional<absl::Duration> ErrorRetryAfter(const absl::Status& status);

}  // namespace semsam

#endif  // SEMSAM_MODEL_BASE_ERRORS_H_
