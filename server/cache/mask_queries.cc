#include "server/cache/mask_queries.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace semsam {

uint64_t MaskQueries::Add(Shelf& shelf, absl::Span<const float> query) {
  const int64_t bytes = SizeOf(static_cast<int64_t>(query.size()));
  if (max_per_session_ <= 0 || bytes > max_bytes_) return 0;
  if (static_cast<int64_t>(shelf.entries.size()) >= max_per_session_) RemoveOldest(shelf);
  // The oldest of all is the oldest of its shelf, too.
  while (bytes > max_bytes_ - bytes_) RemoveOldest(*order_.front().shelf);
  bytes_ += bytes;
  order_.push_back({.id = ++last_id_, .shelf = &shelf, .query = {query.begin(), query.end()}});
  shelf.entries.push_back(std::prev(order_.end()));
  return last_id_;
}

absl::Span<const float> MaskQueries::Find(const Shelf& shelf, uint64_t id) const {
  const auto found =
      std::lower_bound(shelf.entries.begin(), shelf.entries.end(), id,
                       [](Order::iterator entry, uint64_t wanted) { return entry->id < wanted; });
  if (found == shelf.entries.end() || (*found)->id != id) return {};
  return (*found)->query;
}

void MaskQueries::Clear(Shelf& shelf) {
  while (!shelf.entries.empty()) RemoveOldest(shelf);
}

void MaskQueries::RemoveOldest(Shelf& shelf) {
  const Order::iterator oldest = shelf.entries.front();
  shelf.entries.pop_front();
  bytes_ -= SizeOf(static_cast<int64_t>(oldest->query.size()));
  order_.erase(oldest);
}

}  // namespace semsam
