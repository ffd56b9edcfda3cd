// What a server's error says beside its code and text.
//
// The client keeps every google.rpc detail of an error as a payload of the
// absl::Status, under the detail's type URL ("type.googleapis.com/
// google.rpc.ErrorInfo" and so on, serialized), and puts the request field into
// the text if the server did not. These functions read the payloads.
//
// Thread-safe: free functions without state.
#ifndef SEMSAM_CLIENT_ERRORS_H_
#define SEMSAM_CLIENT_ERRORS_H_

#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"

namespace semsam::client {

// The server's stable reason, e.g. "POINT_OUTSIDE_IMAGE".
std::optional<std::string> ErrorReason(const absl::Status& status);

// Path of the first offending request field, e.g. "prompts[3].click.x".
std::optional<std::string> ErrorField(const absl::Status& status);

// SHA-256 (hex) of the image that the server no longer holds.
std::optional<std::string> ErrorImageDigest(const absl::Status& status);

// How long to wait before another attempt makes sense.
std::optional<absl::Duration> ErrorRetryAfter(const absl::Status& status);

}  // namespace semsam::client

#endif  // SEMSAM_CLIENT_ERRORS_H_
