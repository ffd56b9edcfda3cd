#include "server/cache/embedding_cache.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "model/base/errors.h"

namespace semsam {

absl::Status EmbeddingCacheOptions::Validate() const {
  if (budget_bytes < 0) return InvalidField("budget_bytes", "must not be negative");
  if (max_flights <= 0) return InvalidField("max_flights", "must be positive");
  return absl::OkStatus();
}

EmbeddingCache::Flight::Flight(EmbeddingCache& cache, std::shared_ptr<FlightState> state)
    : cache_(cache), state_(std::move(state)) {}

EmbeddingCache::Flight::~Flight() {
  if (state_ != nullptr) Finish(absl::InternalError("the encode was abandoned"));
}

absl::Status EmbeddingCache::Flight::Check(absl::Time now) {
  return cache_.CheckFlight(*state_, now);
}

void EmbeddingCache::Flight::Finish(absl::StatusOr<std::shared_ptr<const Embedding>> result) {
  const std::shared_ptr<FlightState> state = std::exchange(state_, nullptr);
  cache_.FinishFlight(*state, std::move(result));
}

EmbeddingCache::EmbeddingCache(EmbeddingCacheOptions options, EmbeddingCacheObserver* observer)
    : options_(options), observer_(observer), lru_(options.budget_bytes) {}

EmbeddingCache::~EmbeddingCache() = default;

std::unique_ptr<EmbeddingCache::Flight> EmbeddingCache::Get(const EmbeddingKey& key, OnMiss on_miss,
                                                            Check check, Callback callback) {
  std::shared_ptr<const Embedding> embedding;
  absl::Status refusal;
  {
    MutexLock lock(mutex_);
    embedding = lru_.Find(key);
    if (embedding != nullptr) {
      Count(CacheLookup::kHit);
    } else if (const auto found = flights_.find(key); found != flights_.end()) {
      Count(CacheLookup::kJoined);
      found->second->waiters.push_back(
          {std::move(check), CacheLookup::kJoined, std::move(callback), absl::OkStatus()});
      return nullptr;
    } else {
      Count(CacheLookup::kMiss);
      refusal = on_miss == OnMiss::kLead ? AdmitFlight(key.tenant)
                                         : absl::NotFoundError("the embedding is not held");
      if (refusal.ok()) {
        auto flight = std::make_shared<FlightState>(FlightState{.key = key});
        flight->waiters.push_back(
            {std::move(check), CacheLookup::kMiss, std::move(callback), absl::OkStatus()});
        flights_.emplace(key, flight);
        ++open_flights_;
        return std::unique_ptr<Flight>(new Flight(*this, std::move(flight)));
      }
    }
  }
  if (embedding != nullptr) {
    callback(Found{std::move(embedding), CacheLookup::kHit});
  } else {
    callback(std::move(refusal));
  }
  return nullptr;
}

absl::Status EmbeddingCache::AdmitFlight(const TenantId& tenant) const {
  if (open_flights_ >= options_.max_flights) {
    return Overloaded(reason::kQueueFull, "too many images wait to be encoded",
                      options_.retry_after);
  }
  const auto own = std::count_if(flights_.begin(), flights_.end(), [&tenant](const auto& flight) {
    return flight.first.tenant == tenant;
  });
  if (own > 0 && ExceedsShare(own + 1, options_.max_flights, options_.max_tenant_share)) {
    return Overloaded(reason::kQuotaExceeded, "the tenant has its share of images being encoded",
                      options_.retry_after);
  }
  const int64_t in_use = lru_.InUseBytes();
  if (in_use > 0 && in_use >= options_.budget_bytes) {
    return Overloaded(reason::kMemoryFull, "the embeddings in use fill the memory set aside",
                      options_.retry_after);
  }
  return absl::OkStatus();
}

const absl::Status& EmbeddingCache::CheckWaiter(Waiter& waiter, absl::Time now) {
  if (waiter.why.ok()) waiter.why = waiter.check(now);
  return waiter.why;
}

absl::Status EmbeddingCache::CheckFlight(FlightState& flight, absl::Time now) {
  MutexLock lock(mutex_);
  absl::Status why = absl::CancelledError("nobody waits for the image any more");
  for (Waiter& waiter : flight.waiters) {
    why = CheckWaiter(waiter, now);
    if (why.ok()) return why;
  }
  if (flight.listed) {
    flight.listed = false;
    flights_.erase(flight.key);
  }
  return why;
}

void EmbeddingCache::FinishFlight(FlightState& flight,
                                  absl::StatusOr<std::shared_ptr<const Embedding>> result) {
  std::vector<Waiter> waiters;
  std::vector<EmbeddingLru::Pointer> evicted;
  {
    MutexLock lock(mutex_);
    if (flight.listed) {
      flight.listed = false;
      flights_.erase(flight.key);
    }
    --open_flights_;
    waiters = std::move(flight.waiters);
    if (result.ok()) {
      lru_.Insert(flight.key, *result);
      evicted = TrimLocked();
    }
  }
  evicted.clear();
  const auto tell = [](Waiter& waiter, absl::StatusOr<std::shared_ptr<const Embedding>> mine) {
    if (!waiter.why.ok()) {
      waiter.callback(std::move(waiter.why));
    } else if (mine.ok()) {
      waiter.callback(Found{*std::move(mine), waiter.lookup});
    } else {
      waiter.callback(std::move(mine).status());
    }
  };
  if (waiters.empty()) return;
  for (size_t i = 0; i + 1 < waiters.size(); ++i) tell(waiters[i], result);
  // The last caller gets the last reference: once it lets go, nothing here keeps
  // the embedding in use.
  tell(waiters.back(), std::move(result));
}

void EmbeddingCache::DropDeadWaiters(absl::Time now) {
  std::vector<Waiter> dead;
  {
    MutexLock lock(mutex_);
    for (const auto& [key, flight] : flights_) {
      std::vector<Waiter>& waiters = flight->waiters;
      const auto first_dead =
          std::stable_partition(waiters.begin(), waiters.end(),
                                [now](Waiter& waiter) { return CheckWaiter(waiter, now).ok(); });
      std::move(first_dead, waiters.end(), std::back_inserter(dead));
      waiters.erase(first_dead, waiters.end());
    }
  }
  for (Waiter& waiter : dead) waiter.callback(std::move(waiter.why));
}

void EmbeddingCache::Trim() {
  std::vector<EmbeddingLru::Pointer> evicted;
  MutexLock lock(mutex_);
  evicted = TrimLocked();
}

std::vector<EmbeddingLru::Pointer> EmbeddingCache::TrimLocked() {
  std::vector<EmbeddingLru::Pointer> evicted = lru_.Trim();
  if (observer_ != nullptr) {
    if (!evicted.empty()) observer_->OnEvicted(static_cast<int64_t>(evicted.size()));
    observer_->OnSize(lru_.bytes(), lru_.entries());
  }
  return evicted;
}

void EmbeddingCache::Count(CacheLookup lookup) {
  if (observer_ != nullptr) observer_->OnLookup(lookup);
}

int64_t EmbeddingCache::bytes() const {
  MutexLock lock(mutex_);
  return lru_.bytes();
}

int64_t EmbeddingCache::entries() const {
  MutexLock lock(mutex_);
  return lru_.entries();
}

}  // namespace semsam
