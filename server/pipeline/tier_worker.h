// The one thread that asks the tiers below the device, and the bounded queue in front
// of it: looks for embeddings that are wanted, and stores those that had to go.
//
// Guarantees
//   - Whoever asks goes before what is stored; both wait, and are refused, each for
//     itself. A look that nobody waits for any more touches no further tier.
//   - Nothing that a tier or the model says here fails a request: what cannot be found,
//     read or stored is counted, and told to `on_error` now and then.
//   - What waits to be stored is bounded in bytes; what comes beyond is dropped, and
//     what a tier holds already is not stored again.
//   - `done` runs exactly once, on the tier thread or the submitter's.
// Thread-safe.
#ifndef SEMSAM_SERVER_PIPELINE_TIER_WORKER_H_
#define SEMSAM_SERVER_PIPELINE_TIER_WORKER_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "model/base/clock.h"
#include "model/segmenter.h"
#include "server/batching/work_queue.h"
#include "server/cache/embedding_cache.h"
#include "server/cache/embedding_tier.h"
#include "server/metrics/metrics.h"
#include "server/pipeline/tier_options.h"

namespace semsam {

using EmbeddingTiers = std::vector<std::unique_ptr<EmbeddingTier>>;

// The tiers that `options` (valid) ask for, the fastest first; none if none. Errors:
// see DiskTier::Open.
absl::StatusOr<EmbeddingTiers> OpenTiers(const TierOptions& options,
                                         const std::string& model_digest);

class TierWorker {
 public:
  struct Found {
    EmbeddingTier::Pointer stored;
    size_t tier = 0;
  };
  struct FindJob {
    EmbeddingKey key;
    // OK while somebody waits; see WorkQueue::Entry.
    absl::AnyInvocable<absl::Status(absl::Time now)> check;
    // NOT_FOUND: in no tier. Else the reason why it was not looked for.
    absl::AnyInvocable<void(absl::StatusOr<Found>)> done;
  };

  // `max_finds`: looks that wait. `models`: what is on a device, its model can store.
  // Everything passed by reference or pointer outlives this; `observer` (of classes "find"
  // and "demote") may be null.
  TierWorker(const TierOptions& options, int64_t max_finds, absl::Duration retry_after,
             EmbeddingTiers tiers, const std::vector<Segmenter*>& models, const Clock& clock,
             Metrics& metrics, WorkQueueObserver* observer);
  ~TierWorker();

  void Find(FindJob job);

  // Stores `evicted` in every tier that lacks it, or drops it, as it does the server's own.
  void Demote(std::shared_ptr<EmbeddingCache::Evicted> evicted);

  // The model could not read what `found` holds: the tier need not keep it.
  void Discard(const Found& found, const EmbeddingKey& key, const absl::Status& why);

  // Drops looks that nobody waits for.
  void DropDead() { queue_.DropDead(); }

  // Stores what waits to be stored, until `store_until`, and drops the rest; answers
  // what waits to be found with UNAVAILABLE, and joins the thread.
  void Shutdown(absl::Time store_until = absl::InfiniteFuture());

  // After Shutdown: stores these, the last first, where a later process finds them, one
  // by one until `until`.
  void StoreAll(std::vector<std::shared_ptr<EmbeddingCache::Evicted>> evicted, absl::Time until);

 private:
  enum JobClass { kFind = 0, kDemote = 1 };
  using JobQueue = WorkQueue<absl::AnyInvocable<void()>>;
  enum class Which { kAll, kLasting };

  void Work();
  void RunFind(FindJob& job);
  absl::StatusOr<EmbeddingTier::Pointer> FindIn(EmbeddingTier& tier, const EmbeddingKey& key);
  bool MayStore() const;
  Demotion Store(std::shared_ptr<EmbeddingCache::Evicted> evicted, Which which);
  void CountError(const EmbeddingTier& tier, const absl::Status& why);
  void PublishStats();

  const TierOptions options_;
  const EmbeddingTiers tiers_;
  const std::vector<Segmenter*> models_;
  const Clock& clock_;
  Metrics& metrics_;
  // When `on_error` may be told of a tier again; the tier thread's.
  std::vector<absl::Time> quiet_until_;
  std::atomic<bool> stopping_{false};
  absl::Time store_until_;  // set before `stopping_`
  JobQueue queue_;
  std::thread thread_;
};

}  // namespace semsam

#endif  // SEMSAM_SERVER_PIPELINE_TIER_WORKER_H_
