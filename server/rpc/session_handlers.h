// The calls that answer at once.
#ifndef SEMSAM_SERVER_RPC_SESSION_HANDLERS_H_
#define SEMSAM_SERVER_RPC_SESSION_HANDLERS_H_

#include "absl/status/status.h"
#include "semsam/v1/segmentation_service.pb.h"
#include "server/rpc/call_scope.h"

namespace semsam {

absl::Status GetServerInfo(const CallScope& scope, const v1::GetServerInfoRequest& request,
                           v1::GetServerInfoResponse& response);
absl::Status CreateSession(const CallScope& scope, const v1::CreateSessionRequest& request,
                           v1::CreateSessionResponse& response);
absl::Status GetSession(const CallScope& scope, const v1::GetSessionRequest& request,
                        v1::GetSessionResponse& response);
absl::Status DeleteSession(const CallScope& scope, const v1::DeleteSessionRequest& request,
                           v1::DeleteSessionResponse& response);

}  // namespace semsam

#endif  // SEMSAM_SERVER_RPC_SESSION_HANDLERS_H_
