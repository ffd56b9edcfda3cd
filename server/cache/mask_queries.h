// What sessions keep of the masks they got: one query embedding each, so that new
// words can be scored without running the decoder again.
//
// Guarantees
//   - A session holds max_per_session embeddings at most, all sessions together
//     max_bytes; the oldest go first, of the session and of all.
//   - bytes() is the sum over what is held, bookkeeping included.
//   - An id is never 0 and never given twice.
// Not thread-safe: its owner locks.
#ifndef SEMSAM_SERVER_CACHE_MASK_QUERIES_H_
#define SEMSAM_SERVER_CACHE_MASK_QUERIES_H_

#include <cstdint>
#include <deque>
#include <list>
#include <vector>

#include "absl/types/span.h"

namespace semsam {

class MaskQueries {
 private:
  struct Entry;
  using Order = std::list<Entry>;  // oldest first

 public:
  // What one session holds. Its address stays while it holds anything.
  class Shelf {
   private:
    friend class MaskQueries;
    std::deque<Order::iterator> entries;  // by rising id
  };

  // Bytes that an entry takes beside its embedding.
  static constexpr int64_t kEntryOverheadBytes = 80;

  MaskQueries(int64_t max_per_session, int64_t max_bytes)
      : max_per_session_(max_per_session), max_bytes_(max_bytes) {}

  // Keeps a copy of `query`; its id, or 0 if it can never fit.
  uint64_t Add(Shelf& shelf, absl::Span<const float> query);

  // Empty if the shelf does not hold it; valid until the next change.
  absl::Span<const float> Find(const Shelf& shelf, uint64_t id) const;

  // Lets go of everything on `shelf`.
  void Clear(Shelf& shelf);

  int64_t bytes() const { return bytes_; }

 private:
  struct Entry {
    uint64_t id = 0;
    Shelf* shelf = nullptr;
    std::vector<float> query;
  };

  static int64_t SizeOf(int64_t values) {
    return kEntryOverheadBytes + values * static_cast<int64_t>(sizeof(float));
  }
  void RemoveOldest(Shelf& shelf);

  const int64_t max_per_session_;
  const int64_t max_bytes_;
  uint64_t last_id_ = 0;
  int64_t bytes_ = 0;
  Order order_;
};

}  // namespace semsam

#endif  // SEMSAM_SERVER_CACHE_MASK_QUERIES_H_
