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

EmbeddingLru::Pointer EmbeddingLru::Find(const EmbeddingKey& key) {
  const auto found = by_key_.find(key);
  if (found == by_key_.end()) return nullptr;
  order_.splice(order_.begin(), order_, found->second);
  return found->second->embedding;
}

void EmbeddingLru::Insert(const EmbeddingKey& key, Pointer embedding) {
  if (const auto found = by_key_.find(key); found != by_key_.end()) {
    bytes_ -= found->second->bytes;
    order_.erase(found->second);
    by_key_.erase(found);
  }
  const int64_t bytes = embedding->size_bytes();
  order_.push_front({key, std::move(embedding), bytes});
  by_key_.emplace(key, order_.begin());
  bytes_ += bytes;
}

std::vector<EmbeddingLru::Pointer> EmbeddingLru::Trim() {
  std::vector<Pointer> evicted;
  auto it = order_.end();
  while (bytes_ > budget_bytes_ && it != order_.begin()) {
    --it;
    if (InUse(*it)) continue;
    bytes_ -= it->bytes;
    by_key_.erase(it->key);
    evicted.push_back(std::move(it->embedding));
    it = order_.erase(it);
  }
  return evicted;
}

int64_t EmbeddingLru::InUseBytes() const {
  int64_t bytes = 0;
  for (const Entry& entry : order_) {
    if (InUse(entry)) bytes += entry.bytes;
  }
  return bytes;
}

}  // namespace semsam
