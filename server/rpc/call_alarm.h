// Does something when a call is still under way at a point of time.
#ifndef SEMSAM_SERVER_RPC_CALL_ALARM_H_
#define SEMSAM_SERVER_RPC_CALL_ALARM_H_

#include <grpcpp/alarm.h>

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
    const std::lock_guard<std::recursive_mutex> lock(state_->mutex);
    state_->action = nullptr;
  }

  // Once. `action` runs on a thread of gRPC.
  void Set(absl::Time when, std::function<void()> action) {
    state_ = std::make_shared<State>();
    state_->action = std::move(action);
    alarm_.Set(absl::ToChronoTime(when), [state = state_](bool expired) {
      if (!expired) return;
      const std::lock_guard<std::recursive_mutex> lock(state->mutex);
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
  };

  std::shared_ptr<State> state_;
  grpc::Alarm alarm_;
};

}  // namespace semsam

#endif  // SEMSAM_SERVER_RPC_CALL_ALARM_H_
