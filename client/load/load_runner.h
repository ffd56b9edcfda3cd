// Carries a plan out: starts calls when they are due, and notes how they end.
//
// - The time that counts for a call is the one it was planned for. A call whose
//   upload is not done, or for which no place is free among the calls in flight,
//   starts when it can, and the wait is part of its latency.
// - A click never waits for another click of its session.
// - A session whose picture cannot be uploaded makes no calls; they are "skipped".
// - At the end of the counted part nothing new is started but DeleteSession; what is
//   in flight is waited for.
//
// One thread calls Step and WaitUntil; answers may come on any thread.
#ifndef SEMSAM_CLIENT_LOAD_LOAD_RUNNER_H_
#define SEMSAM_CLIENT_LOAD_LOAD_RUNNER_H_

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <queue>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/time/time.h"
#include "client/load/load_plan.h"
#include "client/load/load_results.h"
#include "client/load/load_target.h"
#include "client/load/pictures.h"
#include "model/base/clock.h"
#include "model/base/mutex.h"

namespace semsam::load {

class LoadRunner {
 public:
  // `options` must be valid and `plan` made of them. All but `options` outlive the
  // runner. The run begins now.
  LoadRunner(const LoadOptions& options, const LoadPlan& plan, const PictureSet& pictures,
             LoadTarget& target, const Clock& clock);
  // Cancels what is in flight and waits for its end.
  ~LoadRunner();
  LoadRunner(const LoadRunner&) = delete;
  LoadRunner& operator=(const LoadRunner&) = delete;

  // Takes in what was answered and starts what is due. Returns when something is due
  // next; InfiniteFuture if that depends on answers alone.
  absl::Time Step();
  // Returns when an answer has come, or the clock stands at `due`.
  void WaitUntil(absl::Time due);
  // Nothing is due or in flight any more.
  bool done() const;
  // Calls without an answer that Step has taken in.
  size_t in_flight() const { return active_.size(); }
  // Step and WaitUntil until it is done.
  void Run();

  // Complete once the run is done.
  const LoadResults& results() const { return results_; }

 private:
  enum class EventKind { kStartSession, kCall, kEndSession, kAbort, kRetry, kEndOfRun };
  struct Event {
    absl::Time at;
    uint64_t order = 0;  // of events at one time
    EventKind kind = EventKind::kCall;
    uint64_t subject = 0;  // a session, an active call, or a call to retry
    size_t index = 0;      // kCall: into the session's calls

    bool operator>(const Event& other) const {
      return std::pair(at, order) > std::pair(other.at, other.order);
    }
  };

  struct Call {
    size_t session = 0;
    CallKind kind = CallKind::kClick;
    size_t index = 0;  // into the session's calls
    absl::Time due;    // by plan
    absl::Time ready;  // when it could be sent, a place provided
    absl::Time sent;   // the last attempt
    int attempts = 0;
    bool counted = false;  // due in the counted part
    bool late = false;     // had to wait for a place
    bool aborted = false;  // by us, as planned
  };

  struct Session {
    enum class State { kNew, kReady, kFailed, kClosed };
    State state = State::kNew;
    std::string session_id;
    std::string image_id;
    int open_calls = 0;  // due and without their last answer
    bool ending = false;
    std::vector<Call> waiting;  // calls due before the upload was done
  };
  struct ActiveCall {
    Call call;
    std::shared_ptr<LoadCall> handle;
  };

  void Push(absl::Time at, EventKind kind, uint64_t subject, size_t index = 0);
  void Handle(const Event& event);
  void StartSession(size_t session, absl::Time due);
  void CallIsDue(size_t session, size_t index, absl::Time due);
  void EndRun();

  // A call begins its life: counts as due, and stays open until CallEnded.
  Call NewCall(size_t session, CallKind kind, size_t index, absl::Time due);
  // Sends it, or lets it wait for a place.
  void Submit(Call call);
  void Send(Call call);
  // The run has ended before it could be sent.
  void Drop(const Call& call);
  CallRequest RequestOf(const Call& call) const;

  void TakeAnswers();
  void OnAnswer(const Call& call, const CallAnswer& answer);
  bool Retry(const Call& call, const CallAnswer& answer);
  void Record(const Call& call, const CallAnswer& answer);
  void Advance(const Call& call, const CallAnswer& answer);
  void CallEnded(size_t session);

  void SessionIsReady(size_t session, absl::Time at);
  // What waits for the upload counts as `counter`.
  void SessionFailed(size_t session, int64_t KindResults::*counter);
  void EndWaiting(size_t session, int64_t KindResults::*counter);
  void EndSession(size_t session);
  void MaybeDelete(size_t session);
  // Closed loop: begins to count once every session is ready or has failed.
  void MaybeBeginCounting();
  void SetCountedPart(absl::Time begin);
  // Whether a call is still made after the end of the run: what tidies up, and what has
  // been refused before and comes again.
  static bool OutlivesTheRun(const Call& call) {
    return call.kind == CallKind::kDelete || call.attempts > 0;
  }
  bool IsCounted(absl::Time time) const { return time >= begin_ && time < end_; }
  void CountInBin(std::vector<int64_t>& bins, absl::Time time);

  const LoadOptions options_;
  const LoadPlan& plan_;
  const PictureSet& pictures_;
  LoadTarget& target_;
  const Clock& clock_;
  const absl::Time start_;
  absl::Time begin_ = absl::InfiniteFuture();  // of the counted part
  absl::Time end_ = absl::InfiniteFuture();
  bool ended_ = false;  // all that was due before end_ has been started, or waits

  uint64_t next_number_ = 0;
  std::priority_queue<Event, std::vector<Event>, std::greater<>> events_;
  size_t work_events_ = 0;  // all but kAbort, which may outlive their calls
  std::vector<Session> sessions_;
  size_t settled_sessions_ = 0;  // ready or failed at least once
  std::deque<Call> blocked_;     // wait for a place
  std::unordered_map<uint64_t, Call> retries_;
  std::unordered_map<uint64_t, ActiveCall> active_;
  LoadResults results_;

  Mutex mutex_;
  CondVar answered_;
  std::vector<std::pair<uint64_t, CallAnswer>> answers_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace semsam::load

#endif  // SEMSAM_CLIENT_LOAD_LOAD_RUNNER_H_
