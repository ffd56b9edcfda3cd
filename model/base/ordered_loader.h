// Makes things ahead of time on threads of its own and hands them out in order.
//
// Guarantees
//   - Next gives the items 0, 1, 2, ... in this order, whatever the number of
//     threads and however long each takes.
//   - At most `max_items` are finished or being made, and none is begun while the
//     finished ones hold `max_bytes`, but for the one that is waited for.
//   - The destructor waits for the items that are being made, not for those ahead.
#ifndef SEMSAM_MODEL_BASE_ORDERED_LOADER_H_
#define SEMSAM_MODEL_BASE_ORDERED_LOADER_H_

#include <cstdint>
#include <functional>
#include <map>
#include <thread>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "model/base/errors.h"
#include "model/base/mutex.h"

namespace semsam {

struct LoaderOptions {
  int threads = 1;
  int max_items = 16;
  int64_t max_bytes = int64_t{1} << 30;
};

inline absl::Status Validate(const LoaderOptions& options) {
  if (options.threads < 1 || options.threads > 256) {
    return InvalidField("threads", "must lie in 1 to 256");
  }
  if (options.max_items < 1) return InvalidField("max_items", "must be at least 1");
  if (options.max_bytes < 1) return InvalidField("max_bytes", "must be at least 1");
  return absl::OkStatus();
}

// Next is for one thread at a time; everything else is the loader's own business.
template <typename Item>
class OrderedLoader {
 public:
  // `load` makes the item of an ordinal, 0, 1, ..., on several threads at once; `bytes`
  // says how much memory it holds.
  OrderedLoader(const LoaderOptions& options, std::function<Item(int64_t ordinal)> load,
                std::function<int64_t(const Item&)> bytes)
      : options_(options), load_(std::move(load)), bytes_(std::move(bytes)) {
    for (int i = 0; i < options_.threads; ++i) threads_.emplace_back([this] { Work(); });
  }

  ~OrderedLoader() {
    {
      const MutexLock lock(mutex_);
      stopping_ = true;
    }
    may_begin_.NotifyAll();
    for (std::thread& thread : threads_) thread.join();
  }

  OrderedLoader(const OrderedLoader&) = delete;
  OrderedLoader& operator=(const OrderedLoader&) = delete;

  Item Next() {
    const MutexLock lock(mutex_);
    while (!finished_.contains(wanted_)) has_finished_.Wait(mutex_);
    auto node = finished_.extract(wanted_);
    held_bytes_ -= node.mapped().second;
    ++wanted_;
    may_begin_.NotifyAll();
    return std::move(node.mapped().first);
  }

 private:
  bool MayBegin() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    // The item that is waited for is begun in any case: nothing else would free room.
    return begun_ == wanted_ ||
           (begun_ - wanted_ < options_.max_items && held_bytes_ < options_.max_bytes);
  }

  void Work() {
    while (true) {
      int64_t ordinal = 0;
      {
        const MutexLock lock(mutex_);
        while (!stopping_ && !MayBegin()) may_begin_.Wait(mutex_);
        if (stopping_) return;
        ordinal = begun_++;
      }
      Item item = load_(ordinal);
      const int64_t bytes = bytes_(item);
      {
        const MutexLock lock(mutex_);
        finished_.emplace(ordinal, std::make_pair(std::move(item), bytes));
        held_bytes_ += bytes;
      }
      has_finished_.NotifyAll();
    }
  }

  const LoaderOptions options_;
  const std::function<Item(int64_t)> load_;
  const std::function<int64_t(const Item&)> bytes_;

  Mutex mutex_;
  CondVar may_begin_;
  CondVar has_finished_;
  // wanted_ <= ordinals in finished_ < begun_ <= wanted_ + max_items
  int64_t wanted_ ABSL_GUARDED_BY(mutex_) = 0;
  int64_t begun_ ABSL_GUARDED_BY(mutex_) = 0;
  std::map<int64_t, std::pair<Item, int64_t>> finished_ ABSL_GUARDED_BY(mutex_);
  int64_t held_bytes_ ABSL_GUARDED_BY(mutex_) = 0;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;

  std::vector<std::thread> threads_;
};

}  // namespace semsam

#endif  // SEMSAM_MODEL_BASE_ORDERED_LOADER_H_
