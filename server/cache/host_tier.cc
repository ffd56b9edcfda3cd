#include "server/cache/host_tier.h"

#include <iterator>
#include <utility>

#include "absl/strings/str_cat.h"

namespace semsam {
namespace {

int64_t SizeOf(const EmbeddingKey& key, const StoredEmbedding& stored) {
  return HostTier::kEntryOverheadBytes +
         static_cast<int64_t>(stored.bytes.size() + stored.model_digest.size() +
                              key.tenant.name.size() + key.model_digest.size() +
                              key.preprocessing.size() + key.image_sha256.size());
}

}  // namespace

absl::StatusOr<EmbeddingTier::Pointer> HostTier::Find(const EmbeddingKey& key) {
  MutexLock lock(mutex_);
  Pointer stored = UseLocked(key);
  if (stored == nullptr) return absl::NotFoundError("not held in host memory");
  return stored;
}

bool HostTier::Touch(const EmbeddingKey& key) {
  MutexLock lock(mutex_);
  return UseLocked(key) != nullptr;
}

EmbeddingTier::Pointer HostTier::UseLocked(const EmbeddingKey& key) {
  const auto found = by_key_.find(key);
  if (found == by_key_.end()) return nullptr;
  order_.splice(order_.begin(), order_, found->second);
  return found->second->stored;
}

absl::Status HostTier::Put(const EmbeddingKey& key, const Pointer& stored) {
  const int64_t bytes = SizeOf(key, *stored);
  if (bytes > budget_bytes_) {
    return absl::ResourceExhaustedError(
        absl::StrCat("an embedding of ", bytes, " bytes is above the whole of the host cache, ",
                     budget_bytes_, " bytes"));
  }
  std::vector<Pointer> freed;  // after the lock
  MutexLock lock(mutex_);
  if (const auto found = by_key_.find(key); found != by_key_.end()) {
    freed.push_back(EraseLocked(found->second));
  }
  while (bytes_ > budget_bytes_ - bytes) {
    freed.push_back(EraseLocked(std::prev(order_.end())));
    ++evicted_;
  }
  order_.push_front({key, stored, bytes});
  by_key_.emplace(key, order_.begin());
  bytes_ += bytes;
  return absl::OkStatus();
}

void HostTier::Remove(const EmbeddingKey& key) {
  Pointer freed;  // after the lock
  MutexLock lock(mutex_);
  if (const auto found = by_key_.find(key); found != by_key_.end()) {
    freed = EraseLocked(found->second);
  }
}

EmbeddingTier::Pointer HostTier::EraseLocked(Order::iterator entry) {
  Pointer stored = std::move(entry->stored);
  bytes_ -= entry->bytes;
  by_key_.erase(entry->key);
  order_.erase(entry);
  return stored;
}

TierStats HostTier::stats() const {
  MutexLock lock(mutex_);
  return {.bytes = bytes_,
          .capacity_bytes = budget_bytes_,
          .entries = static_cast<int64_t>(order_.size()),
          .evicted = evicted_};
}

}  // namespace semsam
