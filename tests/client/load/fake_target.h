// A target that answers as a test says: at once, or when it is told to.
#ifndef SEMSAM_TESTS_CLIENT_LOAD_FAKE_TARGET_H_
#define SEMSAM_TESTS_CLIENT_LOAD_FAKE_TARGET_H_

#include <functional>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "client/load/load_target.h"
#include "model/base/clock.h"

namespace semsam::load {

// For tests of one thread.
class FakeTarget final : public LoadTarget {
 public:
  class Call final : public LoadCall {
   public:
    Call(const Clock& clock, CallRequest request, Done done)
        : request_(std::move(request)), sent_(clock.Now()), clock_(clock), done_(std::move(done)) {}

    const CallRequest& request() const { return request_; }
    absl::Time sent() const { return sent_; }
    bool answered() const { return done_ == nullptr; }

    void Answer(absl::Status status) {
      CallAnswer answer{.status = std::move(status), .end = clock_.Now()};
      if (answer.status.ok()) answer.id = absl::StrCat(CallKindName(request_.kind), " id");
      if (request_.kind == CallKind::kClick) answer.first_result = answer.end;
      std::exchange(done_, nullptr)(std::move(answer));
    }
    void Cancel() override {
      if (!answered()) Answer(absl::CancelledError("by the client"));
    }

   private:
    const CallRequest request_;
    const absl::Time sent_;
    const Clock& clock_;
    Done done_;
  };

  explicit FakeTarget(const Clock& clock) : clock_(clock) {}

  // What a new call is answered at once, or nothing: then it is held.
  std::function<std::optional<absl::Status>(const CallRequest&)> policy = [](const CallRequest&) {
    return absl::OkStatus();
  };

  std::shared_ptr<LoadCall> Start(const CallRequest& request, Done done) override {
    calls_.push_back(std::make_shared<Call>(clock_, request, std::move(done)));
    const std::shared_ptr<Call> call = calls_.back();
    if (auto status = policy(request)) call->Answer(*std::move(status));
    return call;
  }

  // All, in the order of their start.
  const std::vector<std::shared_ptr<Call>>& calls() const { return calls_; }

  int CountOf(CallKind kind) const {
    int count = 0;
    for (const auto& call : calls_) count += call->request().kind == kind;
    return count;
  }
  int in_flight() const {
    int count = 0;
    for (const auto& call : calls_) count += !call->answered();
    return count;
  }
  void AnswerHeld(const absl::Status& status) {
    const auto calls = calls_;  // answers may lead to new ones
    for (const auto& call : calls) {
      if (!call->answered()) call->Answer(status);
    }
  }

 private:
  const Clock& clock_;
  std::vector<std::shared_ptr<Call>> calls_;
};

}  // namespace semsam::load

#endif  // SEMSAM_TESTS_CLIENT_LOAD_FAKE_TARGET_H_
