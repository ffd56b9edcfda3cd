// The Interact streams that are open: how many there may be, and how to reach them.
#ifndef SEMSAM_SERVER_PIPELINE_INTERACT_STREAMS_H_
#define SEMSAM_SERVER_PIPELINE_INTERACT_STREAMS_H_

#include <cstdint>
#include <memory>
#include <unordered_map>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "model/base/mutex.h"
#include "server/metrics/metrics.h"

namespace semsam {

class InteractCalls;

// Thread-safe.
class InteractStreams {
 public:
  // `metrics` outlives this.
  InteractStreams(int64_t max_streams, absl::Duration retry_after, Metrics& metrics)
      : max_streams_(max_streams), retry_after_(retry_after), metrics_(metrics) {}

  // RESOURCE_EXHAUSTED with a retry hint when there is no place; else `stream` is one
  // of them until Remove.
  absl::Status Add(const std::shared_ptr<InteractCalls>& stream);
  void Remove(const InteractCalls& stream);
  std::vector<std::shared_ptr<InteractCalls>> All() const;

  // So many more clicks are open, on any of them.
  void CountClicks(int change);

 private:
  const int64_t max_streams_;
  const absl::Duration retry_after_;
  Metrics& metrics_;

  mutable Mutex mutex_;
  std::unordered_map<const InteractCalls*, std::weak_ptr<InteractCalls>> streams_
      ABSL_GUARDED_BY(mutex_);
  int64_t clicks_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace semsam

#endif  // SEMSAM_SERVER_PIPELINE_INTERACT_STREAMS_H_
