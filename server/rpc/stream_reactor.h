// The sending side of a call that streams its answer.
//
// Guarantees
//   - At most one write is outstanding; messages leave in the order of Send.
//   - A client that reads slowly pauses the engine's call, one that left cancels it.
//   - After an error nothing that still waits is sent.
#ifndef SEMSAM_SERVER_RPC_STREAM_REACTOR_H_
#define SEMSAM_SERVER_RPC_STREAM_REACTOR_H_

#include <google/protobuf/message.h>
#include <grpcpp/support/server_callback.h>

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <utility>

#include "absl/status/status.h"
#include "model/base/mutex.h"
#include "server/pipeline/stream_call.h"
#include "server/rpc/call_alarm.h"
#include "server/rpc/call_scope.h"

namespace semsam {

// Owns itself: gone after OnDone.
// Thread-safety: Send, SendLast and Fail as an engine calls its sink, one at a time,
// the last two once and last.
class StreamReactor : public grpc::ServerWriteReactor<grpc::ByteBuffer> {
 public:
  void OnWriteDone(bool ok) override;
  void OnCancel() override { Leave(); }
  void OnDone() override { delete this; }

 protected:
  StreamReactor(const RpcParts& parts, Method method, grpc::CallbackServerContext& context);

  // The engine's handle; it comes when the call may already be running, or over.
  class HandleSlot {
   public:
    void Set(const std::shared_ptr<StreamHandle>& handle);
    void Consumed(int64_t bytes);
    void Wake();

   private:
    Mutex mutex_;
    std::shared_ptr<StreamHandle> handle_ ABSL_GUARDED_BY(mutex_);
    int64_t early_bytes_ ABSL_GUARDED_BY(mutex_) = 0;
  };

  // `start` begins the engine's call and returns its handle; the call may be over,
  // and this with it, before it returns.
  template <typename Begin>
  void Start(Begin begin) {
    const std::shared_ptr<HandleSlot> slot = slot_;
    slot->Set(begin());
  }

  // `window_bytes`: what the message counts for in the engine's window.
  void Send(const google::protobuf::Message& message, int64_t window_bytes);
  void SendLast(const google::protobuf::Message& message);
  void Fail(absl::Status status);

  CallScope& scope() { return scope_; }

 private:
  struct Pending {
    grpc::ByteBuffer message;
    int64_t window_bytes = 0;
  };

  // What carries the stream on: a write, the status, or nothing for now.
  struct Step {
    const grpc::ByteBuffer* write = nullptr;
    std::optional<absl::Status> end;

    bool any() const { return write != nullptr || end.has_value(); }
  };

  Step NextStep() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Take(const Step& step);
  void Leave();

  CallScope scope_;
  const std::shared_ptr<HandleSlot> slot_ = std::make_shared<HandleSlot>();

  Mutex mutex_;
  std::deque<Pending> pending_ ABSL_GUARDED_BY(mutex_);  // front: being written
  bool writing_ ABSL_GUARDED_BY(mutex_) = false;
  bool broken_ ABSL_GUARDED_BY(mutex_) = false;
  std::optional<absl::Status> end_ ABSL_GUARDED_BY(mutex_);  // known and not yet sent
  CallAlarm alarm_;
};

}  // namespace semsam

#endif  // SEMSAM_SERVER_RPC_STREAM_REACTOR_H_
