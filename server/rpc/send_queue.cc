#include "server/rpc/send_queue.h"

#include <grpcpp/support/slice.h>

#include <algorithm>
#include <utility>

namespace semsam {
namespace {

void AppendSlices(const grpc::ByteBuffer& message, std::vector<grpc::Slice>& slices) {
  std::vector<grpc::Slice> parts;
  if (!message.Dump(&parts).ok()) return;
  for (grpc::Slice& part : parts) slices.push_back(std::move(part));
}

}  // namespace

int64_t SendQueue::Written::window_bytes() const {
  int64_t total = 0;
  for (const Credit& credit : credits) total += credit.bytes;
  return total;
}

// The first that waits, and what may travel with it.
void SendQueue::TakeOutgoing() {
  outgoing_.Swap(&pending_.front().message);
  credits_.push_back(pending_.front().credit);
  pending_.pop_front();
  size_t bytes = outgoing_.Length();
  std::vector<grpc::Slice> joined;
  while (!pending_.empty() && bytes + pending_.front().message.Length() <= options_.join_bytes) {
    if (joined.empty()) AppendSlices(outgoing_, joined);
    bytes += pending_.front().message.Length();
    AppendSlices(pending_.front().message, joined);
    credits_.push_back(pending_.front().credit);
    pending_.pop_front();
  }
  if (!joined.empty()) outgoing_ = grpc::ByteBuffer(joined.data(), joined.size());
}

// Whoever changes the state decides in the same breath: once the lock is gone,
// another thread may send the status, and with it end the stream.
SendQueue::Step SendQueue::NextStep() {
  if (writing_) return {};
  if (broken_) {
    pending_.clear();
    unsent_bytes_ = 0;
  }
  if (pending_.empty()) return {.end = std::exchange(end_, std::nullopt)};
  const bool all_held = std::all_of(pending_.begin(), pending_.end(),
                                    [](const Pending& pending) { return pending.held; });
  if (all_held && !end_.has_value()) return {};
  TakeOutgoing();
  writing_ = true;
  return {.write = &outgoing_};
}

void SendQueue::Append(const Pending& pending) {
  unsent_bytes_ += pending.credit.bytes;
  pending_.push_back(pending);
}

SendQueue::Step SendQueue::Push(const grpc::ByteBuffer& message, int64_t window_bytes,
                                uint64_t owner) {
  MutexLock lock(mutex_);
  Append({.message = message, .credit = {.owner = owner, .bytes = window_bytes}});
  return NextStep();
}

void SendQueue::Hold(const grpc::ByteBuffer& message, int64_t window_bytes, uint64_t owner) {
  MutexLock lock(mutex_);
  Append({.message = message, .credit = {.owner = owner, .bytes = window_bytes}, .held = true});
}

SendQueue::Step SendQueue::PushProgress(const grpc::ByteBuffer& message, uint64_t owner) {
  MutexLock lock(mutex_);
  const auto waiting =
      std::find_if(pending_.begin(), pending_.end(), [owner](const Pending& pending) {
        return pending.progress && pending.credit.owner == owner;
      });
  if (waiting != pending_.end()) {
    waiting->message = message;
    return {};  // a write is under way, or the next message near
  }
  pending_.push_back({.message = message, .credit = {.owner = owner}, .progress = true});
  return NextStep();
}

SendQueue::Step SendQueue::PushLast(const grpc::ByteBuffer& message) {
  MutexLock lock(mutex_);
  end_ = absl::OkStatus();
  pending_.push_back({.message = message});
  return NextStep();
}

SendQueue::Step SendQueue::End(absl::Status status) {
  MutexLock lock(mutex_);
  end_ = std::move(status);
  return NextStep();
}

SendQueue::Step SendQueue::Fail(absl::Status status) {
  MutexLock lock(mutex_);
  end_ = std::move(status);
  // What was not sent is not worth waiting for.
  broken_ = true;
  return NextStep();
}

bool SendQueue::Room() const {
  return pending_.size() < options_.room_messages && unsent_bytes_ < options_.room_bytes;
}

bool SendQueue::HasRoom() {
  MutexLock lock(mutex_);
  // Only a write that ends can make room.
  room_wanted_ = writing_ && !Room();
  return !room_wanted_;
}

SendQueue::Written SendQueue::OnWritten(bool ok) {
  MutexLock lock(mutex_);
  Written written{.credits = std::exchange(credits_, {})};
  unsent_bytes_ -= written.window_bytes();
  writing_ = false;
  // After one failed write no other can succeed.
  if (!ok) broken_ = true;
  written.next = NextStep();
  if (room_wanted_ && Room()) {
    room_wanted_ = false;
    written.room = true;
  }
  return written;
}

}  // namespace semsam
