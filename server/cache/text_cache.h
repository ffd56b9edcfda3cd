// Text embeddings by word, with a byte budget, least recently used out first.
//
// Guarantees
//   - bytes() is the sum over what is held, keys and bookkeeping included, and
//     never above the budget: rows are copied in and out, so nothing is in use.
//   - A row is found only under the model, the cleaned term and the mode that it
//     was put in for.
// Thread-safe. Nothing here waits for a model.
#ifndef SEMSAM_SERVER_CACHE_TEXT_CACHE_H_
#define SEMSAM_SERVER_CACHE_TEXT_CACHE_H_

#include <cstddef>
#include <cstdint>
#include <list>
#include <string>
#include <unordered_map>
#include <vector>

#include "absl/types/span.h"
#include "model/base/mutex.h"
#include "model/base/types.h"
#include "server/cache/cache_lookup.h"

namespace semsam {

struct TextKey {
  std::string model_digest;  // of the weights
  std::string term;          // cleaned: terms that clean alike are one
  TextMode mode = TextMode::kEnsemble;

  friend bool operator==(const TextKey&, const TextKey&) = default;
};

struct TextKeyHash {
  size_t operator()(const TextKey& key) const;
};

// Told of every change, under the cache's lock; must be quick and never call back.
class TextCacheObserver {
 public:
  virtual ~TextCacheObserver() = default;
  virtual void OnLookup(CacheLookup /*outcome*/) {}
  virtual void OnEvicted(int64_t /*entries*/) {}
  virtual void OnSize(int64_t /*bytes*/, int64_t /*entries*/) {}
};

class TextCache {
 public:
  // A caller looks twice: when it is asked, and again when its turn at the model
  // comes. Each word that was wanted counts once: as a hit at the first look, as
  // joined or missed at the second.
  enum class Look { kFirst, kSecond };

  // Bytes that an entry takes beside its row and the texts of its key.
  static constexpr int64_t kEntryOverheadBytes = 160;

  // `budget_bytes` 0 keeps nothing; `observer` may be null and outlives the cache.
  explicit TextCache(int64_t budget_bytes, TextCacheObserver* observer = nullptr);

  // Copies the embedding to `row`; false, and `row` untouched, if it is not held or
  // has another size.
  bool Find(const TextKey& key, Look look, absl::Span<float> row);

  // Holds a copy of `row`, in place of what `key` stood for.
  void Insert(const TextKey& key, absl::Span<const float> row);

  int64_t bytes() const;
  int64_t entries() const;

 private:
  struct Entry {
    TextKey key;
    std::vector<float> row;
  };
  using Order = std::list<Entry>;

  static int64_t SizeOf(const Entry& entry);
  void Remove(Order::iterator entry) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Count(CacheLookup outcome) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const int64_t budget_bytes_;
  TextCacheObserver* const observer_;

  mutable Mutex mutex_;
  int64_t bytes_ ABSL_GUARDED_BY(mutex_) = 0;
  Order order_ ABSL_GUARDED_BY(mutex_);  // most recently used first
  std::unordered_map<TextKey, Order::iterator, TextKeyHash> by_key_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace semsam

#endif  // SEMSAM_SERVER_CACHE_TEXT_CACHE_H_
