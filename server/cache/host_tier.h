// Stored embeddings in host memory under a byte budget, least recently used out first.
//
// Guarantees
//   - stats().bytes is the sum over what is held, whatever was put in, replaced or
//     evicted, and never above the budget.
//   - What somebody still reads lives on after its eviction, beside the budget.
// Thread-safe.
#ifndef SEMSAM_SERVER_CACHE_HOST_TIER_H_
#define SEMSAM_SERVER_CACHE_HOST_TIER_H_

#include <cstdint>
#include <list>
#include <unordered_map>
#include <vector>

#include "model/base/mutex.h"
#include "server/cache/embedding_tier.h"

namespace semsam {

class HostTier final : public EmbeddingTier {
 public:
  // What an entry counts for beside its strings.
  static constexpr int64_t kEntryOverheadBytes = 512;

  explicit HostTier(int64_t budget_bytes) : budget_bytes_(budget_bytes) {}

  TierKind kind() const override { return TierKind::kHost; }
  bool outlives_process() const override { return false; }
  absl::StatusOr<Pointer> Find(const EmbeddingKey& key) override;
  bool Touch(const EmbeddingKey& key) override;
  // RESOURCE_EXHAUSTED, and nothing else has to go, for what is above the whole budget.
  absl::Status Put(const EmbeddingKey& key, const Pointer& stored) override;
  void Remove(const EmbeddingKey& key) override;
  TierStats stats() const override;

 private:
  struct Entry {
    EmbeddingKey key;
    Pointer stored;
    int64_t bytes = 0;  // as accounted
  };
  using Order = std::list<Entry>;

  // Null if it is not held.
  Pointer UseLocked(const EmbeddingKey& key) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Returns what the entry held, to be freed outside the lock.
  Pointer EraseLocked(Order::iterator entry) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const int64_t budget_bytes_;

  mutable Mutex mutex_;
  Order order_ ABSL_GUARDED_BY(mutex_);  // most recently used first
  std::unordered_map<EmbeddingKey, Order::iterator, EmbeddingKeyHash> by_key_
      ABSL_GUARDED_BY(mutex_);
  int64_t bytes_ ABSL_GUARDED_BY(mutex_) = 0;
  int64_t evicted_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace semsam

#endif  // SEMSAM_SERVER_CACHE_HOST_TIER_H_
