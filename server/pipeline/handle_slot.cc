#include "server/pipeline/handle_slot.h"

#include <utility>

namespace semsam {

void HandleSlot::Set(const std::shared_ptr<StreamHandle>& handle) {
  int64_t consumed_bytes = 0;
  {
    MutexLock lock(mutex_);
    handle_ = handle;
    consumed_bytes = std::exchange(early_bytes_, 0);
  }
  if (handle == nullptr) return;
  // What happened while there was nobody to tell.
  handle->Consumed(consumed_bytes);
  handle->Wake();
}

void HandleSlot::Consumed(int64_t bytes) {
  std::shared_ptr<StreamHandle> handle;
  {
    MutexLock lock(mutex_);
    handle = handle_;
    if (handle == nullptr) early_bytes_ += bytes;
  }
  if (handle != nullptr) handle->Consumed(bytes);
}

void HandleSlot::Wake() {
  std::shared_ptr<StreamHandle> handle;
  {
    MutexLock lock(mutex_);
    handle = handle_;
  }
  if (handle != nullptr) handle->Wake();
}

}  // namespace semsam
