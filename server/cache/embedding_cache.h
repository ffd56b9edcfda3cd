// Embeddings by content, with a byte budget and one encode an image however
// many callers want it at once.
//
// Guarantees
//   - Concurrent misses of one key make one flight: the first caller leads and
//     encodes, the others wait for its result.
//   - A flight lives as long as one of its callers does: the leader may leave,
//     the others still get their embedding. Who left, or came too late, is told his
//     own reason, by DropDeadWaiters at once and else with the end of the flight.
//   - Every callback runs exactly once, with no lock held.
//   - What is in use is never evicted; see EmbeddingLru for the accounting.
//   - While idle memory is exhausted, i.e. what is in use alone fills the budget,
//     new flights are refused with RESOURCE_EXHAUSTED instead of growing further.
// Thread-safe.
#ifndef SEMSAM_SERVER_CACHE_EMBEDDING_CACHE_H_
#define SEMSAM_SERVER_CACHE_EMBEDDING_CACHE_H_

#include <cstdint>
#include <memory>
#include <unordered_map>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "model/base/mutex.h"
#include "model/segmenter.h"
#include "server/cache/cache_lookup.h"
#include "server/cache/embedding_key.h"
#include "server/cache/embedding_lru.h"

namespace semsam {

struct EmbeddingCacheOptions {
  // Bytes of embeddings kept while nobody uses them.
  int64_t budget_bytes = int64_t{4} << 30;
  // Encodes under way or waiting, at most.
  int max_flights = 64;
  // Those of one tenant; its first is let in.
  double max_tenant_share = 1;
  // What a refused caller is told to wait.
  absl::Duration retry_after = absl::Milliseconds(250);

  absl::Status Validate() const;
};

// Told of every change, under the cache's lock; must be quick and never call back.
class EmbeddingCacheObserver {
 public:
  virtual ~EmbeddingCacheObserver() = default;
  virtual void OnLookup(CacheLookup /*outcome*/) {}
  virtual void OnEvicted(int64_t /*entries*/) {}
  virtual void OnSize(int64_t /*bytes*/, int64_t /*entries*/) {}
};

class EmbeddingCache {
 private:
  struct FlightState;

 public:
  struct Found {
    std::shared_ptr<const Embedding> embedding;
    CacheLookup lookup = CacheLookup::kHit;
  };
  using Callback = absl::AnyInvocable<void(absl::StatusOr<Found>)>;
  // OK while the caller still wants its answer. Runs under the cache's lock: it
  // must be quick and never call the cache.
  using Check = absl::AnyInvocable<absl::Status(absl::Time now)>;

  // The duty to encode one image. Finish answers every waiting caller and, on
  // success, puts the embedding into the cache. A flight that is destroyed
  // unfinished fails its callers with INTERNAL.
  // Thread-safety: one owner at a time; outlived by the cache.
  class Flight {
   public:
    ~Flight();
    Flight(const Flight&) = delete;
    Flight& operator=(const Flight&) = delete;

    // OK while any caller still waits. Once it fails, the flight is closed to
    // newcomers and must be finished with the returned status: CANCELLED where
    // DropDeadWaiters answered all of them.
    absl::Status Check(absl::Time now);

    void Finish(absl::StatusOr<std::shared_ptr<const Embedding>> result);

   private:
    friend class EmbeddingCache;
    Flight(EmbeddingCache& cache, std::shared_ptr<FlightState> state);

    EmbeddingCache& cache_;
    std::shared_ptr<FlightState> state_;  // null once finished
  };

  // What a caller who misses can do about it.
  enum class OnMiss {
    kLead,  // encode the image
    kFail,  // nothing: NOT_FOUND, unless somebody else is encoding it
  };

  // `options` are valid; `observer` may be null and outlives the cache.
  explicit EmbeddingCache(EmbeddingCacheOptions options,
                          EmbeddingCacheObserver* observer = nullptr);
  ~EmbeddingCache();

  // Looks `key` up. `callback` gets the embedding at once on a hit, later on a
  // miss, or RESOURCE_EXHAUSTED or NOT_FOUND. If a flight comes back, this caller
  // leads it.
  std::unique_ptr<Flight> Get(const EmbeddingKey& key, OnMiss on_miss, Check check,
                              Callback callback);

  // Answers the callers whose check fails, so that they need not wait for the encode
  // that they joined. A flight that nobody waits for any more stays open to newcomers
  // until its own Check.
  void DropDeadWaiters(absl::Time now);

  // Evicts what became idle since, down to the budget.
  void Trim();

  int64_t bytes() const;
  int64_t entries() const;

 private:
  struct Waiter {
    Check check;
    CacheLookup lookup;
    Callback callback;
    absl::Status why;  // not OK once the check failed
  };
  struct FlightState {
    EmbeddingKey key;
    std::vector<Waiter> waiters;  // guarded by mutex_ until the flight is taken out
    bool listed = true;           // in flights_; guarded by mutex_
  };

  // OK while the caller waits; remembers why not.
  static const absl::Status& CheckWaiter(Waiter& waiter, absl::Time now);
  absl::Status CheckFlight(FlightState& flight, absl::Time now);
  void FinishFlight(FlightState& flight, absl::StatusOr<std::shared_ptr<const Embedding>> result);
  std::vector<EmbeddingLru::Pointer> TrimLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status AdmitFlight(const TenantId& tenant) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Count(CacheLookup lookup) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const EmbeddingCacheOptions options_;
  EmbeddingCacheObserver* const observer_;

  mutable Mutex mutex_;
  EmbeddingLru lru_ ABSL_GUARDED_BY(mutex_);
  std::unordered_map<EmbeddingKey, std::shared_ptr<FlightState>, EmbeddingKeyHash> flights_
      ABSL_GUARDED_BY(mutex_);
  // Flights not finished, those that nobody waits for any more included.
  int open_flights_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace semsam

#endif  // SEMSAM_SERVER_CACHE_EMBEDDING_CACHE_H_
