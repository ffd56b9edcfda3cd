// A one-time event between threads; on std::mutex, so that ThreadSanitizer
// understands it.
#ifndef SEMSAM_TESTS_FAKES_NOTIFICATION_H_
#define SEMSAM_TESTS_FAKES_NOTIFICATION_H_

#include "model/base/mutex.h"

namespace semsam {

// Thread-safe.
class Notification {
 public:
  void Notify() {
    MutexLock lock(mutex_);
    notified_ = true;
    changed_.NotifyAll();
  }
  void Wait() const {
    MutexLock lock(mutex_);
    while (!notified_) changed_.Wait(mutex_);
  }
  bool HasBeenNotified() const {
    MutexLock lock(mutex_);
    return notified_;
  }

 private:
  mutable Mutex mutex_;
  mutable CondVar changed_;
  bool notified_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace semsam

#endif  // SEMSAM_TESTS_FAKES_NOTIFICATION_H_
