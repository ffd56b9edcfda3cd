#include "server/app/exit_watchdog.h"

#include <algorithm>
#include <cstdlib>

#include "absl/time/clock.h"
#include "server/log/log.h"

namespace semsam {
namespace {

// Whoever reads the log may have stopped to.
constexpr absl::Duration kFlushLimit = absl::Seconds(1);

}  // namespace

ExitWatchdog::ExitWatchdog(absl::Duration limit) : thread_([this, limit] { Watch(limit); }) {}

ExitWatchdog::~ExitWatchdog() {
  {
    MutexLock lock(mutex_);
    over_ = true;
    changed_.NotifyAll();
  }
  thread_.join();
}

void ExitWatchdog::Watch(absl::Duration limit) {
  const absl::Time deadline = absl::Now() + limit;
  {
    MutexLock lock(mutex_);
    for (absl::Duration left = limit; !over_ && left > absl::ZeroDuration();
         left = deadline - absl::Now()) {
      // The condition variable cannot count to infinity.
      changed_.WaitFor(mutex_, std::min(left, absl::Hours(1)));
    }
    if (over_) return;
  }
  LogLine(LogLevel::kCritical, "stopped")
      .Text("error", "work that cannot be cancelled outlived the grace period")
      .Number("limit_s", absl::ToDoubleSeconds(limit));
  FlushLog(kFlushLimit);
  std::_Exit(kWatchdogExitStatus);
}

}  // namespace semsam
