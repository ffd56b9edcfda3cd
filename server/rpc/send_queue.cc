#include "server/rpc/send_queue.h"

#include <utility>

namespace semsam {

// Whoever changes the state decides in the same breath: once the lock is gone,
// another thread may send the status, and with it end the stream.
SendQueue::Step SendQueue::NextStep() {
  if (writing_) return {};
  if (broken_) pending_.clear();
  if (!pending_.empty()) {
    writing_ = true;
    return {.write = &pending_.front().message};  // a deque's elements stay in place
  }
  return {.end = std::exchange(end_, std::nullopt)};
}

SendQueue::Step SendQueue::Push(grpc::ByteBuffer message, int64_t window_bytes) {
  MutexLock lock(mutex_);
  pending_.push_back({.message = std::move(message), .window_bytes = window_bytes});
  return NextStep();
}

SendQueue::Step SendQueue::PushLast(grpc::ByteBuffer message) {
  MutexLock lock(mutex_);
  end_ = absl::OkStatus();
  pending_.push_back({.message = std::move(message)});
  return NextStep();
}

SendQueue::Step SendQueue::Fail(absl::Status status) {
  MutexLock lock(mutex_);
  end_ = std::move(status);
  // What was not sent is not worth waiting for.
  broken_ = true;
  return NextStep();
}

SendQueue::Written SendQueue::OnWritten(bool ok) {
  MutexLock lock(mutex_);
  Written written{.window_bytes = pending_.front().window_bytes};
  pending_.pop_front();
  writing_ = false;
  // After one failed write no other can succeed.
  if (!ok) broken_ = true;
  written.next = NextStep();
  return written;
}

}  // namespace semsam
