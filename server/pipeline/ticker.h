// Calls a function at even intervals, on a thread of its own.
#ifndef SEMSAM_SERVER_PIPELINE_TICKER_H_
#define SEMSAM_SERVER_PIPELINE_TICKER_H_

#include <functional>
#include <thread>

#include "absl/time/time.h"
#include "model/base/mutex.h"

namespace semsam {

// Stops when destroyed; waits for a call that runs.
class Ticker {
 public:
  Ticker(absl::Duration interval, std::function<void()> tick);
  ~Ticker();
  Ticker(const Ticker&) = delete;
  Ticker& operator=(const Ticker&) = delete;

 private:
  // False once the ticker is to stop.
  bool WaitForNext();

  const absl::Duration interval_;
  const std::function<void()> tick_;
  Mutex mutex_;
  CondVar stop_changed_;
  bool stop_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace semsam

#endif  // SEMSAM_SERVER_PIPELINE_TICKER_H_
