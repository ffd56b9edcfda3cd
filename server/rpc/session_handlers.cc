#include "server/rpc/session_handlers.h"

#include <algorithm>
#include <cstdint>
#include <utility>

#include "model/base/status_macros.h"
#include "server/batching/tenant_table.h"
#include "server/rpc/convert.h"
#include "server/rpc/unary_reactor.h"

namespace semsam {
namespace {

class AttachReactor final : public UnaryReactor {
 public:
  AttachReactor(const RpcParts& parts, grpc::CallbackServerContext& context,
                grpc::ByteBuffer& response)
      : UnaryReactor(parts, Method::kAttachImage, context, response) {}

  void Start(const grpc::ByteBuffer& bytes) {
    v1::AttachImageRequest request;
    if (absl::Status status = scope().Receive(bytes, request); !status.ok()) return Fail(status);
    scope().parts().engine.AttachImage(
        {.session_id = request.session_id(), .sha256 = request.sha256()}, scope().limits(),
        [this](const absl::StatusOr<UploadedImage>& attached) { OnEnd(attached); });
  }

 private:
  void OnEnd(const absl::StatusOr<UploadedImage>& attached) {
    if (!attached.ok()) return Fail(attached.status());
    v1::AttachImageResponse response;
    SetUploaded(*attached, response);
    Answer(response);
  }
};

// What the tenant may have, its share of what the server may included.
TenantQuota QuotaOf(const TenantId& tenant, const EngineOptions& options) {
  TenantQuota quota = options.tenants.Of(tenant);
  const double share = options.TenantShare();
  if (share >= 1) return quota;
  const auto bound = [share](int64_t& mine, int64_t all) {
    mine = std::min(mine,
                    std::max<int64_t>(1, static_cast<int64_t>(share * static_cast<double>(all))));
  };
  bound(quota.max_calls, options.max_segment_calls);
  bound(quota.max_queries, options.max_segment_queries);
  bound(quota.max_background_calls, options.max_background_calls);
  return quota;
}

}  // namespace

absl::Status GetServerInfo(const CallScope& scope, const v1::GetServerInfoRequest& /*request*/,
                           v1::GetServerInfoResponse& response) {
  const RpcParts& parts = scope.parts();
  const EngineOptions& options = parts.engine.options();
  response = ServerInfoToProto(parts.version, parts.engine.model(), options);
  SetEdgeLimits(parts.max_message_bytes, parts.max_upload_pause, parts.min_ping_interval,
                *response.mutable_limits());
  const TenantId& tenant = scope.limits().tenant;
  *response.mutable_quota() = QuotaToProto(tenant, QuotaOf(tenant, options));
  return absl::OkStatus();
}

absl::Status CreateSession(const CallScope& scope, const v1::CreateSessionRequest& request,
                           v1::CreateSessionResponse& response) {
  SEMSAM_ASSIGN_OR_RETURN(
      const SessionInfo session,
      scope.parts().engine.CreateSession(scope.limits().tenant, FromProto(request.ttl()),
                                         request.request_id()));
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

absl::Status RenewSession(const CallScope& scope, const v1::RenewSessionRequest& request,
                          v1::RenewSessionResponse& response) {
  SEMSAM_ASSIGN_OR_RETURN(
      const SessionInfo session,
      scope.parts().engine.RenewSession(scope.limits().tenant, request.session_id(),
                                        FromProto(request.ttl())));
  *response.mutable_session() = ToProto(session);
  return absl::OkStatus();
}

absl::Status ListSessions(const CallScope& scope, const v1::ListSessionsRequest& request,
                          v1::ListSessionsResponse& response) {
  SEMSAM_ASSIGN_OR_RETURN(SessionPage page,
                          scope.parts().engine.ListSessions(
                              scope.limits().tenant, request.page_size(), request.page_token()));
  for (const SessionInfo& session : page.sessions) *response.add_sessions() = ToProto(session);
  response.set_next_page_token(std::move(page.next_page_token));
  return absl::OkStatus();
}

absl::Status DeleteSession(const CallScope& scope, const v1::DeleteSessionRequest& request,
                           v1::DeleteSessionResponse& /*response*/) {
  return scope.parts().engine.DeleteSession(scope.limits().tenant, request.session_id(),
                                            request.request_id());
}

grpc::ServerUnaryReactor* AttachImage(const RpcParts& parts, grpc::CallbackServerContext& context,
                                      const grpc::ByteBuffer& request, grpc::ByteBuffer& response) {
  auto* reactor = new AttachReactor(parts, context, response);
  reactor->Start(request);
  return reactor;
}

}  // namespace semsam
