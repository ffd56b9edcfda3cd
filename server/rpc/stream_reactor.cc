#include "server/rpc/stream_reactor.h"

#include <utility>

#include "server/rpc/wire.h"

namespace semsam {
namespace {

// A client that neither reads nor leaves is cut off this long after the deadline,
// which the engine itself reports before.
constexpr absl::Duration kCutOffDelay = absl::Seconds(2);

}  // namespace

StreamReactor::StreamReactor(const RpcParts& parts, Method method,
                             grpc::CallbackServerContext& context)
    : scope_(parts, method, context) {
  if (scope_.has_server_deadline()) {
    alarm_.Set(scope_.limits().deadline + kCutOffDelay, [&context] { context.TryCancel(); });
  }
}

// Only with a step to take: without one the reactor may be gone.
void StreamReactor::Take(const SendQueue::Step& step) {
  if (step.write != nullptr) {
    scope_.BeginAnswer();
    scope_.CountSent(static_cast<int64_t>(step.write->Length()));
    StartWrite(step.write);
  } else if (step.end.has_value()) {
    Finish(scope_.End(*step.end));
  }
}

void StreamReactor::OnWriteDone(bool ok) {
  const std::shared_ptr<HandleSlot> slot = slot_;
  const SendQueue::Written written = queue_.OnWritten(ok);
  if (!ok) Leave();
  slot->Consumed(written.window_bytes());
  if (written.next.any()) Take(written.next);
}

void StreamReactor::Send(const google::protobuf::Message& message, int64_t window_bytes) {
  const SendQueue::Step step = queue_.Push(SerializeMessage(message), window_bytes);
  if (step.any()) Take(step);
}

void StreamReactor::SendProgress(const google::protobuf::Message& message) {
  const SendQueue::Step step = queue_.PushProgress(SerializeMessage(message));
  if (step.any()) Take(step);
}

void StreamReactor::SendLast(const google::protobuf::Message& message) {
  const SendQueue::Step step = queue_.PushLast(SerializeMessage(message));
  if (step.any()) Take(step);
}

void StreamReactor::Fail(absl::Status status) {
  const SendQueue::Step step = queue_.Fail(std::move(status));
  if (step.any()) Take(step);
}

// Nobody reads any more: the work stops where it is.
void StreamReactor::Leave() {
  const std::shared_ptr<HandleSlot> slot = slot_;
  scope_.Cancel();
  slot->Wake();
}

}  // namespace semsam
