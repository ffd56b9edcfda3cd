// A place below the device where embeddings are kept as bytes: host memory, a disk, or
// a service that several servers share.
//
// Calls may block for as long as the place takes, so they are made on a thread that
// nobody waits for (TierWorker). A tier is best effort: what it loses is made again.
#ifndef SEMSAM_SERVER_CACHE_EMBEDDING_TIER_H_
#define SEMSAM_SERVER_CACHE_EMBEDDING_TIER_H_

#include <cstdint>
#include <memory>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "model/segmenter.h"
#include "server/cache/embedding_key.h"

namespace semsam {

enum class TierKind { kHost, kDisk };

struct TierStats {
  int64_t bytes = 0;
  int64_t capacity_bytes = 0;
  int64_t entries = 0;
  int64_t evicted = 0;  // entries that had to make room, since the start
};

// Thread-safe.
class EmbeddingTier {
 public:
  using Pointer = std::shared_ptr<const StoredEmbedding>;

  virtual ~EmbeddingTier() = default;

  virtual TierKind kind() const = 0;
  // True where a later process finds what this one put in.
  virtual bool outlives_process() const = 0;

  // What was put in under exactly this key; it is the most recently used, then. NOT_FOUND
  // for a plain miss. Any other error: it was there and cannot be had.
  virtual absl::StatusOr<Pointer> Find(const EmbeddingKey& key) = 0;

  // Whether `key` is held, without its bytes; it is the most recently used, then.
  virtual bool Touch(const EmbeddingKey& key) = 0;

  // Keeps `stored` (not null, of the model and the size of `key`) in place of what `key`
  // stood for; what was least recently used makes room.
  virtual absl::Status Put(const EmbeddingKey& key, const Pointer& stored) = 0;

  // Forgets what is of no use, if it is there.
  virtual void Remove(const EmbeddingKey& key) = 0;

  virtual TierStats stats() const = 0;
};

// OK if `stored` can be what `key` stands for, else INVALID_ARGUMENT.
inline absl::Status CheckIsOf(const StoredEmbedding& stored, const EmbeddingKey& key) {
  if (stored.model_digest != key.model_digest) {
    return absl::InvalidArgumentError("the stored embedding is another model's");
  }
  if (stored.network_size != key.network_size) {
    return absl::InvalidArgumentError("the stored embedding is of another size");
  }
  return absl::OkStatus();
}

}  // namespace semsam

#endif  // SEMSAM_SERVER_CACHE_EMBEDDING_TIER_H_
