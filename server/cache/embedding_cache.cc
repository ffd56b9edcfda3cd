#include "server/cache/embedding_cache.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "model/base/errors.h"

namespace semsam {

absl::Status EmbeddingCacheOptions::Validate() const {
  if (budget_bytes < 0) return InvalidField("budget_bytes", "must not be negative");
  if (devices <= 0) return InvalidField("devices", "must be positive");
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

int EmbeddingCache::Flight::device() const { return state_->device; }

void EmbeddingCache::Flight::Finish(absl::StatusOr<std::shared_ptr<const Embedding>> result,
                                    Origin origin) {
  const std::shared_ptr<FlightState> state = std::exchange(state_, nullptr);
  cache_.FinishFlight(*state, std::move(result), origin);
}

EmbeddingCache::Evicted::Evicted(EmbeddingCache& cache, EmbeddingLru::Evicted evicted, int device)
    : cache_(cache),
      key_(std::move(evicted.key)),
      bytes_(evicted.bytes),
      device_(device),
      embedding_(std::move(evicted.embedding)) {}

EmbeddingCache::Evicted::~Evicted() {
  EmbeddingLru::Pointer freed;  // after the lock
  MutexLock lock(cache_.mutex_);
  if (embedding_ == nullptr) return;
  freed = std::move(embedding_);
  cache_.leaving_.erase(key_);
  cache_.devices_[device_].leaving_bytes -= bytes_;
  cache_.ReportSize();
}

std::shared_ptr<const Embedding> EmbeddingCache::Evicted::embedding() const {
  MutexLock lock(cache_.mutex_);
  return embedding_;
}

EmbeddingCache::EmbeddingCache(EmbeddingCacheOptions options, EmbeddingCacheObserver* observer,
                               EvictionSink sink)
    : options_(options), observer_(observer), sink_(std::move(sink)) {
  for (int i = 0; i < options.devices; ++i) devices_.emplace_back(options.budget_bytes);
}

EmbeddingCache::~EmbeddingCache() = default;

std::unique_ptr<EmbeddingCache::Flight> EmbeddingCache::Get(const EmbeddingKey& key, OnMiss on_miss,
                                                            Check check, Callback callback) {
  Held held;
  absl::StatusOr<int> device = 0;  // of a flight
  std::shared_ptr<FlightState> begun;
  std::vector<std::shared_ptr<Evicted>> evicted;
  {
    MutexLock lock(mutex_);
    const size_t were_leaving = leaving_.size();
    held = FindLocked(key);
    if (held.embedding != nullptr) {
      Count(CacheLookup::kHit);
    } else if (const auto found = flights_.find(key); found != flights_.end()) {
      Count(CacheLookup::kJoined);
      Join(*found->second, on_miss,
           {std::move(check), CacheLookup::kJoined, std::move(callback), absl::OkStatus()});
      return nullptr;
    } else {
      Count(CacheLookup::kMiss);
      device = on_miss.lead ? AdmitFlight(key.tenant, on_miss)
                            : absl::NotFoundError("the embedding is not held");
      if (device.ok()) begun = Begin(key, *device, on_miss, check, callback);
    }
    // Only what came in, or will, can be too much.
    if (begun != nullptr || leaving_.size() != were_leaving) evicted = TrimLocked();
  }
  PassOn(std::move(evicted));
  if (begun != nullptr) return std::unique_ptr<Flight>(new Flight(*this, std::move(begun)));
  if (held.embedding != nullptr) {
    callback(Found{.embedding = std::move(held.embedding),
                   .device = held.device,
                   .lookup = CacheLookup::kHit});
  } else {
    callback(std::move(device).status());
  }
  return nullptr;
}

EmbeddingCache::Held EmbeddingCache::FindLocked(const EmbeddingKey& key) {
  if (Held back = TakeBack(key); back.embedding != nullptr) {
    devices_[back.device].lru.Insert(key, std::move(back.embedding));
  }
  for (size_t i = 0; i < devices_.size(); ++i) {
    EmbeddingLru::Pointer embedding = devices_[i].lru.Find(key);
    if (embedding != nullptr) return {std::move(embedding), static_cast<int>(i)};
  }
  return {};
}

EmbeddingCache::Held EmbeddingCache::TakeBack(const EmbeddingKey& key) {
  const auto found = leaving_.find(key);
  if (found == leaving_.end()) return {};
  Evicted& evicted = *found->second;
  devices_[evicted.device_].leaving_bytes -= evicted.bytes_;
  leaving_.erase(found);
  return {std::exchange(evicted.embedding_, nullptr), evicted.device_};
}

EmbeddingCache::Held EmbeddingCache::Hold(const FlightState& flight,
                                          EmbeddingLru::Pointer embedding,
                                          std::vector<EmbeddingLru::Pointer>& replaced) {
  replaced.push_back(TakeBack(flight.key).embedding);
  for (Device& device : devices_) replaced.push_back(device.lru.Erase(flight.key));
  EmbeddingLru& lru = devices_[flight.device].lru;
  lru.Insert(flight.key, std::move(embedding));
  // In use, from here on, by those who waited.
  return {lru.Find(flight.key), flight.device};
}

void EmbeddingCache::Join(FlightState& flight, OnMiss& on_miss, Waiter waiter) {
  flight.waiters.push_back(std::move(waiter));
  if (flight.image == nullptr && !flight.image_taken) flight.image = std::move(on_miss.image);
}

std::shared_ptr<EmbeddingCache::FlightState> EmbeddingCache::Begin(const EmbeddingKey& key,
                                                                   int device, OnMiss& on_miss,
                                                                   Check& check,
                                                                   Callback& callback) {
  auto flight = std::make_shared<FlightState>(
      FlightState{.key = key, .device = device, .reserved_bytes = on_miss.embedding_bytes});
  Join(*flight, on_miss,
       {std::move(check), CacheLookup::kMiss, std::move(callback), absl::OkStatus()});
  flights_.emplace(key, flight);
  ++open_flights_;
  devices_[device].reserved_bytes += flight->reserved_bytes;
  return flight;
}

absl::StatusOr<int> EmbeddingCache::AdmitFlight(const TenantId& tenant,
                                                const OnMiss& on_miss) const {
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
  for (int i = 0; i < options_.devices; ++i) {
    const int device = (on_miss.device + i) % options_.devices;
    const int64_t committed = devices_[device].lru.in_use_bytes() + devices_[device].reserved_bytes;
    // An embedding alone may be larger than the budget.
    if (committed <= 0 || (committed < options_.budget_bytes &&
                           on_miss.embedding_bytes <= options_.budget_bytes - committed)) {
      return device;
    }
  }
  return Overloaded(reason::kMemoryFull,
                    "the embeddings in use and under way fill the memory set aside",
                    options_.retry_after);
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
  std::shared_ptr<const std::string> image;     // freed after the lock
  std::vector<EmbeddingLru::Pointer> replaced;  // this, too
  std::vector<std::shared_ptr<Evicted>> evicted;
  {
    MutexLock lock(mutex_);
    Unlist(flight);
    --open_flights_;
    devices_[flight.device].reserved_bytes -= flight.reserved_bytes;
    waiters = std::move(flight.waiters);
    image = std::move(flight.image);
    if (result.ok()) result = Hold(flight, *std::move(result), replaced).embedding;
    evicted = TrimLocked();
  }
  PassOn(std::move(evicted));
  const auto tell = [origin, device = flight.device](
                        Waiter& waiter, absl::StatusOr<std::shared_ptr<const Embedding>> mine) {
    if (!waiter.why.ok()) {
      waiter.callback(std::move(waiter.why));
    } else if (mine.ok()) {
      waiter.callback(Found{.embedding = *std::move(mine),
                            .device = device,
                            .lookup = waiter.lookup,
                            .origin = origin});
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
  std::vector<std::vector<std::shared_ptr<Evicted>>> left(devices_.size());
  size_t most = 0;
  for (size_t i = 0; i < devices_.size(); ++i) {
    Leave(devices_[i].lru.Trim(/*beside_bytes=*/options_.budget_bytes), static_cast<int>(i),
          left[i]);
    most = std::max(most, left[i].size());
  }
  // Devices in turns, so that what each used last comes last.
  std::vector<std::shared_ptr<Evicted>> leaving;
  for (size_t back = most; back > 0; --back) {
    for (auto& of_device : left) {
      if (back <= of_device.size())
        leaving.push_back(std::move(of_device[of_device.size() - back]));
    }
  }
  ReportLeft(leaving);
  return leaving;
}

std::vector<std::shared_ptr<EmbeddingCache::Evicted>> EmbeddingCache::TrimLocked() {
  std::vector<std::shared_ptr<Evicted>> leaving;
  for (size_t i = 0; i < devices_.size(); ++i) {
    Leave(devices_[i].lru.Trim(devices_[i].reserved_bytes), static_cast<int>(i), leaving);
  }
  ReportLeft(leaving);
  return leaving;
}

void EmbeddingCache::Leave(std::vector<EmbeddingLru::Evicted> evicted, int device,
                           std::vector<std::shared_ptr<Evicted>>& leaving) {
  for (EmbeddingLru::Evicted& one : evicted) {
    leaving.push_back(std::shared_ptr<Evicted>(new Evicted(*this, std::move(one), device)));
    leaving_.emplace(leaving.back()->key_, leaving.back().get());
    devices_[device].leaving_bytes += leaving.back()->bytes_;
  }
}

void EmbeddingCache::ReportLeft(const std::vector<std::shared_ptr<Evicted>>& leaving) {
  if (observer_ != nullptr && !leaving.empty()) {
    observer_->OnEvicted(static_cast<int64_t>(leaving.size()));
  }
  ReportSize();
}

void EmbeddingCache::PassOn(std::vector<std::shared_ptr<Evicted>> evicted) {
  if (sink_ == nullptr) return;
  for (std::shared_ptr<Evicted>& one : evicted) sink_(std::move(one));
}

void EmbeddingCache::ReportSize() {
  if (observer_ == nullptr) return;
  observer_->OnSize(BytesLocked(), EntriesLocked());
  for (size_t i = 0; i < devices_.size(); ++i) {
    observer_->OnDeviceSize(static_cast<int>(i), devices_[i].bytes());
  }
}

void EmbeddingCache::Count(CacheLookup lookup) {
  if (observer_ != nullptr) observer_->OnLookup(lookup);
}

int64_t EmbeddingCache::BytesLocked() const {
  int64_t bytes = 0;
  for (const Device& device : devices_) bytes += device.bytes();
  return bytes;
}

int64_t EmbeddingCache::EntriesLocked() const {
  auto entries = static_cast<int64_t>(leaving_.size());
  for (const Device& device : devices_) entries += device.lru.entries();
  return entries;
}

int64_t EmbeddingCache::bytes() const {
  MutexLock lock(mutex_);
  return BytesLocked();
}

int64_t EmbeddingCache::entries() const {
  MutexLock lock(mutex_);
  return EntriesLocked();
}

}  // namespace semsam
