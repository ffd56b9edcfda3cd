// The time of a call that is made of several. Internal: not installed.
#ifndef SEMSAM_CLIENT_REMAINING_TIME_H_
#define SEMSAM_CLIENT_REMAINING_TIME_H_

#include <algorithm>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "client/client.h"

namespace semsam::client {

// `call` with what is left of its timeout.
class RemainingTime {
 public:
  explicit RemainingTime(const CallOptions& call)
      : call_(call),
        deadline_(call.timeout > absl::ZeroDuration() ? absl::Now() + call.timeout
                                                      : absl::InfiniteFuture()) {}

  CallOptions Left() const {
    CallOptions left = call_;
    if (call_.timeout > absl::ZeroDuration()) {
      left.timeout = std::max(deadline_ - absl::Now(), absl::Milliseconds(1));
    }
    return left;
  }

 private:
  CallOptions call_;
  absl::Time deadline_;
};

}  // namespace semsam::client

#endif  // SEMSAM_CLIENT_REMAINING_TIME_H_
