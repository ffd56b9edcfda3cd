// The sending side of a call that streams its answer.
//
// Guarantees
//   - Messages leave in the order of Send, see SendQueue.
//   - A client that reads slowly pauses the engine's call, one that left cancels it.
#ifndef SEMSAM_SERVER_RPC_STREAM_REACTOR_H_
#define SEMSAM_SERVER_RPC_STREAM_REACTOR_H_

#include <google/protobuf/message.h>
#include <grpcpp/support/server_callback.h>

#include <cstdint>
#include <memory>

#include "absl/status/status.h"
#include "server/pipeline/handle_slot.h"
#include "server/pipeline/stream_call.h"
#include "server/rpc/call_alarm.h"
#include "server/rpc/call_scope.h"
#include "server/rpc/send_queue.h"

namespace semsam {

// Owns itself: gone after OnDone.
// Thread-safety: Send, SendProgress, SendLast and Fail as an engine calls its sink, one at a time,
// the last two once and last.
class StreamReactor : public grpc::ServerWriteReactor<grpc::ByteBuffer> {
 public:
  void OnWriteDone(bool ok) override;
  void OnCancel() override { Leave(); }
  void OnDone() override { delete this; }

 protected:
  StreamReactor(const RpcParts& parts, Method method, grpc::CallbackServerContext& context);

  // `start` begins the engine's call and returns its handle; the call may be over,
  // and this with it, before it returns.
  template <typename Begin>
  void Start(Begin begin) {
    const std::shared_ptr<HandleSlot> slot = slot_;
    slot->Set(begin());
  }

  // `window_bytes`: what the message counts for in the engine's window.
  void Send(const google::protobuf::Message& message, int64_t window_bytes);
  // How far the call is; takes the place of what was told before and was not sent.
  void SendProgress(const google::protobuf::Message& message);
  void SendLast(const google::protobuf::Message& message);
  void Fail(absl::Status status);

  CallScope& scope() { return scope_; }

 private:
  void Take(const SendQueue::Step& step);
  void Leave();

  CallScope scope_;
  const std::shared_ptr<HandleSlot> slot_ = std::make_shared<HandleSlot>();

  SendQueue queue_;
  CallAlarm alarm_;
};

}  // namespace semsam

#endif  // SEMSAM_SERVER_RPC_STREAM_REACTOR_H_
