// The messages of a stream on their way out, and the status behind them.
//
// Guarantees
//   - At most one write is outstanding; messages leave in the order they came.
//   - The status comes once, last, with no write outstanding.
//   - After an error, or a write that failed, nothing that still waits is sent.
#ifndef SEMSAM_SERVER_RPC_SEND_QUEUE_H_
#define SEMSAM_SERVER_RPC_SEND_QUEUE_H_

#include <grpcpp/support/byte_buffer.h>

#include <cstdint>
#include <deque>
#include <optional>

#include "absl/status/status.h"
#include "model/base/mutex.h"

namespace semsam {

// It knows no reactor: whoever changes the queue is told what to do about it, and
// once that is nothing, another thread may have sent the status already.
// Thread-safe; PushLast or Fail once, and no Push after it.
class SendQueue {
 public:
  // What carries the stream on: a write, the status, or nothing for now.
  struct Step {
    // Stays in place until OnWritten.
    const grpc::ByteBuffer* write = nullptr;
    std::optional<absl::Status> end;

    bool any() const { return write != nullptr || end.has_value(); }
  };

  struct Written {
    int64_t window_bytes = 0;  // of the message that was written
    Step next;
  };

  // `window_bytes`: what the message counts for in its sender's window.
  Step Push(grpc::ByteBuffer message, int64_t window_bytes);
  // The last message; the status after it is OK.
  Step PushLast(grpc::ByteBuffer message);
  // The status is `status`.
  Step Fail(absl::Status status);

  // The outstanding write is done.
  Written OnWritten(bool ok);

 private:
  struct Pending {
    grpc::ByteBuffer message;
    int64_t window_bytes = 0;
  };

  Step NextStep() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  Mutex mutex_;
  std::deque<Pending> pending_ ABSL_GUARDED_BY(mutex_);  // front: being written
  bool writing_ ABSL_GUARDED_BY(mutex_) = false;
  bool broken_ ABSL_GUARDED_BY(mutex_) = false;
  std::optional<absl::Status> end_ ABSL_GUARDED_BY(mutex_);  // known and not yet sent
};

}  // namespace semsam

#endif  // SEMSAM_SERVER_RPC_SEND_QUEUE_H_
