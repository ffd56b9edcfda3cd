#include "server/cache/text_cache.h"

#include <algorithm>
#include <functional>
#include <iterator>
#include <utility>

namespace semsam {

size_t TextKeyHash::operator()(const TextKey& key) const {
  const std::hash<std::string> hash_text;
  size_t hash = hash_text(key.term);
  const auto mix = [&hash](size_t value) { hash = hash * 1099511628211u + value; };
  mix(hash_text(key.model_digest));
  mix(static_cast<size_t>(key.mode));
  return hash;
}

TextCache::TextCache(int64_t budget_bytes, TextCacheObserver* observer)
    : budget_bytes_(budget_bytes), observer_(observer) {}

int64_t TextCache::SizeOf(const Entry& entry) {
  // The map holds a second copy of the key.
  return kEntryOverheadBytes + static_cast<int64_t>(entry.row.size() * sizeof(float)) +
         2 * static_cast<int64_t>(entry.key.term.size() + entry.key.model_digest.size());
}

bool TextCache::Find(const TextKey& key, Look look, absl::Span<float> row) {
  MutexLock lock(mutex_);
  const auto found = by_key_.find(key);
  if (found == by_key_.end() || found->second->row.size() != row.size()) {
    if (look == Look::kSecond) Count(CacheLookup::kMiss);
    return false;
  }
  Count(look == Look::kFirst ? CacheLookup::kHit : CacheLookup::kJoined);
  order_.splice(order_.begin(), order_, found->second);
  std::copy(found->second->row.begin(), found->second->row.end(), row.begin());
  return true;
}

void TextCache::Insert(const TextKey& key, absl::Span<const float> row) {
  Entry entry{.key = key, .row = {row.begin(), row.end()}};
  const int64_t bytes = SizeOf(entry);
  MutexLock lock(mutex_);
  if (const auto found = by_key_.find(key); found != by_key_.end()) Remove(found->second);
  int64_t evicted = 0;
  if (bytes <= budget_bytes_) {
    for (; bytes > budget_bytes_ - bytes_; ++evicted) Remove(std::prev(order_.end()));
    bytes_ += bytes;
    order_.push_front(std::move(entry));
    by_key_.emplace(key, order_.begin());
  }
  if (observer_ == nullptr) return;
  if (evicted > 0) observer_->OnEvicted(evicted);
  observer_->OnSize(bytes_, static_cast<int64_t>(order_.size()));
}

void TextCache::Remove(Order::iterator entry) {
  bytes_ -= SizeOf(*entry);
  by_key_.erase(entry->key);
  order_.erase(entry);
}

void TextCache::Count(CacheLookup outcome) {
  if (observer_ != nullptr) observer_->OnLookup(outcome);
}

int64_t TextCache::bytes() const {
  MutexLock lock(mutex_);
  return bytes_;
}

int64_t TextCache::entries() const {
  MutexLock lock(mutex_);
  return static_cast<int64_t>(order_.size());
}

}  // namespace semsam
