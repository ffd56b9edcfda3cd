// Which calls are under way, told apart by when they came.
#ifndef SEMSAM_SERVER_RPC_CALL_COUNTER_H_
#define SEMSAM_SERVER_RPC_CALL_COUNTER_H_

#include <cstdint>
#include <map>

#include "absl/time/time.h"
#include "model/base/clock.h"
#include "model/base/mutex.h"

namespace semsam {

// A drain waits for the calls that were there when it began. Those that come
// meanwhile are only refused, and under clients that retry there may always be one of
// them: they belong to a generation of their own. Thread-safe.
class CallCounter {
 public:
  // `clock` outlives the counter.
  explicit CallCounter(const Clock& clock) : clock_(clock) {}

  // A call begins; its generation, for Leave.
  uint64_t Enter();
  void Leave(uint64_t generation);

  // Whoever enters from now on belongs to a new generation.
  void OpenGeneration();
  // Waits until no call of an earlier generation is under way, `timeout` at most;
  // true if none is.
  bool WaitForEarlier(absl::Duration timeout);

 private:
  bool EarlierLeft() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return calls_.empty() || calls_.begin()->first == generation_;
  }

  const Clock& clock_;
  Mutex mutex_;
  CondVar left_;
  uint64_t generation_ ABSL_GUARDED_BY(mutex_) = 0;
  // Calls under way by generation; none has 0.
  std::map<uint64_t, int64_t> calls_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace semsam

#endif  // SEMSAM_SERVER_RPC_CALL_COUNTER_H_
