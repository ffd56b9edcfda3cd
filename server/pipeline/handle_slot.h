// Where the handle of a call will be found.
#ifndef SEMSAM_SERVER_PIPELINE_HANDLE_SLOT_H_
#define SEMSAM_SERVER_PIPELINE_HANDLE_SLOT_H_

#include <cstdint>
#include <memory>

#include "model/base/mutex.h"
#include "server/pipeline/stream_call.h"

namespace semsam {

// The engine's handle comes when the call may already be running, or over: what is to
// be told to it before is kept here. Thread-safe.
class HandleSlot {
 public:
  // Once; null where the call ended before it began.
  void Set(const std::shared_ptr<StreamHandle>& handle);
  void Consumed(int64_t bytes);
  void Wake();

 private:
  Mutex mutex_;
  std::shared_ptr<StreamHandle> handle_ ABSL_GUARDED_BY(mutex_);
  int64_t early_bytes_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace semsam

#endif  // SEMSAM_SERVER_PIPELINE_HANDLE_SLOT_H_
