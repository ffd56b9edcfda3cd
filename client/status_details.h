// From what a call ended with to the absl::Status that the caller gets.
// Internal to the client: not installed.
#ifndef SEMSAM_CLIENT_STATUS_DETAILS_H_
#define SEMSAM_CLIENT_STATUS_DETAILS_H_

#include <string>

#include "absl/status/status.h"
#include "grpcpp/support/status.h"
#include "semsam/v1/segmentation_service.pb.h"

namespace semsam::client {

// Code and text of `status`, its google.rpc details as payloads, and the path
// of the offending field in the text. Details that do not parse are left out.
absl::Status FromGrpcStatus(const grpc::Status& status);

// The same of an error that came in a message.
absl::Status FromInteractError(const v1::InteractError& error);

// INVALID_ARGUMENT found on this side, shaped as a server's: ErrorField names
// `field`.
absl::Status InvalidField(const std::string& field, const std::string& message);

// The same error with `prefix` before its text.
absl::Status Annotate(const absl::Status& status, const std::string& prefix);

}  // namespace semsam::client

#endif  // SEMSAM_CLIENT_STATUS_DETAILS_H_
