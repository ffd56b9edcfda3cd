// Requests that are made once, however often they come: a client that did not hear the
// answer sends the same request again, under the same id.
//
// Guarantees
//   - Of requests with one id, method and tenant only the first is carried out, while
//     it is remembered: for `ttl`, and as long as it is among the newest `max_entries`.
//     At the same time or one after the other makes no difference.
//   - A request that failed is not remembered: the next one is carried out.
//   - An id that comes with another request is refused, not taken for the first.
// Thread-safe. Nothing here waits but for a request of the same kind.
#ifndef SEMSAM_SERVER_CACHE_RECENT_REQUESTS_H_
#define SEMSAM_SERVER_CACHE_RECENT_REQUESTS_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <list>
#include <string>
#include <string_view>
#include <unordered_map>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "model/base/clock.h"
#include "model/base/mutex.h"
#include "server/batching/tenant_id.h"

namespace semsam {

struct RecentRequestsOptions {
  absl::Duration ttl = absl::Minutes(10);
  int max_entries = 4096;  // of all tenants; each takes half a kilobyte at most

  absl::Status Validate() const;
};

class RecentRequests {
 public:
  enum class Method { kCreateSession, kDeleteSession };

  struct Request {
    TenantId tenant;
    Method method = Method::kCreateSession;
    std::string id;      // see CheckId
    std::string digest;  // of everything else in the request, short
  };

  // OK for 1 to 64 letters, digits, '-', '_' and '.'; a UUID is one. INVALID_ARGUMENT
  // names `request_id`.
  static absl::Status CheckId(std::string_view id);

  // `options` are valid; `clock` outlives this. `on_size` (may be null) gets the number
  // of entries after every change, under the lock.
  RecentRequests(const RecentRequestsOptions& options, const Clock& clock,
                 std::function<void(int64_t)> on_size = nullptr);

  // Carries out `request` by `run`, which returns its outcome (short), unless one was
  // carried out before: then `replay` gets that outcome, and returns false if it is void
  // by now, so that `run` makes it anew. INVALID_ARGUMENT (`request_id`) if the id was
  // another request's. `run` and `replay` run under the lock: they must be quick.
  absl::Status Once(const Request& request, absl::FunctionRef<absl::StatusOr<std::string>()> run,
                    absl::FunctionRef<bool(const std::string& outcome)> replay);

  // Forgets what is older than ttl.
  void Sweep();

 private:
  struct Entry {
    std::string key;
    std::string digest;
    std::string outcome;
    absl::Time time;
  };
  using Order = std::list<Entry>;  // oldest first

  void SweepLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void ReportSize() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Forget(Order::iterator entry) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const RecentRequestsOptions options_;
  const Clock& clock_;
  const std::function<void(int64_t)> on_size_;

  Mutex mutex_;
  Order order_ ABSL_GUARDED_BY(mutex_);
  std::unordered_map<std::string, Order::iterator> by_key_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace semsam

#endif  // SEMSAM_SERVER_CACHE_RECENT_REQUESTS_H_
