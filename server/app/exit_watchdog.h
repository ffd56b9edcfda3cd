// Keeps the promise of when the process is gone.
#ifndef SEMSAM_SERVER_APP_EXIT_WATCHDOG_H_
#define SEMSAM_SERVER_APP_EXIT_WATCHDOG_H_

#include <thread>

#include "absl/time/time.h"
#include "model/base/mutex.h"

namespace semsam {

// What the process ends with where a graceful end took too long.
inline constexpr int kWatchdogExitStatus = 3;

// A batch that runs on the device cannot be stopped, and a server that waits for it
// would outlive the grace period of whoever stops it: to be killed without a word.
// Unless the watchdog is destroyed within `limit`, it logs and ends the process with
// kWatchdogExitStatus, at once: no destructor runs. Thread-safe.
class ExitWatchdog {
 public:
  explicit ExitWatchdog(absl::Duration limit);
  ~ExitWatchdog();
  ExitWatchdog(const ExitWatchdog&) = delete;
  ExitWatchdog& operator=(const ExitWatchdog&) = delete;

 private:
  void Watch(absl::Duration limit);

  Mutex mutex_;
  CondVar changed_;
  bool over_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace semsam

#endif  // SEMSAM_SERVER_APP_EXIT_WATCHDOG_H_
