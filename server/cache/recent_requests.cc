#include "server/cache/recent_requests.h"

#include <iterator>
#include <utility>

#include "absl/strings/str_cat.h"
#include "model/base/errors.h"
#include "model/base/status_macros.h"

namespace semsam {
namespace {

// Neither a tenant's name nor an id holds a blank.
std::string KeyOf(const RecentRequests::Request& request) {
  return absl::StrCat(request.tenant.name, " ", static_cast<int>(request.method), " ", request.id);
}

}  // namespace

absl::Status RecentRequestsOptions::Validate() const {
  if (ttl < absl::ZeroDuration()) return InvalidField("ttl", "must not be negative");
  if (max_entries < 0) return InvalidField("max_entries", "must not be negative");
  return absl::OkStatus();
}

absl::Status RecentRequests::CheckId(std::string_view id) {
  // What may name a tenant may name a request.
  if (IsValidTenantName(id)) return absl::OkStatus();
  return InvalidField("request_id", absl::StrCat("must be 1 to ", kMaxTenantNameBytes,
                                                 " letters, digits, '-', '_' and '.'"));
}

RecentRequests::RecentRequests(const RecentRequestsOptions& options, const Clock& clock,
                               std::function<void(int64_t)> on_size)
    : options_(options), clock_(clock), on_size_(std::move(on_size)) {}

absl::Status RecentRequests::Once(const Request& request,
                                  absl::FunctionRef<absl::StatusOr<std::string>()> run,
                                  absl::FunctionRef<bool(const std::string& outcome)> replay) {
  SEMSAM_RETURN_IF_ERROR(CheckId(request.id));
  const std::string key = KeyOf(request);

  MutexLock lock(mutex_);
  SweepLocked();
  if (const auto found = by_key_.find(key); found != by_key_.end()) {
    const Entry& entry = *found->second;
    if (entry.digest != request.digest) {
      return InvalidField("request_id", "was that of another request");
    }
    if (replay(entry.outcome)) return absl::OkStatus();
    Forget(found->second);
    ReportSize();
  }
  SEMSAM_ASSIGN_OR_RETURN(std::string outcome, run());
  order_.push_back(
      {.key = key, .digest = request.digest, .outcome = std::move(outcome), .time = clock_.Now()});
  by_key_.emplace(key, std::prev(order_.end()));
  while (static_cast<int>(order_.size()) > options_.max_entries) Forget(order_.begin());
  ReportSize();
  return absl::OkStatus();
}

void RecentRequests::Sweep() {
  MutexLock lock(mutex_);
  SweepLocked();
}

void RecentRequests::SweepLocked() {
  const absl::Time now = clock_.Now();
  if (order_.empty() || now - order_.front().time < options_.ttl) return;
  while (!order_.empty() && now - order_.front().time >= options_.ttl) Forget(order_.begin());
  ReportSize();
}

void RecentRequests::Forget(Order::iterator entry) {
  by_key_.erase(entry->key);
  order_.erase(entry);
}

void RecentRequests::ReportSize() {
  if (on_size_) on_size_(static_cast<int64_t>(order_.size()));
}

}  // namespace semsam
