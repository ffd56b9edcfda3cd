// Time as a dependency: everything that expires, waits or measures asks a
// Clock, so that tests move time instead of sleeping.
#ifndef SEMSAM_MODEL_BASE_CLOCK_H_
#define SEMSAM_MODEL_BASE_CLOCK_H_

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "model/base/mutex.h"

namespace semsam {

// Thread-safe.
class Clock {
 public:
  virtual ~Clock() = default;
  virtual absl::Time Now() const = 0;
};

class RealClock final : public Clock {
 public:
  absl::Time Now() const override { return absl::Now(); }
};

// Stands still until told otherwise.
class FakeClock final : public Clock {
 public:
  explicit FakeClock(absl::Time now = absl::UnixEpoch() + absl::Hours(24 * 365 * 50)) : now_(now) {}

  absl::Time Now() const override {
    MutexLock lock(mutex_);
    return now_;
  }
  void Advance(absl::Duration by) {
    MutexLock lock(mutex_);
    now_ += by;
  }

 private:
  mutable Mutex mutex_;
  absl::Time now_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace semsam

#endif  // SEMSAM_MODEL_BASE_CLOCK_H_
