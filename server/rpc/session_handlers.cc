#include "server/rpc/session_handlers.h"

#include "model/base/status_macros.h"
#include "server/rpc/convert.h"

namespace semsam {

absl::Status GetServerInfo(const CallScope& scope, const v1::GetServerInfoRequest& /*request*/,
                           v1::GetServerInfoResponse& response) {
  const RpcParts& parts = scope.parts();
  response = ServerInfoToProto(parts.version, parts.engine.model(), parts.engine.options());
  return absl::OkStatus();
}

absl::Status CreateSession(const CallScope& scope, const v1::CreateSessionRequest& request,
                           v1::CreateSessionResponse& response) {
  SEMSAM_ASSIGN_OR_RETURN(
      const SessionInfo session,
      scope.parts().engine.CreateSession(scope.limits().tenant, FromProto(request.ttl())));
  *response.mutable_session() = ToProto(session);
  return absl::OkStatus();
}

absl::Status GetSession(const CallScope& scope, const v1::GetSessionRequest& request,
                        v1::GetSessionResponse& response) {
  SEMSAM_ASSIGN_OR_RETURN(
      const SessionInfo session,
      scope.parts().engine.GetSession(scope.limits().tenant, request.session_id()));
  *response.mutable_session() = ToProto(session);
  return absl::OkStatus();
}

absl::Status DeleteSession(const CallScope& scope, const v1::DeleteSessionRequest& request,
                           v1::DeleteSessionResponse& /*response*/) {
  return scope.parts().engine.DeleteSession(scope.limits().tenant, request.session_id());
}

}  // namespace semsam
