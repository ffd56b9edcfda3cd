// The messages of a stream on their way out, and the status behind them.
//
// Guarantees
//   - At most one write is outstanding; messages leave in the order they came.
//   - Of one owner at most one message about its progress waits, the latest.
//   - The status comes once, last, with no write outstanding.
//   - After an error, or a write that failed, nothing that still waits is sent.
#ifndef SEMSAM_SERVER_RPC_SEND_QUEUE_H_
#define SEMSAM_SERVER_RPC_SEND_QUEUE_H_

#include <grpcpp/support/byte_buffer.h>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "model/base/mutex.h"

namespace semsam {

struct SendQueueOptions {
  // Messages that wait for a write to end leave together, one behind the other, up to
  // so many bytes: right for messages of repeated fields alone, which protobuf reads
  // back as one. 0: each on its own.
  size_t join_bytes = 0;
  // There is room while less than this waits or is being written.
  size_t room_messages = 64;
  int64_t room_bytes = int64_t{1} << 20;  // as counted in windows
};

// It knows no reactor: whoever changes the queue is told what to do about it, and
// once that is nothing, another thread may have sent the status already.
// Thread-safe; PushLast, End or Fail once, and no Push after it.
class SendQueue {
 public:
  explicit SendQueue(const SendQueueOptions& options = {}) : options_(options) {}

  // What carries the stream on: a write, the status, or nothing for now.
  struct Step {
    // Stays in place until OnWritten.
    const grpc::ByteBuffer* write = nullptr;
    std::optional<absl::Status> end;

    bool any() const { return write != nullptr || end.has_value(); }
  };

  // What left the window of a message's owner.
  struct Credit {
    uint64_t owner = 0;
    int64_t bytes = 0;
  };

  struct Written {
    std::vector<Credit> credits;  // one a message that was written
    bool room = false;            // there is, for whom HasRoom said no
    Step next;

    int64_t window_bytes() const;  // of all credits
  };

  // `window_bytes`: what the message counts for in the window of its owner.
  Step Push(const grpc::ByteBuffer& message, int64_t window_bytes, uint64_t owner = 0);
  // The same, but it leaves with a later message, which the caller has at hand.
  void Hold(const grpc::ByteBuffer& message, int64_t window_bytes, uint64_t owner = 0);
  // Takes the place of the owner's progress message that still waits.
  Step PushProgress(const grpc::ByteBuffer& message, uint64_t owner = 0);
  // The last message; the status after it is OK.
  Step PushLast(const grpc::ByteBuffer& message);
  // The status, after all that waits.
  Step End(absl::Status status);
  // The status is `status`.
  Step Fail(absl::Status status);

  // Whether more may be asked for. If not, a later OnWritten says when.
  bool HasRoom();

  // The outstanding write is done.
  Written OnWritten(bool ok);

 private:
  struct Pending {
    grpc::ByteBuffer message;
    Credit credit;
    bool progress = false;
    bool held = false;  // does not leave alone
  };

  void Append(const Pending& pending) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  Step NextStep() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void TakeOutgoing() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool Room() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const SendQueueOptions options_;

  Mutex mutex_;
  std::deque<Pending> pending_ ABSL_GUARDED_BY(mutex_);
  grpc::ByteBuffer outgoing_ ABSL_GUARDED_BY(mutex_);    // while writing_
  std::vector<Credit> credits_ ABSL_GUARDED_BY(mutex_);  // of outgoing_
  int64_t unsent_bytes_ ABSL_GUARDED_BY(mutex_) = 0;     // of both, as in their windows
  bool writing_ ABSL_GUARDED_BY(mutex_) = false;
  bool broken_ ABSL_GUARDED_BY(mutex_) = false;
  bool room_wanted_ ABSL_GUARDED_BY(mutex_) = false;
  std::optional<absl::Status> end_ ABSL_GUARDED_BY(mutex_);  // known and not yet sent
};

}  // namespace semsam

#endif  // SEMSAM_SERVER_RPC_SEND_QUEUE_H_
