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

absl::StatusOr<std::shared_ptr<const std::string>> EmbeddingCache::Flight::TakeImage() {
  return cache_.TakeImage(*state_);
}

void EmbeddingCache::Flight::Finish(absl::StatusOr<std::shared_ptr<const Embedding>> result,
                                    Origin origin) {
  const std::shared_ptr<FlightState> state = std::exchange(state_, nullptr);
  cache_.FinishFlight(*state, std::move(result), origin);
}

EmbeddingCache::Evicted::Evicted(EmbeddingCache& cache, EmbeddingLru::Evicted evicted)
    : cache_(cache),
      key_(std::move(evicted.key)),
      bytes_(evicted.bytes),
      embedding_(std::move(evicted.embedding)) {}

EmbeddingCache::Evicted::~Evicted() {
  EmbeddingLru::Pointer freed;  // after the lock
  MutexLock lock(cache_.mutex_);
  if (embedding_ == nullptr) return;
  freed = std::move(embedding_);
  cache_.leaving_.erase(key_);
  cache_.leaving_bytes_ -= bytes_;
  cache_.ReportSize();
}

std::shared_ptr<const Embedding> EmbeddingCache::Evicted::embedding() const {
  MutexLock lock(cache_.mutex_);
  return embedding_;
}

EmbeddingCache::EmbeddingCache(EmbeddingCacheOptions options, EmbeddingCacheObserver* observer,
                               EvictionSink sink)
    : options_(options), observer_(observer), sink_(std::move(sink)), lru_(options.budget_bytes) {}

EmbeddingCache::~EmbeddingCache() = default;

std::unique_ptr<EmbeddingCache::Flight> EmbeddingCache::Get(const EmbeddingKey& key, OnMiss on_miss,
                                                            Check check, Callback callback) {
  std::shared_ptr<const Embedding> embedding;
  absl::Status refusal;
  std::shared_ptr<FlightState> begun;
  std::vector<std::shared_ptr<Evicted>> evicted;
  {
    MutexLock lock(mutex_);
    const size_t were_leaving = leaving_.size();
    embedding = FindLocked(key);
    if (embedding != nullptr) {
      Count(CacheLookup::kHit);
    } else if (const auto found = flights_.find(key); found != flights_.end()) {
      Count(CacheLookup::kJoined);
      Join(*found->second, on_miss,
           {std::move(check), CacheLookup::kJoined, std::move(callback), absl::OkStatus()});
      return nullptr;
    } else {
      Count(CacheLookup::kMiss);
      refusal = on_miss.lead ? AdmitFlight(key.tenant, on_miss.embedding_bytes)
                             : absl::NotFoundError("the embedding is not held");
      if (refusal.ok()) {
        begun = Begin(key, on_miss, check, callback);
      }
    }
    // Only what came in, or will, can be too much.
    if (begun != nullptr || leaving_.size() != were_leaving) evicted = TrimLocked();
  }
  PassOn(std::move(evicted));
  if (begun != nullptr) return std::unique_ptr<Flight>(new Flight(*this, std::move(begun)));
  if (embedding != nullptr) {
    callback(Found{.embedding = std::move(embedding), .lookup = CacheLookup::kHit});
  } else {
    callback(std::move(refusal));
  }
  return nullptr;
}

EmbeddingLru::Pointer EmbeddingCache::FindLocked(const EmbeddingKey& key) {
  if (EmbeddingLru::Pointer back = TakeBack(key); back != nullptr) {
    lru_.Insert(key, std::move(back));
  }
  return lru_.Find(key);
}

EmbeddingLru::Pointer EmbeddingCache::TakeBack(const EmbeddingKey& key) {
  const auto found = leaving_.find(key);
  if (found == leaving_.end()) return nullptr;
  Evicted& evicted = *found->second;
  leaving_bytes_ -= evicted.bytes_;
  leaving_.erase(found);
  return std::exchange(evicted.embedding_, nullptr);
}

void EmbeddingCache::Join(FlightState& flight, OnMiss& on_miss, Waiter waiter) {
  flight.waiters.push_back(std::move(waiter));
  if (flight.image == nullptr && !flight.image_taken) flight.image = std::move(on_miss.image);
}

std::shared_ptr<EmbeddingCache::FlightState> EmbeddingCache::Begin(const EmbeddingKey& key,
                                                                   OnMiss& on_miss, Check& check,
                                                                   Callback& callback) {
  auto flight = std::make_shared<FlightState>(
      FlightState{.key = key, .reserved_bytes = on_miss.embedding_bytes});
  Join(*flight, on_miss,
       {std::move(check), CacheLookup::kMiss, std::move(callback), absl::OkStatus()});
  flights_.emplace(key, flight);
  ++open_flights_;
  reserved_bytes_ += flight->reserved_bytes;
  return flight;
}

