#include "server/rpc/call_counter.h"

#include <algorithm>

namespace semsam {
namespace {

// At a time: the condition variable cannot count to infinity.
constexpr absl::Duration kLongestWait = absl::Hours(1);

}  // namespace

uint64_t CallCounter::Enter() {
  MutexLock lock(mutex_);
  ++calls_[generation_];
  return generation_;
}

void CallCounter::Leave(uint64_t generation) {
  MutexLock lock(mutex_);
  const auto found = calls_.find(generation);
  if (--found->second > 0) return;
  calls_.erase(found);
  left_.NotifyAll();
}

void CallCounter::OpenGeneration() {
  MutexLock lock(mutex_);
  ++generation_;
}

bool CallCounter::WaitForEarlier(absl::Duration timeout) {
  const absl::Time deadline = clock_.Now() + timeout;
  MutexLock lock(mutex_);
  while (!EarlierLeft()) {
    const absl::Duration left = deadline - clock_.Now();
    if (left <= absl::ZeroDuration()) return false;
    left_.WaitFor(mutex_, std::min(left, kLongestWait));
  }
  return true;
}

}  // namespace semsam
