#include "server/pipeline/interact_calls.h"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "model/base/errors.h"

namespace semsam {
namespace {

absl::Status Superseded() {
  return ErrorWithReason(absl::StatusCode::kAborted, reason::kSuperseded,
                         "a newer click came before this one was begun");
}

absl::Status CancelledByCaller() { return absl::CancelledError("the caller cancelled the click"); }

// A segment call speaks of its own request; here that came in two messages.
absl::Status WithStreamField(const absl::Status& status) {
  const std::optional<std::string> field = ErrorField(status);
  if (!field.has_value()) return status;
  return PrependField(status, absl::StartsWith(*field, "prompts") ? "click" : "start");
}

ClickOutcome OutcomeOf(const absl::Status& status) {
  if (status.ok()) return ClickOutcome::kAnswered;
  if (ErrorReason(status) == reason::kSuperseded) return ClickOutcome::kSuperseded;
  return absl::IsCancelled(status) ? ClickOutcome::kCancelled : ClickOutcome::kFailed;
}

}  // namespace

InteractCalls::InteractCalls(Engine& engine, InteractStreams& streams, Metrics& metrics,
                             TenantId tenant, InteractSink sink)
    : engine_(engine),
      streams_(streams),
      metrics_(metrics),
      limits_(engine.options().interact),
      tenant_(std::move(tenant)),
      sink_(std::move(sink)) {}

void InteractCalls::Start(InteractStart start) {
  auto shared = std::make_shared<const InteractStart>(std::move(start));
  MutexLock lock(mutex_);
  start_ = std::move(shared);
}

InteractCalls::ClickPtr InteractCalls::MakeClick(InteractClick& click) const {
  auto made = std::make_shared<OpenClick>();
  made->ref.correlation_id = click.correlation_id;
  made->latest_wins = click.latest_wins;
  if (click.prompts.ok()) made->prompts = *std::move(click.prompts);
  made->cancel = std::make_shared<CancelFlag>();
  // From when it came, however long it waits for another.
  made->limits = {.deadline = engine_.EffectiveDeadline(absl::InfiniteFuture()),
                  .cancel = made->cancel,
                  .tenant = tenant_};
  return made;
}

InteractCalls::ClickPtr InteractCalls::Find(uint64_t correlation_id) const {
  for (const auto& [number, click] : open_) {
    if (click->ref.correlation_id == correlation_id) return click;
  }
  return nullptr;
}

InteractCalls::Admission InteractCalls::Admit(const ClickPtr& click) {
  if (start_ == nullptr) {
    return {.refusal = InvalidField("start", "must come before the first click")};
  }
  Admission admission{.waits = click->latest_wins && latest_busy_};
  // The click that it overtakes makes room.
  if (admission.waits && waiting_ != nullptr) {
    admission.overtaken = std::exchange(waiting_, nullptr);
    open_.erase(admission.overtaken->ref.number);
  }
  if (static_cast<int64_t>(open_.size()) >= limits_.max_open_clicks) {
    admission.refusal = ErrorWithReason(
        absl::StatusCode::kResourceExhausted, reason::kLimitExceeded,
        absl::StrCat(limits_.max_open_clicks, " clicks of this stream are open already"));
    return admission;
  }
  click->start = start_;
  open_.emplace(click->ref.number, click);
  if (click->latest_wins) latest_busy_ = true;
  if (admission.waits) waiting_ = click;
  return admission;
}

absl::Status InteractCalls::Click(InteractClick click) {
  const ClickPtr made = MakeClick(click);
  Admission admission;
  {
    MutexLock lock(mutex_);
    if (end_.has_value()) return absl::OkStatus();
    if (Find(made->ref.correlation_id) != nullptr) {
      return InvalidField("click.correlation_id", "is that of a click which is still open");
    }
    made->ref.number = ++last_number_;
    ++unanswered_;
    if (click.prompts.ok()) {
      admission = Admit(made);
    } else {
      admission.refusal = std::move(click.prompts).status();
    }
  }
  streams_.CountClicks(+1);
  if (admission.overtaken != nullptr) Answer(*admission.overtaken, Superseded());
  if (!admission.refusal.ok()) {
    Answer(*made, admission.refusal);
  } else if (!admission.waits) {
    Run(made);
  }
  return absl::OkStatus();
}

void InteractCalls::Run(const ClickPtr& click) {
  const auto self = shared_from_this();
  click->handle.Set(engine_.Segment(
      {.image = click->start->image,
       .prompts = std::move(click->prompts),
       .options = click->start->options,
       .labels = click->start->labels},
      click->limits,
      {.on_progress =
           [self, click](const CallProgress& progress) {
             self->sink_.on_progress(click->ref, progress);
           },
       .on_mask = [self,
                   click](SegmentMask mask) { self->sink_.on_mask(click->ref, std::move(mask)); },
       .on_done =
           [self, click](absl::StatusOr<SegmentSummary> summary) {
             self->OnDone(click, std::move(summary));
           },
       .window_bytes = std::max<int64_t>(1, limits_.window_bytes / limits_.max_open_clicks)}));
}

void InteractCalls::OnDone(const ClickPtr& click, absl::StatusOr<SegmentSummary> summary) {
  ClickPtr next;
  {
    MutexLock lock(mutex_);
    // Before the answer: who reads it may use the id, and the place, at once.
    open_.erase(click->ref.number);
    if (click->latest_wins) {
      next = std::exchange(waiting_, nullptr);
      latest_busy_ = next != nullptr;
    }
  }
  if (!summary.ok()) summary = WithStreamField(summary.status());
  Answer(*click, summary);
  if (next != nullptr) Run(next);
}

void InteractCalls::Answer(const OpenClick& click, const absl::StatusOr<SegmentSummary>& answer) {
  metrics_.RecordClick(OutcomeOf(answer.status()));
  const std::optional<std::string> why = ErrorReason(answer.status());
  if (why.has_value()) metrics_.RecordRejection(*why);
  streams_.CountClicks(-1);
  sink_.on_answer(click.ref, answer);
  {
    MutexLock lock(mutex_);
    --unanswered_;
  }
  EndIfOver();
}

void InteractCalls::Cancel(uint64_t correlation_id) {
  ClickPtr click;
  bool waited = false;
  {
    MutexLock lock(mutex_);
    click = Find(correlation_id);
    if (click == nullptr) return;
    waited = click == waiting_;
    if (waited) {
      waiting_ = nullptr;
      open_.erase(click->ref.number);
    }
  }
  if (waited) return Answer(*click, CancelledByCaller());
  click->cancel->Cancel();
  click->handle.Wake();
}

void InteractCalls::Consumed(uint64_t number, int64_t bytes) {
  ClickPtr click;
  {
    MutexLock lock(mutex_);
    const auto found = open_.find(number);
    if (found == open_.end()) return;
    click = found->second;
  }
  click->handle.Consumed(bytes);
}

void InteractCalls::Close(absl::Status status) {
  {
    MutexLock lock(mutex_);
    if (!end_.has_value()) end_ = std::move(status);
  }
  EndIfOver();
}

void InteractCalls::Abort(absl::Status status) {
  std::vector<ClickPtr> running;
  ClickPtr waiting;
  {
    MutexLock lock(mutex_);
    if (ended_) return;
    end_ = std::move(status);
    waiting = std::exchange(waiting_, nullptr);
    if (waiting != nullptr) open_.erase(waiting->ref.number);
    for (const auto& [number, click] : open_) running.push_back(click);
  }
  if (waiting != nullptr) Answer(*waiting, CancelledByCaller());
  for (const ClickPtr& click : running) {
    click->cancel->Cancel();
    click->handle.Wake();
  }
  EndIfOver();
}

bool InteractCalls::closed() const {
  MutexLock lock(mutex_);
  return end_.has_value();
}

void InteractCalls::EndIfOver() {
  absl::Status status;
  {
    MutexLock lock(mutex_);
    if (!end_.has_value() || unanswered_ > 0 || ended_) return;
    ended_ = true;
    status = *end_;
  }
  streams_.Remove(*this);
  sink_.on_end(std::move(status));
}

}  // namespace semsam
