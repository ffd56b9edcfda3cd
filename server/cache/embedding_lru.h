// One tier of embeddings under a byte budget, least recently used out first.
//
// Guarantees
//   - bytes() is the sum of size_bytes() over what is held, whatever was
//     inserted, replaced or evicted.
//   - An embedding that somebody outside still holds is never evicted: dropping
//     it would free nothing. The tier may therefore stand above its budget, by
//     no more than what is in use; it comes down with the next Trim.
// Not thread-safe: its owner locks.
#ifndef SEMSAM_SERVER_CACHE_EMBEDDING_LRU_H_
#define SEMSAM_SERVER_CACHE_EMBEDDING_LRU_H_

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

  explicit EmbeddingLru(int64_t budget_bytes) : budget_bytes_(budget_bytes) {}

  // Null if it is not held; else the embedding, now the most recently used.
  Pointer Find(const EmbeddingKey& key);

  // Holds `embedding`, in place of what `key` stood for. Call Trim afterwards.
  void Insert(const EmbeddingKey& key, Pointer embedding);

  // Evicts idle embeddings until the budget is kept or none is idle. Returns
  // them, so that their memory is freed by the caller, outside its lock.
  std::vector<Pointer> Trim();

  int64_t bytes() const { return bytes_; }
  int64_t budget_bytes() const { return budget_bytes_; }
  int64_t entries() const { return static_cast<int64_t>(order_.size()); }
  // Bytes that somebody outside holds, too.
  int64_t InUseBytes() const;

 private:
  struct Entry {
    EmbeddingKey key;
    Pointer embedding;
    int64_t bytes = 0;  // as accounted, so that it is given back exactly
  };
  using Order = std::list<Entry>;

  // Only the owner hands out copies, under its lock: a count of one cannot rise.
  static bool InUse(const Entry& entry) { return entry.embedding.use_count() > 1; }

  const int64_t budget_bytes_;
  int64_t bytes_ = 0;
  Order order_;  // most recently used first
  std::unordered_map<EmbeddingKey, Order::iterator, EmbeddingKeyHash> by_key_;
};

}  // namespace semsam

#endif  // SEMSAM_SERVER_CACHE_EMBEDDING_LRU_H_
