#include "client/retry.h"

#include <algorithm>
#include <condition_variable>
#include <mutex>

#include "client/errors.h"

namespace semsam::client {

bool InvitesRetry(const absl::Status& status) {
  return absl::IsUnavailable(status) || ErrorRetryAfter(status).has_value();
}

absl::Duration PauseBeforeRetry(const RetryOptions& options, int attempts,
                                const absl::Status& status) {
  if (const auto hint = ErrorRetryAfter(status)) return *hint;
  const int64_t doubled = int64_t{1} << std::min(attempts - 1, 30);
  return std::min(options.initial_backoff * doubled, options.max_backoff);
}

bool SleepUnlessStopped(absl::Duration pause, const std::stop_token& stop) {
  std::mutex mutex;
  std::condition_variable_any stopped;
  std::unique_lock lock(mutex);
  stopped.wait_for(lock, stop, absl::ToChronoMilliseconds(pause), [] { return false; });
  return !stop.stop_requested();
}

}  // namespace semsam::client
