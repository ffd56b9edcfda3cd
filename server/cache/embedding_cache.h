// Embeddings by content, with a byte budget a device and one encode an image however
// many callers want it at once.
//
// Guarantees
//   - Concurrent misses of one key make one flight: the first caller leads and
//     encodes, the others wait for its result.
//   - A flight lives as long as one of its callers does: the leader may leave,
//     the others still get their embedding. Who left, or came too late, is told his
//     own reason, by DropDeadWaiters at once and else with the end of the flight.
//   - Every callback runs exactly once, with no lock held.
//   - An embedding is on one device, which everybody who gets it is told.
//   - What is in use is never evicted; see EmbeddingLru for the accounting.
//   - A flight sets the memory of its embedding aside on a device when it begins: what is
//     idle makes room for it then. Where what is in use and what is set aside leave no
//     room on any, new flights are refused with RESOURCE_EXHAUSTED instead of growing
//     further; one alone on a device is never refused for its size.
//   - An evicted embedding is handed on (EvictionSink), counts until the one who got it
//     lets go, and is taken back if it is wanted before.
// Thread-safe.
#ifndef SEMSAM_SERVER_CACHE_EMBEDDING_CACHE_H_
#define SEMSAM_SERVER_CACHE_EMBEDDING_CACHE_H_

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
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
  // Bytes of embeddings on a device: kept, in use, and on their way in. Not of those on
  // their way out.
  int64_t budget_bytes = int64_t{4} << 30;
  int devices = 1;
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
  // On all devices; and on one of them.
  virtual void OnSize(int64_t /*bytes*/, int64_t /*entries*/) {}
  virtual void OnDeviceSize(int /*device*/, int64_t /*bytes*/) {}
};

class EmbeddingCache {
 private:
  struct FlightState;

 public:
  // Where the embedding of a flight came from.
  enum class Origin { kEncoded, kLoaded };

  struct Found {
    std::shared_ptr<const Embedding> embedding;
    int device = 0;  // that it is on, from 0
    CacheLookup lookup = CacheLookup::kHit;
    // Meaningless for a hit.
    Origin origin = Origin::kEncoded;

    // The embedding was there before anybody asked now.
    bool existed() const { return lookup == CacheLookup::kHit || origin == Origin::kLoaded; }
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

    // The bytes of the image, of whichever caller has them; once. NOT_FOUND where none
    // has: the flight is then closed to newcomers and must be finished with that.
    absl::StatusOr<std::shared_ptr<const std::string>> TakeImage();

    // Where the embedding must be made.
    int device() const;

    void Finish(absl::StatusOr<std::shared_ptr<const Embedding>> result,
                Origin origin = Origin::kEncoded);

   private:
    friend class EmbeddingCache;
    Flight(EmbeddingCache& cache, std::shared_ptr<FlightState> state);

    EmbeddingCache& cache_;
    std::shared_ptr<FlightState> state_;  // null once finished
  };

  // An embedding that had to go. Its memory counts until this is destroyed.
  // Thread-safe; outlived by the cache.
  class Evicted {
   public:
    ~Evicted();
    Evicted(const Evicted&) = delete;
    Evicted& operator=(const Evicted&) = delete;

    const EmbeddingKey& key() const { return key_; }
    int64_t bytes() const { return bytes_; }
    int device() const { return device_; }
    // Null if the cache has taken it back.
    std::shared_ptr<const Embedding> embedding() const;

   private:
    friend class EmbeddingCache;
    Evicted(EmbeddingCache& cache, EmbeddingLru::Evicted evicted, int device);

    EmbeddingCache& cache_;
    const EmbeddingKey key_;
    const int64_t bytes_;
    const int device_;
    EmbeddingLru::Pointer embedding_;  // guarded by the cache's mutex
  };
  // Gets what is evicted, with no lock held; must be quick. What it does not keep is
  // freed.
  using EvictionSink = std::function<void(std::shared_ptr<Evicted>)>;

  // What a caller who misses brings along.
  struct OnMiss {
    // False: no way to make the embedding. NOT_FOUND, unless somebody else makes it.
    bool lead = true;
    int64_t embedding_bytes = 0;  // what it will take
    // Where to make it if there is room, else on one that has some.
    int device = 0;
    // The image to make it from; null: the caller has none.
    std::shared_ptr<const std::string> image = nullptr;
  };

