#include "server/cache/embedding_lru.h"

#include <functional>
#include <iterator>
#include <utility>

namespace semsam {

size_t EmbeddingKeyHash::operator()(const EmbeddingKey& key) const {
  const std::hash<std::string> hash_text;
  size_t hash = hash_text(key.image_sha256);
  const auto mix = [&hash](size_t value) { hash = hash * 1099511628211u + value; };
  mix(hash_text(key.tenant.name));
  mix(hash_text(key.model_digest));
  mix(hash_text(key.preprocessing));
  mix(static_cast<size_t>(key.network_size.height));
  mix(static_cast<size_t>(key.network_size.width));
  return hash;
}

class EmbeddingLru::Use {
 public:
  Use(Pointer embedding, int64_t bytes, std::shared_ptr<std::atomic<int64_t>> in_use_bytes)
      : embedding_(std::move(embedding)), bytes_(bytes), in_use_bytes_(std::move(in_use_bytes)) {
    in_use_bytes_->fetch_add(bytes_, std::memory_order_relaxed);
  }
  ~Use() { in_use_bytes_->fetch_sub(bytes_, std::memory_order_release); }
  Use(const Use&) = delete;
  Use& operator=(const Use&) = delete;

  const Embedding* embedding() const { return embedding_.get(); }

 private:
  const Pointer embedding_;
  const int64_t bytes_;
  const std::shared_ptr<std::atomic<int64_t>> in_use_bytes_;
};

EmbeddingLru::Pointer EmbeddingLru::Find(const EmbeddingKey& key) {
  const auto found = by_key_.find(key);
  if (found == by_key_.end()) return nullptr;
  Entry& entry = *found->second;
  order_.splice(order_.begin(), order_, found->second);
  std::shared_ptr<const Use> use = entry.use.lock();
  if (use == nullptr) {
    use = std::make_shared<const Use>(entry.embedding, entry.bytes, in_use_bytes_);
    entry.use = use;
  }
  const Embedding* embedding = use->embedding();
  return {std::move(use), embedding};
}

EmbeddingLru::Pointer EmbeddingLru::Erase(const EmbeddingKey& key) {
  const auto found = by_key_.find(key);
  if (found == by_key_.end()) return nullptr;
  Pointer embedding = std::move(found->second->embedding);
  bytes_ -= found->second->bytes;
  order_.erase(found->second);
  by_key_.erase(found);
  return embedding;
}

void EmbeddingLru::Insert(const EmbeddingKey& key, Pointer embedding) {
  Erase(key);
  const int64_t bytes = embedding->size_bytes();
  order_.push_front({.key = key, .embedding = std::move(embedding), .bytes = bytes});
  by_key_.emplace(key, order_.begin());
  bytes_ += bytes;
}

std::vector<EmbeddingLru::Evicted> EmbeddingLru::Trim(int64_t beside_bytes) {
  std::vector<Evicted> evicted;
  auto it = order_.end();
  while (bytes_ > budget_bytes_ - beside_bytes && it != order_.begin()) {
    --it;
    if (InUse(*it)) continue;
    bytes_ -= it->bytes;
    by_key_.erase(it->key);
    evicted.push_back({std::move(it->key), std::move(it->embedding), it->bytes});
    it = order_.erase(it);
  }
  return evicted;
}

}  // namespace semsam
