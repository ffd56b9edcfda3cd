#include "server/pipeline/ticker.h"

#include <utility>

#include "absl/time/clock.h"

namespace semsam {

Ticker::Ticker(absl::Duration interval, std::function<void()> tick)
    : interval_(interval), tick_(std::move(tick)), thread_([this] {
        while (WaitForNext()) tick_();
      }) {}

Ticker::~Ticker() {
  {
    MutexLock lock(mutex_);
    stop_ = true;
    stop_changed_.NotifyAll();
  }
  thread_.join();
}

bool Ticker::WaitForNext() {
  const absl::Time next = absl::Now() + interval_;
  MutexLock lock(mutex_);
  while (!stop_) {
    const absl::Duration left = next - absl::Now();
    if (left <= absl::ZeroDuration()) return true;
    stop_changed_.WaitFor(mutex_, left);
  }
  return false;
}

}  // namespace semsam
