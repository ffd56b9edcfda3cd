// Lets a test hold the model inside a call.
#ifndef SEMSAM_TESTS_FAKES_MODEL_GATE_H_
#define SEMSAM_TESTS_FAKES_MODEL_GATE_H_

#include <functional>

#include "absl/status/status.h"
#include "model/base/mutex.h"

namespace semsam {

// Thread-safe; outlives the model that it hooks into.
class ModelGate {
 public:
  // For FakeSegmenterOptions: announces each call, and blocks while shut.
  std::function<absl::Status()> Hook() {
    return [this] {
      MutexLock lock(mutex_);
      ++entered_;
      changed_.NotifyAll();
      while (shut_) changed_.Wait(mutex_);
      return absl::OkStatus();
    };
  }
  void Shut() {
    MutexLock lock(mutex_);
    shut_ = true;
  }
  void Open() {
    MutexLock lock(mutex_);
    shut_ = false;
    changed_.NotifyAll();
  }
  // Waits until `calls` calls reached the model since the start.
  void WaitForCalls(int calls) {
    MutexLock lock(mutex_);
    while (entered_ < calls) changed_.Wait(mutex_);
  }

 private:
  Mutex mutex_;
  CondVar changed_;
  int entered_ ABSL_GUARDED_BY(mutex_) = 0;
  bool shut_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace semsam

#endif  // SEMSAM_TESTS_FAKES_MODEL_GATE_H_
