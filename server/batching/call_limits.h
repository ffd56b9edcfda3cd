// Whose call it is, and how long its answer is worth computing: until the deadline
// passes or the caller walks away.
#ifndef SEMSAM_SERVER_BATCHING_CALL_LIMITS_H_
#define SEMSAM_SERVER_BATCHING_CALL_LIMITS_H_

#include <atomic>
#include <memory>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "server/batching/tenant_id.h"

namespace semsam {

// Set once by whoever learns that the caller left. Thread-safe.
class CancelFlag {
 public:
  void Cancel() { cancelled_.store(true, std::memory_order_release); }
  bool cancelled() const { return cancelled_.load(std::memory_order_acquire); }

 private:
  std::atomic<bool> cancelled_{false};
};

struct CallLimits {
  absl::Time deadline = absl::InfiniteFuture();
  std::shared_ptr<const CancelFlag> cancel;  // null: the caller cannot leave
  TenantId tenant;

  // CANCELLED or DEADLINE_EXCEEDED once the answer is wanted no more, else OK.
  absl::Status Check(absl::Time now) const {
    if (cancel != nullptr && cancel->cancelled()) {
      return absl::CancelledError("the caller cancelled the call");
    }
    if (now >= deadline) {
      return absl::DeadlineExceededError("the deadline passed before the answer was ready");
    }
    return absl::OkStatus();
  }
};

}  // namespace semsam

#endif  // SEMSAM_SERVER_BATCHING_CALL_LIMITS_H_
