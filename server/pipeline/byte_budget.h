// A bound on bytes that many owners share.
#ifndef SEMSAM_SERVER_PIPELINE_BYTE_BUDGET_H_
#define SEMSAM_SERVER_PIPELINE_BYTE_BUDGET_H_

#include <cstdint>
#include <functional>
#include <utility>

#include "model/base/mutex.h"

namespace semsam {

// Thread-safe; outlives its reservations.
class ByteBudget {
 public:
  // `on_change` gets the bytes in use, under a lock; it must be quick.
  ByteBudget(int64_t bound_bytes, std::function<void(int64_t)> on_change)
      : bound_bytes_(bound_bytes), on_change_(std::move(on_change)) {}

  // Bytes taken by one owner; given back when it is destroyed.
  // Thread-safety: one owner at a time.
  class Reservation {
   public:
    explicit Reservation(ByteBudget& budget) : budget_(&budget) {}
    Reservation(Reservation&& other) noexcept
        : budget_(other.budget_), bytes_(std::exchange(other.bytes_, 0)) {}
    Reservation& operator=(Reservation&&) = delete;
    ~Reservation() {
      if (bytes_ > 0) budget_->Add(-bytes_);
    }

    // Grows the reservation to `total` bytes; false, and unchanged, if the budget
    // does not allow it. Never shrinks.
    bool GrowTo(int64_t total) {
      if (total <= bytes_) return true;
      if (!budget_->Add(total - bytes_)) return false;
      bytes_ = total;
      return true;
    }

    // Gives back what is above `total` bytes. Never grows.
    void ShrinkTo(int64_t total) {
      if (total >= bytes_) return;
      budget_->Add(total - bytes_);
      bytes_ = total;
    }

   private:
    ByteBudget* budget_;
    int64_t bytes_ = 0;
  };

 private:
  bool Add(int64_t bytes) {
    MutexLock lock(mutex_);
    if (bytes > bound_bytes_ - used_bytes_) return false;
    used_bytes_ += bytes;
    on_change_(used_bytes_);
    return true;
  }

  const int64_t bound_bytes_;
  const std::function<void(int64_t)> on_change_;
  Mutex mutex_;
  int64_t used_bytes_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace semsam

#endif  // SEMSAM_SERVER_PIPELINE_BYTE_BUDGET_H_
