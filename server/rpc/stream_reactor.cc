#include "server/rpc/stream_reactor.h"

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

void StreamReactor::HandleSlot::Set(const std::shared_ptr<StreamHandle>& handle) {
  int64_t consumed_bytes = 0;
  {
    MutexLock lock(mutex_);
    handle_ = handle;
    consumed_bytes = std::exchange(early_bytes_, 0);
  }
  if (handle == nullptr) return;
  // What happened while there was nobody to tell.
  handle->Consumed(consumed_bytes);
  handle->Wake();
}

void StreamReactor::HandleSlot::Consumed(int64_t bytes) {
  std::shared_ptr<StreamHandle> handle;
  {
    MutexLock lock(mutex_);
    handle = handle_;
    if (handle == nullptr) early_bytes_ += bytes;
  }
  if (handle != nullptr) handle->Consumed(bytes);
}

void StreamReactor::HandleSlot::Wake() {
  std::shared_ptr<StreamHandle> handle;
  {
    MutexLock lock(mutex_);
    handle = handle_;
  }
  if (handle != nullptr) handle->Wake();
}

// Whoever changes the state decides in the same breath: once the lock is gone,
// another thread may send the status, and with it end the reactor.
StreamReactor::Step StreamReactor::NextStep() {
  if (writing_) return {};
  if (broken_) pending_.clear();
  if (!pending_.empty()) {
    writing_ = true;
    return {.write = &pending_.front().message};  // a deque's elements stay in place
  }
  return {.end = std::exchange(end_, std::nullopt)};
}

// Outside the lock, because gRPC may call back from here, and only with a step to
// take: without one the reactor may be gone.
void StreamReactor::Take(const Step& step) {
  if (step.write != nullptr) {
    StartWrite(step.write);
  } else if (step.end.has_value()) {
    Finish(scope_.End(*step.end));
  }
}

void StreamReactor::OnWriteDone(bool ok) {
  const std::shared_ptr<HandleSlot> slot = slot_;
  int64_t written_bytes = 0;
  Step step;
  {
    MutexLock lock(mutex_);
    written_bytes = pending_.front().window_bytes;
    pending_.pop_front();
    writing_ = false;
    // After one failed write no other can succeed.
    if (!ok) broken_ = true;
    step = NextStep();
  }
  if (!ok) Leave();
  slot->Consumed(written_bytes);
  if (step.any()) Take(step);
}

void StreamReactor::Send(const google::protobuf::Message& message, int64_t window_bytes) {
  Pending next{.message = SerializeMessage(message), .window_bytes = window_bytes};
  Step step;
  {
    MutexLock lock(mutex_);
    pending_.push_back(std::move(next));
    step = NextStep();
  }
  if (step.any()) Take(step);
}

void StreamReactor::SendLast(const google::protobuf::Message& message) {
  Pending last{.message = SerializeMessage(message)};
  Step step;
  {
    MutexLock lock(mutex_);
    end_ = absl::OkStatus();
    pending_.push_back(std::move(last));
    step = NextStep();
  }
  if (step.any()) Take(step);
}

void StreamReactor::Fail(absl::Status status) {
  Step step;
  {
    MutexLock lock(mutex_);
    end_ = std::move(status);
    // What was not sent is not worth waiting for.
    broken_ = true;
    step = NextStep();
  }
  if (step.any()) Take(step);
}

// Nobody reads any more: the work stops where it is.
void StreamReactor::Leave() {
  const std::shared_ptr<HandleSlot> slot = slot_;
  scope_.Cancel();
  slot->Wake();
}

}  // namespace semsam
