// Calls made again by this library, where gRPC's own retries cannot: gRPC 1.51 now and
// then loses a part of the messages that it sends anew, and the call then waits for its
// deadline. Internal: not installed.
#ifndef SEMSAM_CLIENT_RETRY_H_
#define SEMSAM_CLIENT_RETRY_H_

#include <stop_token>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "client/client.h"
#include "client/remaining_time.h"

namespace semsam::client {

// Whether another attempt makes sense: the server is UNAVAILABLE, or its refusal says
// when to come back.
bool InvitesRetry(const absl::Status& status);

// How long to wait after the given number of attempts, the last of which ended with
// `status`.
absl::Duration PauseBeforeRetry(const RetryOptions& options, int attempts,
                                const absl::Status& status);

// Waits; false where `stop` ended that early.
bool SleepUnlessStopped(absl::Duration pause, const std::stop_token& stop);

// Makes `attempt(call)`, which returns a StatusOr, until it succeeds, is not invited
// to come again, or `call.timeout`, which must be positive, is used up.
template <typename Attempt>
auto WithRetries(const RetryOptions& options, const CallOptions& call, const Attempt& attempt) {
  const RemainingTime time(call);
  for (int attempts = 1;; ++attempts) {
    auto result = attempt(time.Left());
    if (result.ok() || attempts >= options.max_attempts || !InvitesRetry(result.status())) {
      return result;
    }
    const absl::Duration pause = PauseBeforeRetry(options, attempts, result.status());
    if (pause >= time.Left().timeout || !SleepUnlessStopped(pause, call.stop)) return result;
  }
}

}  // namespace semsam::client

#endif  // SEMSAM_CLIENT_RETRY_H_
