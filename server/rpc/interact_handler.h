// The stream of clicks. It takes and sends serialized messages of semsam.v1; the
// reactor owns itself.
#ifndef SEMSAM_SERVER_RPC_INTERACT_HANDLER_H_
#define SEMSAM_SERVER_RPC_INTERACT_HANDLER_H_

#include <grpcpp/support/server_callback.h>

#include "server/rpc/call_scope.h"

namespace semsam {

// InteractRequest to InteractResponse. While the client does not read what it was
// answered, the server reads no more of what it asks.
grpc::ServerBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer>* Interact(
    const RpcParts& parts, grpc::CallbackServerContext& context);

}  // namespace semsam

#endif  // SEMSAM_SERVER_RPC_INTERACT_HANDLER_H_
