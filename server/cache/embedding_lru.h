// One tier of embeddings under a byte budget, least recently used out first.
//
// Guarantees
//   - bytes() is the sum of size_bytes() over what is held, whatever was
//     inserted, replaced or evicted.
//   - An embedding that somebody outside still holds is never evicted: dropping
//     it would free nothing. The tier may therefore stand above its budget, by
//     no more than what is in use; it comes down with the next Trim.
//   - in_use_bytes() is the sum over those, replaced ones included, kept as they come
//     and go.
// Not thread-safe: its owner locks.
#ifndef SEMSAM_SERVER_CACHE_EMBEDDING_LRU_H_
#define SEMSAM_SERVER_CACHE_EMBEDDING_LRU_H_

#include <atomic>
#include <cstdint>
#include <list>
#include <memory>
#include <unordered_map>
#include <vector>

#include "model/segmenter.h"
#include "server/cache/embedding_key.h"

namespace semsam {

class EmbeddingLru {
 public:
  using Pointer = std::shared_ptr<const Embedding>;

  struct Evicted {
    EmbeddingKey key;
    Pointer embedding;
    int64_t bytes = 0;  // as accounted
  };

  explicit EmbeddingLru(int64_t budget_bytes) : budget_bytes_(budget_bytes) {}
  EmbeddingLru(const EmbeddingLru&) = delete;
  EmbeddingLru& operator=(const EmbeddingLru&) = delete;

  // Null if it is not held; else the embedding, now the most recently used, and in use
  // for as long as anybody holds what this returns. That may be longer than the tier is.
  Pointer Find(const EmbeddingKey& key);

  // Forgets `key`; returns what it stood for, or null.
  Pointer Erase(const EmbeddingKey& key);

  // Holds `embedding`, in place of what `key` stood for. Call Trim afterwards.
  void Insert(const EmbeddingKey& key, Pointer embedding);

  // Evicts idle embeddings, the least recently used first, until what is left and
  // `beside_bytes` keep the budget or none is idle. Returns them, so that their memory
  // is freed by the caller, outside its lock.
  std::vector<Evicted> Trim(int64_t beside_bytes = 0);

  int64_t bytes() const { return bytes_; }
  int64_t budget_bytes() const { return budget_bytes_; }
  int64_t entries() const { return static_cast<int64_t>(order_.size()); }
  // Bytes that somebody outside holds, too.
  int64_t in_use_bytes() const { return in_use_bytes_->load(std::memory_order_acquire); }

 private:
  // What all who use an embedding share: ends with the last of them, on any thread.
  class Use;

  struct Entry {
    EmbeddingKey key;
    Pointer embedding;
    int64_t bytes = 0;  // as accounted, so that it is given back exactly
    std::weak_ptr<const Use> use;
  };
  using Order = std::list<Entry>;

  // Only the owner begins a use, under its lock: one that ended stays ended.
  static bool InUse(const Entry& entry) { return !entry.use.expired(); }

  const int64_t budget_bytes_;
  int64_t bytes_ = 0;
  const std::shared_ptr<std::atomic<int64_t>> in_use_bytes_ =
      std::make_shared<std::atomic<int64_t>>(0);
  Order order_;  // most recently used first
  std::unordered_map<EmbeddingKey, Order::iterator, EmbeddingKeyHash> by_key_;
};

}  // namespace semsam

#endif  // SEMSAM_SERVER_CACHE_EMBEDDING_LRU_H_
