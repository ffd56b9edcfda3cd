#include "client/load/load_runner.h"

#include <algorithm>
#include <functional>

#include "absl/strings/str_cat.h"
#include "client/retry.h"

namespace semsam::load {
namespace {

constexpr size_t kMaxBins = 600;
// The clock need not be the one that the condition variable waits by.
constexpr absl::Duration kLongestWait = absl::Seconds(1);

}  // namespace

LoadRunner::LoadRunner(const LoadOptions& options, const LoadPlan& plan, const PictureSet& pictures,
                       LoadTarget& target, const Clock& clock)
    : options_(options),
      plan_(plan),
      pictures_(pictures),
      target_(target),
      clock_(clock),
      start_(clock.Now()),
      sessions_(plan.sessions.size()) {
  if (!options_.closed_loop) SetCountedPart(start_ + options_.warmup);
  for (size_t i = 0; i < plan_.sessions.size(); ++i) {
    const PlannedSession& session = plan_.sessions[i];
    Push(start_ + session.start, EventKind::kStartSession, i);
    if (options_.closed_loop) continue;
    for (size_t c = 0; c < session.calls.size(); ++c) {
      Push(start_ + session.calls[c].at, EventKind::kCall, i, c);
    }
    Push(start_ + session.end, EventKind::kEndSession, i);
  }
}

LoadRunner::~LoadRunner() {
  for (auto& [number, active] : active_) active.handle->Cancel();
  MutexLock lock(mutex_);
  while (answers_.size() < active_.size()) answered_.Wait(mutex_);
}

void LoadRunner::Run() {
  while (!done()) {
    const absl::Time due = Step();
    if (!done()) WaitUntil(due);
  }
}

absl::Time LoadRunner::Step() {
  TakeAnswers();
  const absl::Time now = clock_.Now();
  while (!events_.empty() && events_.top().at <= now) {
    const Event event = events_.top();
    events_.pop();
    Handle(event);
  }
  return events_.empty() ? absl::InfiniteFuture() : events_.top().at;
}

void LoadRunner::WaitUntil(absl::Time due) {
  MutexLock lock(mutex_);
  while (answers_.empty()) {
    const absl::Duration left = due - clock_.Now();
    if (left <= absl::ZeroDuration()) return;
    answered_.WaitFor(mutex_, std::min(left, kLongestWait));
  }
}

bool LoadRunner::done() const { return work_events_ == 0 && active_.empty() && blocked_.empty(); }

void LoadRunner::Push(absl::Time at, EventKind kind, uint64_t subject, size_t index) {
  if (kind != EventKind::kAbort) ++work_events_;
  events_.push(
      {.at = at, .order = next_number_++, .kind = kind, .subject = subject, .index = index});
}

void LoadRunner::Handle(const Event& event) {
  if (event.kind != EventKind::kAbort) --work_events_;
  switch (event.kind) {
    case EventKind::kStartSession:
      return StartSession(event.subject, event.at);
    case EventKind::kCall:
      return CallIsDue(event.subject, event.index, event.at);
    case EventKind::kEndSession:
      return EndSession(event.subject);
    case EventKind::kAbort: {
      const auto active = active_.find(event.subject);
      if (active == active_.end()) return;
      active->second.call.aborted = true;
      return active->second.handle->Cancel();
    }
    case EventKind::kRetry: {
      const auto retry = retries_.extract(event.subject);
      return Submit(retry.mapped());
    }
    case EventKind::kEndOfRun:
      return EndRun();
  }
}

void LoadRunner::StartSession(size_t session, absl::Time due) {
  ++results_.sessions;
  Submit(NewCall(session, CallKind::kCreate, 0, due));
}

void LoadRunner::CallIsDue(size_t session, size_t index, absl::Time due) {
  if (options_.closed_loop && due >= end_) return EndSession(session);
  Session& state = sessions_[session];
  const Call call = NewCall(session, plan_.sessions[session].calls[index].kind, index, due);
  if (state.state == Session::State::kReady) return Submit(call);
  KindResults& results = results_.of(call.kind);
  if (state.state == Session::State::kNew) {
    if (call.counted) ++results.waited_for_upload;
    state.waiting.push_back(call);
    return;
  }
  if (call.counted) ++results.skipped;
  CallEnded(session);
}

LoadRunner::Call LoadRunner::NewCall(size_t session, CallKind kind, size_t index, absl::Time due) {
  ++sessions_[session].open_calls;
  Call call{.session = session, .kind = kind, .index = index, .due = due, .ready = due};
  call.counted = IsCounted(due);
  if (call.counted) ++results_.of(kind).due;
  CountInBin(results_.due_by_bin, due);
  return call;
}

void LoadRunner::Submit(Call call) {
  if (ended_ && !OutlivesTheRun(call)) return Drop(call);
  if (active_.size() < static_cast<size_t>(options_.max_in_flight)) return Send(call);
  if (call.counted && !call.late) ++results_.of(call.kind).late;
  call.late = true;
  blocked_.push_back(call);
}

void LoadRunner::Drop(const Call& call) {
  if (call.counted) ++results_.of(call.kind).never_started;
  if (call.kind == CallKind::kCreate) {
    const Call upload = NewCall(call.session, CallKind::kUpload, 0, call.due);
    if (upload.counted) ++results_.of(CallKind::kUpload).never_started;
    CallEnded(call.session);
  }
  if (call.kind == CallKind::kCreate || call.kind == CallKind::kUpload) {
    SessionFailed(call.session, &KindResults::never_started);
  }
  if (options_.closed_loop) EndSession(call.session);
  CallEnded(call.session);
}

void LoadRunner::Send(Call call) {
  const uint64_t number = next_number_++;
  call.sent = clock_.Now();
  if (!call.late) results_.generator_lag.Record(call.sent - call.ready);
  ++call.attempts;
  if (call.kind == CallKind::kCancelledClick || call.kind == CallKind::kStalledClick) {
    const PlannedCall& planned = plan_.sessions[call.session].calls[call.index];
    Push(call.sent + planned.abort_after, EventKind::kAbort, number);
  }
  ActiveCall& active = active_[number];
  active.call = call;
  // The answer may come before this returns; it is only noted down.
  active.handle = target_.Start(RequestOf(call), [this, number](CallAnswer answer) {
    MutexLock lock(mutex_);
    answers_.emplace_back(number, std::move(answer));
    answered_.NotifyAll();
  });
}

CallRequest LoadRunner::RequestOf(const Call& call) const {
  const Session& session = sessions_[call.session];
  CallRequest request{.kind = call.kind,
                      .session = call.session,
                      .session_id = session.session_id,
                      .image_id = session.image_id};
  switch (call.kind) {
    case CallKind::kUpload:
      request.picture = pictures_.Get(call.session);
      break;
    case CallKind::kClick:
    case CallKind::kCancelledClick:
    case CallKind::kStalledClick:
    case CallKind::kEverything: {
      const PlannedCall& planned = plan_.sessions[call.session].calls[call.index];
      request.x = planned.x;
      request.y = planned.y;
      break;
    }
    case CallKind::kCreate:
    case CallKind::kDelete:
      break;
  }
  return request;
}

void LoadRunner::TakeAnswers() {
  std::vector<std::pair<uint64_t, CallAnswer>> answers;
  {
    MutexLock lock(mutex_);
    answers.swap(answers_);
  }
  for (const auto& [number, answer] : answers) {
    const auto active = active_.find(number);
    const Call call = active->second.call;
    active_.erase(active);
    OnAnswer(call, answer);
    while (!blocked_.empty() && active_.size() < static_cast<size_t>(options_.max_in_flight)) {
      const Call next = blocked_.front();
      blocked_.pop_front();
      Send(next);
    }
  }
}

void LoadRunner::OnAnswer(const Call& call, const CallAnswer& answer) {
  if (!answer.status.ok() && Retry(call, answer)) return;
  Record(call, answer);
  Advance(call, answer);
  CallEnded(call.session);
}

bool LoadRunner::Retry(const Call& call, const CallAnswer& answer) {
  if (!client::InvitesRetry(answer.status) || call.aborted ||
      call.attempts >= options_.max_attempts)
    return false;
  // As a client of the library would.
  const absl::Time again =
      answer.end + client::PauseBeforeRetry(client::RetryOptions{}, call.attempts, answer.status);
  if (call.counted) ++results_.of(call.kind).retries;
  const uint64_t number = next_number_++;
  retries_[number] = call;
  retries_[number].ready = again;
  Push(again, EventKind::kRetry, number);
  return true;
}

void LoadRunner::Record(const Call& call, const CallAnswer& answer) {
  KindResults& results = results_.of(call.kind);
  const bool abandoned = call.aborted && absl::IsCancelled(answer.status);
  if (answer.status.ok()) {
    CountInBin(results_.ok_by_bin, answer.end);
    if (IsCounted(answer.end)) ++results.ok_in_time;
  } else if (!abandoned && results_.first_failure.ok()) {
    results_.first_failure =
        absl::Status(answer.status.code(),
                     absl::StrCat(CallKindName(call.kind), ": ", OutcomeName(answer.status), ": ",
                                  answer.status.message()));
  }
  if (!call.counted) return;
  results.CountOutcome(answer.status);
  if (abandoned) {
    ++results.abandoned;
  } else if (!answer.status.ok()) {
    ++results.failed;
    results.failure.Record(answer.end - call.sent);
  } else {
    ++results.ok;
    results.latency.Record(answer.end - call.due);
    results.service.Record(answer.end - call.sent);
    if (answer.first_result) results.first_result.Record(*answer.first_result - call.due);
  }
}

void LoadRunner::Advance(const Call& call, const CallAnswer& answer) {
  Session& session = sessions_[call.session];
  const bool ok = answer.status.ok();
  switch (call.kind) {
    case CallKind::kCreate: {
      // The upload is due when the session is: the user has only one wish.
      Call upload = NewCall(call.session, CallKind::kUpload, 0, call.due);
      upload.ready = answer.end;
      if (ok) {
        session.session_id = answer.id;
        return Submit(upload);
      }
      if (upload.counted) ++results_.of(CallKind::kUpload).skipped;
      CallEnded(call.session);
      return SessionFailed(call.session, &KindResults::skipped);
    }
    case CallKind::kUpload:
      if (!ok) return SessionFailed(call.session, &KindResults::skipped);
      session.image_id = answer.id;
      return SessionIsReady(call.session, answer.end);
    case CallKind::kDelete:
      session.state = Session::State::kClosed;
      return;
    default:
      break;
  }
  if (options_.closed_loop) {
    const auto& calls = plan_.sessions[call.session].calls;
    const size_t next = (call.index + 1) % calls.size();
    Push(std::min(answer.end + calls[next].at, end_), EventKind::kCall, call.session, next);
  }
}

void LoadRunner::CallEnded(size_t session) {
  --sessions_[session].open_calls;
  MaybeDelete(session);
}

void LoadRunner::SessionIsReady(size_t session, absl::Time at) {
  Session& state = sessions_[session];
  state.state = Session::State::kReady;
  ++results_.sessions_ready;
  ++settled_sessions_;
  for (Call& call : std::exchange(state.waiting, {})) {
    call.ready = at;
    Submit(call);
  }
  MaybeBeginCounting();
}

void LoadRunner::SessionFailed(size_t session, int64_t KindResults::*counter) {
  sessions_[session].state = Session::State::kFailed;
  ++settled_sessions_;
  EndWaiting(session, counter);
  if (options_.closed_loop) EndSession(session);
  MaybeBeginCounting();
}

void LoadRunner::EndWaiting(size_t session, int64_t KindResults::*counter) {
  for (const Call& call : std::exchange(sessions_[session].waiting, {})) {
    if (call.counted) ++(results_.of(call.kind).*counter);
    CallEnded(session);
  }
}

void LoadRunner::EndSession(size_t session) {
  sessions_[session].ending = true;
  MaybeDelete(session);
}

void LoadRunner::MaybeDelete(size_t session) {
  Session& state = sessions_[session];
  if (!state.ending || state.open_calls > 0 || state.state == Session::State::kClosed) return;
  state.state = Session::State::kClosed;
  if (state.session_id.empty()) return;
  Submit(NewCall(session, CallKind::kDelete, 0,
                 std::max(start_ + plan_.sessions[session].end, clock_.Now())));
}

void LoadRunner::MaybeBeginCounting() {
  if (!options_.closed_loop || settled_sessions_ < sessions_.size() ||
      begin_ != absl::InfiniteFuture()) {
    return;
  }
  if (results_.sessions_ready == 0) return;  // nobody is left to click
  const absl::Time now = clock_.Now();
  SetCountedPart(now + options_.warmup);
  for (size_t i = 0; i < sessions_.size(); ++i) {
    if (sessions_[i].state != Session::State::kReady) continue;
    Push(now + plan_.sessions[i].calls.front().at, EventKind::kCall, i, 0);
  }
}

void LoadRunner::SetCountedPart(absl::Time begin) {
  begin_ = begin;
  end_ = begin + options_.duration;
  results_.counted = options_.duration;
  Push(end_, EventKind::kEndOfRun, 0);
  // As few seconds as leave no more than kMaxBins.
  const int64_t seconds = absl::ToInt64Seconds(absl::Ceil(end_ - start_, absl::Seconds(1)));
  const int64_t bin_s = std::max<int64_t>(1, (seconds + kMaxBins - 1) / kMaxBins);
  results_.bin = absl::Seconds(bin_s);
  const size_t bins = (seconds + bin_s - 1) / bin_s;
  results_.due_by_bin.resize(bins);
  results_.ok_by_bin.resize(bins);
}

void LoadRunner::CountInBin(std::vector<int64_t>& bins, absl::Time time) {
  if (time < start_) return;
  const int64_t bin = (time - start_) / results_.bin;
  if (bin < static_cast<int64_t>(bins.size())) ++bins[bin];
}

void LoadRunner::EndRun() {
  ended_ = true;
  for (const Call& call : std::exchange(blocked_, {})) {
    if (OutlivesTheRun(call)) {
      blocked_.push_back(call);
    } else {
      Drop(call);
    }
  }
  for (size_t i = 0; i < sessions_.size(); ++i) EndWaiting(i, &KindResults::never_started);
}

}  // namespace semsam::load
