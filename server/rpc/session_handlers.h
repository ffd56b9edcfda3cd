// The calls about sessions and about the server: they answer at once, but for the one
// that may have to encode an image.
#ifndef SEMSAM_SERVER_RPC_SESSION_HANDLERS_H_
#define SEMSAM_SERVER_RPC_SESSION_HANDLERS_H_

#include <grpcpp/support/byte_buffer.h>
#include <grpcpp/support/server_callback.h>

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
absl::Status RenewSession(const CallScope& scope, const v1::RenewSessionRequest& request,
                          v1::RenewSessionResponse& response);
absl::Status ListSessions(const CallScope& scope, const v1::ListSessionsRequest& request,
                          v1::ListSessionsResponse& response);
absl::Status DeleteSession(const CallScope& scope, const v1::DeleteSessionRequest& request,
                           v1::DeleteSessionResponse& response);

// The reactor owns itself; everything passed outlives the call.
grpc::ServerUnaryReactor* AttachImage(const RpcParts& parts, grpc::CallbackServerContext& context,
                                      const grpc::ByteBuffer& request, grpc::ByteBuffer& response);

}  // namespace semsam

#endif  // SEMSAM_SERVER_RPC_SESSION_HANDLERS_H_
