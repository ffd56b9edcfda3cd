// One attempt each of the calls about sessions, and what identifies what they are
// about. Internal: not installed.
//
// Errors are as in client/client.h. Thread-safe: free functions without state.
#ifndef SEMSAM_CLIENT_SESSION_CALLS_H_
#define SEMSAM_CLIENT_SESSION_CALLS_H_

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "client/call_context.h"
#include "client/types.h"
#include "semsam/v1/segmentation_service.grpc.pb.h"

namespace semsam::client {

// SHA-256 as 64 lower-case hex digits.
std::string Sha256Hex(std::string_view bytes);

// What a request and its repeats carry: 128 random bits as hex; empty, and no repeat is
// known as one, if there are none to be had.
std::string NewRequestId();

absl::StatusOr<Session> CallCreateSession(v1::SegmentationService::StubInterface& stub,
                                          absl::Duration ttl, CallContext& context);
absl::StatusOr<Session> CallGetSession(v1::SegmentationService::StubInterface& stub,
                                       const std::string& session_id, CallContext& context);
absl::StatusOr<Session> CallRenewSession(v1::SegmentationService::StubInterface& stub,
                                         const std::string& session_id, absl::Duration ttl,
                                         CallContext& context);
absl::StatusOr<SessionPage> CallListSessions(v1::SegmentationService::StubInterface& stub,
                                             const ListSessionsRequest& request,
                                             CallContext& context);
absl::Status CallDeleteSession(v1::SegmentationService::StubInterface& stub,
                               const std::string& session_id, CallContext& context);
absl::StatusOr<UploadResult> CallAttachImage(v1::SegmentationService::StubInterface& stub,
                                             const std::string& session_id,
                                             const std::string& sha256, CallContext& context);

}  // namespace semsam::client

#endif  // SEMSAM_CLIENT_SESSION_CALLS_H_
