#include "server/pipeline/tier_worker.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "model/base/errors.h"
#include "model/base/status_macros.h"
#include "server/cache/disk_tier.h"
#include "server/cache/host_tier.h"

namespace semsam {
namespace {

// How often a tier's failures are told of.
constexpr absl::Duration kErrorInterval = absl::Minutes(1);
// Demotions are bounded by their bytes; this is for embeddings of next to none.
constexpr int64_t kMaxDemotions = 4096;

WorkQueueOptions QueueOptions(const TierOptions& options, int64_t max_finds,
                              absl::Duration retry_after) {
  return {.classes = {{.name = "tier find", .max_entries = max_finds, .max_units = max_finds},
                      {.name = "demotion",
                       .max_entries = kMaxDemotions,
                       .max_units = options.max_demotion_bytes}},
          .retry_after = retry_after};
}

Tier LabelFor(TierKind kind) { return kind == TierKind::kHost ? Tier::kHost : Tier::kDisk; }

absl::Status Draining() {
  return ErrorWithReason(absl::StatusCode::kUnavailable, reason::kDraining,
                         "the server is shutting down");
}

}  // namespace

absl::Status TierOptions::Validate() const {
  if (host_cache_bytes < 0) return InvalidField("host_cache_bytes", "must not be negative");
  if (!disk_cache_dir.empty() && disk_cache_bytes <= 0) {
    return InvalidField("disk_cache_bytes", "must be positive");
  }
  if (max_demotion_bytes <= 0) return InvalidField("max_demotion_bytes", "must be positive");
  return absl::OkStatus();
}

absl::StatusOr<EmbeddingTiers> OpenTiers(const TierOptions& options,
                                         const std::string& model_digest) {
  EmbeddingTiers tiers;
  if (options.host_cache_bytes > 0) {
    tiers.push_back(std::make_unique<HostTier>(options.host_cache_bytes));
  }
  if (!options.disk_cache_dir.empty()) {
    SEMSAM_ASSIGN_OR_RETURN(std::unique_ptr<DiskTier> disk,
                            DiskTier::Open({.directory = options.disk_cache_dir,
                                            .budget_bytes = options.disk_cache_bytes,
                                            .model_digest = model_digest}));
    tiers.push_back(std::move(disk));
  }
  return tiers;
}

TierWorker::TierWorker(const TierOptions& options, int64_t max_finds, absl::Duration retry_after,
                       EmbeddingTiers tiers, const std::vector<Segmenter*>& models,
                       const Clock& clock, Metrics& metrics, WorkQueueObserver* observer)
    : options_(options),
      tiers_(std::move(tiers)),
      models_(models),
      clock_(clock),
      metrics_(metrics),
      quiet_until_(tiers_.size(), absl::InfinitePast()),
      queue_(QueueOptions(options, max_finds, retry_after), clock, observer) {
  metrics_.SetQueueCapacity(Queue::kTierFind, max_finds, max_finds);
  metrics_.SetQueueCapacity(Queue::kDemote, kMaxDemotions, options.max_demotion_bytes);
  PublishStats();
  thread_ = std::thread([this] { Work(); });
}

TierWorker::~TierWorker() { Shutdown(); }

void TierWorker::Find(FindJob job) {
  auto shared = std::make_shared<FindJob>(std::move(job));
  JobQueue::Entry entry{.task = [this, shared] { RunFind(*shared); },
                        .check = [shared](absl::Time now) { return shared->check(now); },
                        .drop = [shared](absl::Status why) { shared->done(std::move(why)); }};
  absl::Status status = queue_.Push(kFind, entry);
  if (!status.ok()) entry.drop(std::move(status));
}

void TierWorker::Demote(std::shared_ptr<EmbeddingCache::Evicted> evicted) {
  if (IsServersOwn(evicted->key().tenant)) return;
  JobQueue::Entry entry{
      .units = evicted->bytes(),
      .check = [](absl::Time /*now*/) { return absl::OkStatus(); },
      .drop = [this](const absl::Status& /*why*/) { metrics_.RecordDemotion(Demotion::kDropped); }};
  entry.task = [this, evicted = std::move(evicted)]() mutable {
    metrics_.RecordDemotion(MayStore() ? Store(std::move(evicted), Which::kAll)
                                       : Demotion::kDropped);
  };
  absl::Status status = queue_.Push(kDemote, entry);
  if (!status.ok()) entry.drop(std::move(status));
}

void TierWorker::Discard(const Found& found, const EmbeddingKey& key, const absl::Status& why) {
  JobQueue::Entry entry{.task =
                            [this, tier = found.tier, key, why] {
                              tiers_[tier]->Remove(key);
                              CountError(*tiers_[tier], why);
                            },
                        .check = [](absl::Time /*now*/) { return absl::OkStatus(); },
                        .drop = [](const absl::Status& /*why*/) {}};
  // Where there is no room it is found, and discarded, another time.
  (void)queue_.Push(kFind, entry);
}

void TierWorker::Shutdown(absl::Time store_until) {
  if (!thread_.joinable()) return;
  store_until_ = store_until;
  stopping_.store(true, std::memory_order_release);
  queue_.Close(JobQueue::CloseMode::kDrain);
  thread_.join();
}

void TierWorker::Work() {
  while (std::optional<JobQueue::Batch> batch = queue_.TakeBatch()) {
    for (JobQueue::Taken& taken : batch->entries) {
      absl::AnyInvocable<void()> task = std::move(taken.task);
      task();
    }
    PublishStats();
  }
}

void TierWorker::RunFind(FindJob& job) {
  const absl::Time start = clock_.Now();
  for (size_t i = 0; i < tiers_.size(); ++i) {
    if (stopping_.load(std::memory_order_acquire)) return job.done(Draining());
    if (absl::Status status = job.check(clock_.Now()); !status.ok()) {
      return job.done(std::move(status));
    }
    absl::StatusOr<EmbeddingTier::Pointer> stored = FindIn(*tiers_[i], job.key);
    if (stored.ok()) {
      metrics_.RecordStage(Stage::kTierRead, clock_.Now() - start);
      return job.done(Found{.stored = *std::move(stored), .tier = i});
    }
  }
  job.done(absl::NotFoundError("in no tier"));
}

absl::StatusOr<EmbeddingTier::Pointer> TierWorker::FindIn(EmbeddingTier& tier,
                                                          const EmbeddingKey& key) {
  absl::StatusOr<EmbeddingTier::Pointer> stored = tier.Find(key);
  if (stored.ok()) {
    // Whatever the tier is: nobody gets what is not his.
    if (absl::Status status = CheckIsOf(**stored, key); !status.ok()) {
      tier.Remove(key);
      stored = std::move(status);
    }
  }
  const Tier label = LabelFor(tier.kind());
  if (stored.ok()) {
    metrics_.RecordTierLookup(label, TierOutcome::kHit);
  } else if (absl::IsNotFound(stored.status())) {
    metrics_.RecordTierLookup(label, TierOutcome::kMiss);
  } else {
    metrics_.RecordTierLookup(label, TierOutcome::kFailed);
    CountError(tier, stored.status());
  }
  return stored;
}

bool TierWorker::MayStore() const {
  return !stopping_.load(std::memory_order_acquire) || clock_.Now() < store_until_;
}

Demotion TierWorker::Store(std::shared_ptr<EmbeddingCache::Evicted> evicted, Which which) {
  std::shared_ptr<const Embedding> embedding = evicted->embedding();
  if (embedding == nullptr) return Demotion::kTakenBack;
  const EmbeddingKey key = evicted->key();
  std::vector<EmbeddingTier*> lacking;
  for (const std::unique_ptr<EmbeddingTier>& tier : tiers_) {
    if (which == Which::kLasting && !tier->outlives_process()) continue;
    if (!tier->Touch(key)) lacking.push_back(tier.get());
  }
  if (lacking.empty()) return Demotion::kHeld;
  const absl::Time start = clock_.Now();
  absl::StatusOr<StoredEmbedding> stored =
      models_[evicted->device()]->Store(*embedding, options_.storage);
  // The device's memory is free from here on, however long a disk takes.
  embedding.reset();
  evicted.reset();
  if (!stored.ok()) return Demotion::kFailed;
  const auto shared = std::make_shared<const StoredEmbedding>(*std::move(stored));
  bool failed = false;
  for (EmbeddingTier* const tier : lacking) {
    if (absl::Status status = tier->Put(key, shared); !status.ok()) {
      CountError(*tier, status);
      failed = true;
    }
  }
  metrics_.RecordStage(Stage::kTierStore, clock_.Now() - start);
  return failed ? Demotion::kFailed : Demotion::kStored;
}

void TierWorker::StoreAll(std::vector<std::shared_ptr<EmbeddingCache::Evicted>> evicted,
                          absl::Time until) {
  const bool lasting = std::any_of(tiers_.begin(), tiers_.end(),
                                   [](const auto& tier) { return tier->outlives_process(); });
  while (lasting && !evicted.empty() && clock_.Now() < until) {
    std::shared_ptr<EmbeddingCache::Evicted> last = std::move(evicted.back());
    evicted.pop_back();
    if (IsServersOwn(last->key().tenant)) continue;
    metrics_.RecordDemotion(Store(std::move(last), Which::kLasting));
  }
  PublishStats();
}

void TierWorker::CountError(const EmbeddingTier& tier, const absl::Status& why) {
  metrics_.RecordTierError(LabelFor(tier.kind()));
  if (options_.on_error == nullptr) return;
  const auto is_it = [&tier](const auto& one) { return one.get() == &tier; };
  const size_t i = std::find_if(tiers_.begin(), tiers_.end(), is_it) - tiers_.begin();
  const absl::Time now = clock_.Now();
  if (now < quiet_until_[i]) return;
  quiet_until_[i] = now + kErrorInterval;
  options_.on_error(tier.kind(), why);
}

void TierWorker::PublishStats() {
  for (const std::unique_ptr<EmbeddingTier>& tier : tiers_) {
    const TierStats stats = tier->stats();
    metrics_.SetTier(LabelFor(tier->kind()), {.bytes = stats.bytes,
                                              .capacity_bytes = stats.capacity_bytes,
                                              .entries = stats.entries,
                                              .evicted = stats.evicted});
  }
}

}  // namespace semsam
