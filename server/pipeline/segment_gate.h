// How many segment calls may be under way, counted in calls and in queries.
//
// A call is admitted before any work is done for it and holds its place until its
// last mask left, so every queue behind the gate can be sized to never overflow,
// and logits that wait for a slow reader are bounded, too. Thread-safe.
#ifndef SEMSAM_SERVER_PIPELINE_SEGMENT_GATE_H_
#define SEMSAM_SERVER_PIPELINE_SEGMENT_GATE_H_

#include <cstdint>
#include <memory>
#include <unordered_map>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "model/base/errors.h"
#include "model/base/mutex.h"
#include "server/metrics/metrics.h"

namespace semsam {

class SegmentCall;

class SegmentGate {
 public:
  // A place; given back when it is destroyed. The gate outlives it.
  class Ticket {
   public:
    Ticket(SegmentGate& gate, uint64_t id) : gate_(&gate), id_(id) {}
    Ticket(Ticket&& other) noexcept : gate_(std::exchange(other.gate_, nullptr)), id_(other.id_) {}
    Ticket& operator=(Ticket&&) = delete;
    ~Ticket() {
      if (gate_ != nullptr) gate_->Leave(id_);
    }
    uint64_t id() const { return id_; }

   private:
    SegmentGate* gate_;
    uint64_t id_;
  };

  SegmentGate(int64_t max_calls, int64_t max_queries, absl::Duration retry_after, Metrics& metrics)
      : max_calls_(max_calls),
        max_queries_(max_queries),
        retry_after_(retry_after),
        metrics_(metrics) {}

  // RESOURCE_EXHAUSTED with a retry hint when there is no place.
  absl::StatusOr<Ticket> Admit(int64_t queries) {
    MutexLock lock(mutex_);
    if (static_cast<int64_t>(places_.size()) >= max_calls_ || queries > max_queries_ - queries_) {
      return Overloaded(reason::kQueueFull, "too many segment calls are under way", retry_after_);
    }
    const uint64_t id = next_id_++;
    places_.emplace(id, Place{.queries = queries});
    queries_ += queries;
    Report();
    return Ticket(*this, id);
  }

  // Keeps `call` alive while it has its place: nothing else may own a paused call.
  void SetCall(uint64_t id, std::shared_ptr<SegmentCall> call) {
    MutexLock lock(mutex_);
    places_[id].call = std::move(call);
  }

  // The calls under way.
  std::vector<std::shared_ptr<SegmentCall>> Calls() const {
    MutexLock lock(mutex_);
    std::vector<std::shared_ptr<SegmentCall>> calls;
    for (const auto& [id, place] : places_) {
      if (place.call != nullptr) calls.push_back(place.call);
    }
    return calls;
  }

 private:
  struct Place {
    int64_t queries = 0;
    std::shared_ptr<SegmentCall> call;
  };

  void Leave(uint64_t id) {
    std::shared_ptr<SegmentCall> call;  // let go of outside the lock
    MutexLock lock(mutex_);
    const auto place = places_.find(id);
    call = std::move(place->second.call);
    queries_ -= place->second.queries;
    places_.erase(place);
    Report();
  }

  void Report() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    metrics_.SetUsed(Bounded::kSegmentCalls, static_cast<int64_t>(places_.size()));
    metrics_.SetUsed(Bounded::kSegmentQueries, queries_);
  }

  const int64_t max_calls_;
  const int64_t max_queries_;
  const absl::Duration retry_after_;
  Metrics& metrics_;

  mutable Mutex mutex_;
  uint64_t next_id_ ABSL_GUARDED_BY(mutex_) = 0;
  int64_t queries_ ABSL_GUARDED_BY(mutex_) = 0;
  std::unordered_map<uint64_t, Place> places_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace semsam

#endif  // SEMSAM_SERVER_PIPELINE_SEGMENT_GATE_H_