absl::Status EmbeddingCache::AdmitFlight(const TenantId& tenant, int64_t bytes) const {
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
  const int64_t committed = lru_.in_use_bytes() + reserved_bytes_;
  if (committed > 0 &&
      (committed >= options_.budget_bytes || bytes > options_.budget_bytes - committed)) {
    return Overloaded(reason::kMemoryFull,
                      "the embeddings in use and under way fill the memory set aside",
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
  Unlist(flight);
  return why;
}

void EmbeddingCache::Unlist(FlightState& flight) {
  if (!flight.listed) return;
  flight.listed = false;
  flights_.erase(flight.key);
}

absl::StatusOr<std::shared_ptr<const std::string>> EmbeddingCache::TakeImage(FlightState& flight) {
  MutexLock lock(mutex_);
  if (flight.image == nullptr) {
    // Whoever comes with the image from now on begins a flight of his own.
    Unlist(flight);
    return absl::NotFoundError("neither the embedding nor the image is held");
  }
  flight.image_taken = true;
  return std::move(flight.image);
}

void EmbeddingCache::FinishFlight(FlightState& flight,
                                  absl::StatusOr<std::shared_ptr<const Embedding>> result,
                                  Origin origin) {
  std::vector<Waiter> waiters;
  std::shared_ptr<const std::string> image;  // freed after the lock
  EmbeddingLru::Pointer replaced;            // this, too
  std::vector<std::shared_ptr<Evicted>> evicted;
  {
    MutexLock lock(mutex_);
    Unlist(flight);
    --open_flights_;
    reserved_bytes_ -= flight.reserved_bytes;
    waiters = std::move(flight.waiters);
    image = std::move(flight.image);
    if (result.ok()) {
      replaced = TakeBack(flight.key);
      lru_.Insert(flight.key, *std::move(result));
      // In use, from here on, by those who waited.
      result = lru_.Find(flight.key);
    }
    evicted = TrimLocked();
  }
  PassOn(std::move(evicted));
  const auto tell = [origin](Waiter& waiter,
                             absl::StatusOr<std::shared_ptr<const Embedding>> mine) {
    if (!waiter.why.ok()) {
      waiter.callback(std::move(waiter.why));
    } else if (mine.ok()) {
      waiter.callback(
          Found{.embedding = *std::move(mine), .lookup = waiter.lookup, .origin = origin});
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
  std::vector<std::shared_ptr<Evicted>> evicted;
  {
    MutexLock lock(mutex_);
    evicted = TrimLocked();
  }
  PassOn(std::move(evicted));
}

std::vector<std::shared_ptr<EmbeddingCache::Evicted>> EmbeddingCache::TakeIdle() {
  MutexLock lock(mutex_);
  return Leave(lru_.Trim(/*beside_bytes=*/options_.budget_bytes));
}

std::vector<std::shared_ptr<EmbeddingCache::Evicted>> EmbeddingCache::TrimLocked() {
  return Leave(lru_.Trim(reserved_bytes_));
}

std::vector<std::shared_ptr<EmbeddingCache::Evicted>> EmbeddingCache::Leave(
    std::vector<EmbeddingLru::Evicted> evicted) {
  std::vector<std::shared_ptr<Evicted>> leaving;
  leaving.reserve(evicted.size());
  for (EmbeddingLru::Evicted& one : evicted) {
    leaving.push_back(std::shared_ptr<Evicted>(new Evicted(*this, std::move(one))));
    leaving_.emplace(leaving.back()->key_, leaving.back().get());
    leaving_bytes_ += leaving.back()->bytes_;
  }
  if (observer_ != nullptr && !leaving.empty()) {
    observer_->OnEvicted(static_cast<int64_t>(leaving.size()));
  }
  ReportSize();
  return leaving;
}

void EmbeddingCache::PassOn(std::vector<std::shared_ptr<Evicted>> evicted) {
  if (sink_ == nullptr) return;
  for (std::shared_ptr<Evicted>& one : evicted) sink_(std::move(one));
}

void EmbeddingCache::ReportSize() {
  if (observer_ == nullptr) return;
  observer_->OnSize(lru_.bytes() + leaving_bytes_,
                    lru_.entries() + static_cast<int64_t>(leaving_.size()));
}

void EmbeddingCache::Count(CacheLookup lookup) {
  if (observer_ != nullptr) observer_->OnLookup(lookup);
}

int64_t EmbeddingCache::bytes() const {
  MutexLock lock(mutex_);
  return lru_.bytes() + leaving_bytes_;
}

int64_t EmbeddingCache::entries() const {
  MutexLock lock(mutex_);
  return lru_.entries() + static_cast<int64_t>(leaving_.size());
}

}  // namespace semsam
