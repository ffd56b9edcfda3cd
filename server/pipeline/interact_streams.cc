#include "server/pipeline/interact_streams.h"

#include <utility>

#include "model/base/errors.h"
#include "server/pipeline/interact_calls.h"

namespace semsam {

absl::Status InteractStreams::Add(const std::shared_ptr<InteractCalls>& stream) {
  MutexLock lock(mutex_);
  if (static_cast<int64_t>(streams_.size()) >= max_streams_) {
    return Overloaded(reason::kQueueFull, "too many Interact streams are open", retry_after_);
  }
  streams_.emplace(stream.get(), stream);
  metrics_.SetUsed(Bounded::kInteractStreams, static_cast<int64_t>(streams_.size()));
  return absl::OkStatus();
}

void InteractStreams::Remove(const InteractCalls& stream) {
  MutexLock lock(mutex_);
  streams_.erase(&stream);
  metrics_.SetUsed(Bounded::kInteractStreams, static_cast<int64_t>(streams_.size()));
}

std::vector<std::shared_ptr<InteractCalls>> InteractStreams::All() const {
  MutexLock lock(mutex_);
  std::vector<std::shared_ptr<InteractCalls>> all;
  for (const auto& [key, weak] : streams_) {
    if (std::shared_ptr<InteractCalls> stream = weak.lock(); stream != nullptr) {
      all.push_back(std::move(stream));
    }
  }
  return all;
}

void InteractStreams::CountClicks(int change) {
  MutexLock lock(mutex_);
  clicks_ += change;
  metrics_.SetUsed(Bounded::kOpenClicks, clicks_);
}

}  // namespace semsam
