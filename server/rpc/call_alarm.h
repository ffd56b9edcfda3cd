// Does something when a call is still under way at a point of time.
#ifndef SEMSAM_SERVER_RPC_CALL_ALARM_H_
#define SEMSAM_SERVER_RPC_CALL_ALARM_H_

#include <grpcpp/alarm.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <utility>

#include "absl/time/time.h"

namespace semsam {

// Lives inside a reactor. After destruction `action` neither runs nor is running,
// so it may use the reactor.
class CallAlarm {
 public:
  ~CallAlarm() {
    if (state_ == nullptr) return;
    std::unique_ptr<grpc::Alarm> alarm;  // goes when the lock is gone
    const std::lock_guard<std::recursive_mutex> lock(state_->mutex);
    state_->action = nullptr;
    alarm = std::move(state_->alarm);
  }

  // `action` runs once, on a thread of gRPC; it may set the alarm again. Otherwise by
  // one thread, which is the first to set it.
  void Set(absl::Time when, std::function<void()> action) {
    if (state_ == nullptr) state_ = std::make_shared<State>();
    const std::lock_guard<std::recursive_mutex> lock(state_->mutex);
    state_->action = std::move(action);
    state_->alarm = std::make_unique<grpc::Alarm>();
    const uint64_t round = ++state_->round;
    state_->alarm->Set(absl::ToChronoTime(when), [state = state_, round](bool expired) {
      if (!expired) return;
      const std::lock_guard<std::recursive_mutex> lock(state->mutex);
      if (round != state->round) return;  // set again meanwhile
      // Taken out first: the action may end the call, and with it the alarm.
      const std::function<void()> action = std::exchange(state->action, nullptr);
      if (action) action();
    });
  }

 private:
  struct State {
    // Recursive, because gRPC may destroy the reactor within the action.
    std::recursive_mutex mutex;
    std::function<void()> action;  // empty once it ran or must not
    uint64_t round = 0;
    std::unique_ptr<grpc::Alarm> alarm;
  };

  std::shared_ptr<State> state_;
};

}  // namespace semsam

#endif  // SEMSAM_SERVER_RPC_CALL_ALARM_H_
