// How many calls of a kind may be under way, counted in calls and in queries, of all
// tenants together and of each.
//
// A call is admitted before any work is done for it and holds its place until its
// last mask left, so every queue behind the gate can be sized to never overflow,
// and logits that wait for a slow reader are bounded, too. Thread-safe.
#ifndef SEMSAM_SERVER_PIPELINE_CALL_GATE_H_
#define SEMSAM_SERVER_PIPELINE_CALL_GATE_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "model/base/errors.h"
#include "model/base/mutex.h"
#include "server/batching/tenant_id.h"
#include "server/batching/tenant_table.h"
#include "server/metrics/metrics.h"

namespace semsam {

class StreamCall;

class CallGate {
 public:
  // A place; given back when it is destroyed. The gate outlives it.
  class Ticket {
   public:
    Ticket(CallGate& gate, uint64_t id) : gate_(&gate), id_(id) {}
    Ticket(Ticket&& other) noexcept : gate_(std::exchange(other.gate_, nullptr)), id_(other.id_) {}
    Ticket& operator=(Ticket&&) = delete;
    ~Ticket() {
      if (gate_ != nullptr) gate_->Leave(id_);
    }
    uint64_t id() const { return id_; }

   private:
    CallGate* gate_;
    uint64_t id_;
  };

  struct Options {
    const char* what = "";  // for the refusal: "segment"
    int64_t max_calls = 1;
    int64_t max_queries = 0;
    absl::Duration retry_after;
    // What to tell those who find it full, if that is known better; null: retry_after.
    // Runs under the gate's lock.
    std::function<absl::Duration()> retry_when_full;
    // What is reported; the queries need not be.
    Bounded calls = Bounded::kSegmentCalls;
    std::optional<Bounded> queries;
    // What each tenant may have of the places, and of the queries; null: of all.
    TenantTable tenants;
    int64_t TenantQuota::*tenant_calls = nullptr;
    int64_t TenantQuota::*tenant_queries = nullptr;
    // Of the places and the queries, what any one tenant may have; its first call is
    // let in, however large.
    double max_tenant_share = 1;
  };

  CallGate(const Options& options, Metrics& metrics) : options_(options), metrics_(metrics) {}

  // RESOURCE_EXHAUSTED with a retry hint when there is no place, or none for `tenant`.
  absl::StatusOr<Ticket> Admit(const TenantId& tenant, int64_t queries) {
    MutexLock lock(mutex_);
    if (!WithinQuota(tenant, queries)) {
      return Overloaded(
          reason::kQuotaExceeded,
          absl::StrCat("the tenant has as many ", options_.what, " calls under way as it may"),
          options_.retry_after);
    }
    if (static_cast<int64_t>(places_.size()) >= options_.max_calls ||
        queries > options_.max_queries - queries_) {
      return Overloaded(
          reason::kQueueFull, absl::StrCat("too many ", options_.what, " calls are under way"),
          options_.retry_when_full ? options_.retry_when_full() : options_.retry_after);
    }
    const uint64_t id = next_id_++;
    places_.emplace(id, Place{.tenant = tenant.name, .queries = queries});
    queries_ += queries;
    Usage& usage = by_tenant_[tenant.name];
    ++usage.calls;
    usage.queries += queries;
    Report();
    return Ticket(*this, id);
  }

  // Keeps `call` alive while it has its place: nothing else may own a paused call.
  void SetCall(uint64_t id, std::shared_ptr<StreamCall> call) {
    MutexLock lock(mutex_);
    places_[id].call = std::move(call);
  }

  // The calls under way.
  std::vector<std::shared_ptr<StreamCall>> Calls() const {
    MutexLock lock(mutex_);
    std::vector<std::shared_ptr<StreamCall>> calls;
    for (const auto& [id, place] : places_) {
      if (place.call != nullptr) calls.push_back(place.call);
    }
    return calls;
  }

 private:
  struct Usage {
    int64_t calls = 0;
    int64_t queries = 0;
  };
  struct Place {
    std::string tenant;
    int64_t queries = 0;
    std::shared_ptr<StreamCall> call;
  };

  bool WithinQuota(const TenantId& tenant, int64_t queries) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    const auto found = by_tenant_.find(tenant.name);
    const Usage usage = found == by_tenant_.end() ? Usage{} : found->second;
    const TenantQuota& quota = options_.tenants.Of(tenant);
    if (usage.calls > 0 &&
        (ExceedsShare(usage.calls + 1, options_.max_calls, options_.max_tenant_share) ||
         ExceedsShare(usage.queries + queries, options_.max_queries, options_.max_tenant_share))) {
      return false;
    }
    if (options_.tenant_calls != nullptr && usage.calls >= quota.*options_.tenant_calls) {
      return false;
    }
    return options_.tenant_queries == nullptr ||
           queries <= quota.*options_.tenant_queries - usage.queries;
  }

  void Leave(uint64_t id) {
    std::shared_ptr<StreamCall> call;  // let go of outside the lock
    MutexLock lock(mutex_);
    const auto place = places_.find(id);
    call = std::move(place->second.call);
    queries_ -= place->second.queries;
    const auto usage = by_tenant_.find(place->second.tenant);
    usage->second.queries -= place->second.queries;
    if (--usage->second.calls == 0) by_tenant_.erase(usage);
    places_.erase(place);
    Report();
  }

  void Report() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    metrics_.SetUsed(options_.calls, static_cast<int64_t>(places_.size()));
    if (options_.queries.has_value()) metrics_.SetUsed(*options_.queries, queries_);
  }

  const Options options_;
  Metrics& metrics_;

  mutable Mutex mutex_;
  uint64_t next_id_ ABSL_GUARDED_BY(mutex_) = 0;
  int64_t queries_ ABSL_GUARDED_BY(mutex_) = 0;
  std::unordered_map<uint64_t, Place> places_ ABSL_GUARDED_BY(mutex_);
  // By the name of the tenant; of those that have calls under way.
  std::unordered_map<std::string, Usage> by_tenant_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace semsam

#endif  // SEMSAM_SERVER_PIPELINE_CALL_GATE_H_
