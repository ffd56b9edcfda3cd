// The answering side of a call whose one answer takes a while.
#ifndef SEMSAM_SERVER_RPC_UNARY_REACTOR_H_
#define SEMSAM_SERVER_RPC_UNARY_REACTOR_H_

#include <google/protobuf/message.h>
#include <grpcpp/support/server_callback.h>

#include "absl/status/status.h"
#include "server/rpc/call_scope.h"
#include "server/rpc/wire.h"

namespace semsam {

// Owns itself: gone after OnDone. Thread-safety: as an engine calls its sink.
class UnaryReactor : public grpc::ServerUnaryReactor {
 public:
  void OnCancel() override { scope_.Cancel(); }
  void OnDone() override { delete this; }

 protected:
  // `response` outlives the call.
  UnaryReactor(const RpcParts& parts, Method method, grpc::CallbackServerContext& context,
               grpc::ByteBuffer& response)
      : scope_(parts, method, context), response_(response) {}

  // Each ends the call; one of them, once.
  void Answer(const google::protobuf::Message& message) {
    response_ = SerializeMessage(message);
    scope_.CountSent(static_cast<int64_t>(response_.Length()));
    Finish(scope_.End(absl::OkStatus()));
  }
  void Fail(const absl::Status& status) { Finish(scope_.End(status)); }

  CallScope& scope() { return scope_; }

 private:
  CallScope scope_;
  grpc::ByteBuffer& response_;
};

}  // namespace semsam

#endif  // SEMSAM_SERVER_RPC_UNARY_REACTOR_H_