  // `options` are valid; `observer` may be null and outlives the cache.
  explicit EmbeddingCache(EmbeddingCacheOptions options, EmbeddingCacheObserver* observer = nullptr,
                          EvictionSink sink = nullptr);
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

  // Evicts all that is idle; on each device the least recently used first. Not to the sink.
  std::vector<std::shared_ptr<Evicted>> TakeIdle();

  // Of what is held and of what was evicted and is not let go of yet.
  int64_t bytes() const;
  int64_t entries() const;

 private:
  struct Waiter {
    Check check;
    CacheLookup lookup;
    Callback callback;
    absl::Status why;  // not OK once the check failed
  };
  struct Device {
    explicit Device(int64_t budget_bytes) : lru(budget_bytes) {}

    EmbeddingLru lru;
    int64_t reserved_bytes = 0;  // of flights
    int64_t leaving_bytes = 0;   // evicted, and neither let go of nor taken back
    int64_t bytes() const { return lru.bytes() + leaving_bytes; }
  };
  struct Held {
    EmbeddingLru::Pointer embedding;  // null: none
    int device = 0;
  };
  // All but the key, the device and the size is guarded by mutex_ until the flight is taken out.
  struct FlightState {
    EmbeddingKey key;
    int device = 0;
    int64_t reserved_bytes = 0;
    std::vector<Waiter> waiters;
    std::shared_ptr<const std::string> image;
    bool image_taken = false;
    bool listed = true;  // in flights_
  };

  // OK while the caller waits; remembers why not.
  static const absl::Status& CheckWaiter(Waiter& waiter, absl::Time now);
  absl::Status CheckFlight(FlightState& flight, absl::Time now);
  absl::StatusOr<std::shared_ptr<const std::string>> TakeImage(FlightState& flight);
  void FinishFlight(FlightState& flight, absl::StatusOr<std::shared_ptr<const Embedding>> result,
                    Origin origin);
  void Unlist(FlightState& flight) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Also what was evicted and can be taken back.
  Held FindLocked(const EmbeddingKey& key) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // What was evicted and is still there, now no longer counted.
  Held TakeBack(const EmbeddingKey& key) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Holds the embedding of a flight, there alone. What it replaces goes to `replaced`.
  Held Hold(const FlightState& flight, EmbeddingLru::Pointer embedding,
            std::vector<EmbeddingLru::Pointer>& replaced) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  static void Join(FlightState& flight, OnMiss& on_miss, Waiter waiter);
  // Takes `check` and `callback`.
  std::shared_ptr<FlightState> Begin(const EmbeddingKey& key, int device, OnMiss& on_miss,
                                     Check& check, Callback& callback)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  std::vector<std::shared_ptr<Evicted>> TrimLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Leave(std::vector<EmbeddingLru::Evicted> evicted, int device,
             std::vector<std::shared_ptr<Evicted>>& leaving) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void ReportLeft(const std::vector<std::shared_ptr<Evicted>>& leaving)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // With no lock held.
  void PassOn(std::vector<std::shared_ptr<Evicted>> evicted);
  void ReportSize() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // The device of a flight that may begin.
  absl::StatusOr<int> AdmitFlight(const TenantId& tenant, const OnMiss& on_miss) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  int64_t BytesLocked() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  int64_t EntriesLocked() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Count(CacheLookup lookup) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const EmbeddingCacheOptions options_;
  EmbeddingCacheObserver* const observer_;
  const EvictionSink sink_;

  mutable Mutex mutex_;
  std::deque<Device> devices_ ABSL_GUARDED_BY(mutex_);
  std::unordered_map<EmbeddingKey, std::shared_ptr<FlightState>, EmbeddingKeyHash> flights_
      ABSL_GUARDED_BY(mutex_);
  // Flights not finished, those that nobody waits for any more included.
  int open_flights_ ABSL_GUARDED_BY(mutex_) = 0;
  // Evicted, and neither let go of nor taken back.
  std::unordered_map<EmbeddingKey, Evicted*, EmbeddingKeyHash> leaving_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace semsam

#endif  // SEMSAM_SERVER_CACHE_EMBEDDING_CACHE_H_
