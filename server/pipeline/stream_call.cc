#include "server/pipeline/stream_call.h"

#include <utility>

#include "model/base/errors.h"
#include "model/base/status_macros.h"
#include "server/pipeline/image_field.h"

namespace semsam {
namespace {

// What a call may do before it lets others at its thread: half of the steps are items. A
// call of hundreds of masks would hold up every click for as long as all of them take.
constexpr int kStepsATurn = 32;
constexpr int kStepsAnItem = 2;
constexpr absl::Duration kTurn = absl::Milliseconds(5);
// About what a message costs both of its ends.
constexpr absl::Duration kMessageTime = absl::Microseconds(200);

}  // namespace

StreamCall::StreamCall(const CallParts& parts, CallGate::Ticket ticket, CallLimits limits,
                       int64_t window_bytes, CpuPool::JobClass job_class)
    : parts_(parts),
      limits_(std::move(limits)),
      window_bytes_(window_bytes),
      job_class_(job_class),
      ticket_(std::move(ticket)) {}

void StreamCall::OnCpuPool(CpuPool::JobClass job_class, absl::AnyInvocable<void()> work) {
  parts_.cpu.Submit(
      job_class,
      {.tenant = limits_.tenant,
       .run = [self = shared_from_this(), work = std::move(work)]() mutable { work(); },
       .check = [limits = limits_](absl::Time now) { return limits.Check(now); },
       .drop = [self = shared_from_this()](absl::Status why) { self->Finish(std::move(why)); }});
}

void StreamCall::OnModel(ModelWorker& worker,
                         absl::AnyInvocable<void(Segmenter&, absl::Duration queued)> work) {
  worker.RunChunk(
      ModelWorker::kBackground,
      {.tenant = limits_.tenant,
       .check = [limits = limits_](absl::Time now) { return limits.Check(now); },
       .run = [self = shared_from_this(), work = std::move(work)](
                  Segmenter& segmenter, absl::Duration queued) mutable { work(segmenter, queued); },
       .drop = [self = shared_from_this()](absl::Status why) { self->Finish(std::move(why)); }});
}

void StreamCall::EncodeWords(absl::Span<WordTable* const> tables, const ProgressSink& on_progress,
                             StageTimings& timings, absl::AnyInvocable<void()> next) {
  if (tables.empty()) return next();
  WordEncoder::Progress progress;
  if (on_progress) {
    progress = [self = shared_from_this(), &on_progress](int done, int total) {
      on_progress({.stage = CallProgress::Stage::kWords, .done = done, .total = total});
    };
  }
  parts_.words.Encode(tables, limits_, std::move(progress),
                      [self = shared_from_this(), start = Now(), &timings,
                       next = std::move(next)](absl::Status status) mutable {
                        if (!status.ok()) return self->Finish(std::move(status));
                        timings.words = self->Now() - start;
                        next();
                      });
}

void StreamCall::EncodeImage(ImageSource& image, const std::string& image_id,
                             ImageEncoder::Thread thread, StageTimings& timings,
                             absl::AnyInvocable<void(PlacedEmbedding)> next) {
  const ImageSource source = image;
  image.bytes = nullptr;
  parts_.encoder.Ensure(
      source, limits_, thread, timings,
      [self = shared_from_this(), image_id, sha256 = source.sha256,
       next = std::move(next)](absl::StatusOr<EmbeddingCache::Found> found) mutable {
        if (found.ok()) {
          return next({std::move(found->embedding), &self->parts_.models.At(found->device)});
        }
        const bool lost = absl::IsNotFound(found.status());
        self->Finish(lost ? ImageNotFound(image_id, sha256)
                          : NameImageField(std::move(found).status(), "image_bytes"));
      });
}

absl::Status StreamCall::LabelAndRetain(const LabelPlan& plan, const std::string& session_id,
                                        absl::Span<const float> query, StageTimings& timings,
                                        SegmentMask& mask) {
  if (plan.wanted()) {
    const absl::Time start = Now();
    SEMSAM_ASSIGN_OR_RETURN(std::vector<MaskLabels> labels,
                            LabelMasks(parts_.models.any(), plan, query, /*masks=*/1));
    mask.labels = std::move(labels.front());
    const absl::Duration took = Now() - start;
    *timings.words += took;
    parts_.metrics.RecordStage(Stage::kLabels, took);
  }
  if (!session_id.empty() && CanLabel(parts_.config())) {
    mask.mask_id = parts_.sessions.RetainQuery(limits_.tenant, session_id, query);
  }
  return absl::OkStatus();
}

void StreamCall::SubmitSteps() {
  OnCpuPool(job_class_, [this] { RunSteps(); });
}

void StreamCall::RunSteps() {
  turn_start_ = Now();
  turn_steps_ = 0;
  left_alone_ = turn_start_;
  do {
    if (absl::Status status = Alive(); !status.ok()) return Finish(std::move(status));
    if (Exhausted()) return Finish(absl::OkStatus());
    ++turn_steps_;
    if (WindowIsFull() && Condense()) continue;
    if (PauseIfFull()) return;
    if (absl::Status status = Step(); !status.ok()) return Finish(std::move(status));
  } while (turn_steps_ < kStepsATurn && Now() - turn_start_ < kTurn);
  SubmitSteps();
}

absl::Status StreamCall::Alive() {
  {
    MutexLock lock(mutex_);
    if (!abort_.ok()) return std::exchange(abort_, absl::OkStatus());
  }
  absl::Status status = limits_.Check(Now());
  if (!status.ok()) parts_.metrics.RecordCancellation(CancelStage::kMasks);
  return status;
}

bool StreamCall::WindowIsFull() {
  MutexLock lock(mutex_);
  return unconsumed_bytes_ >= window_bytes_;
}

bool StreamCall::PauseIfFull() {
  MutexLock lock(mutex_);
  // A Wake or Abort that came while the call was working must not be lost.
  const bool dead = !abort_.ok() || !limits_.Check(Now()).ok();
  if (dead || unconsumed_bytes_ < window_bytes_) return false;
  // From here on Consumed, Wake or Abort may carry the call on.
  state_ = State::kPaused;
  return true;
}

void StreamCall::CountSent(int64_t bytes) {
  MutexLock lock(mutex_);
  unconsumed_bytes_ += bytes;
}

bool StreamCall::FollowedAtOnce() {
  if (Exhausted()) return true;
  // Well before the turn ends: the next one may be long in coming.
  const absl::Time now = Now();
  const bool this_turn =
      turn_steps_ + kStepsAnItem <= kStepsATurn && now - turn_start_ < kTurn - kMessageTime;
  if (this_turn && !WindowIsFull() && now - left_alone_ < kMessageTime) return true;
  left_alone_ = now;
  return false;
}

bool StreamCall::ResumeIf(bool anyway) {
  MutexLock lock(mutex_);
  if (state_ != State::kPaused) return false;
  if (!anyway && unconsumed_bytes_ >= window_bytes_) return false;
  state_ = State::kWorking;
  return true;
}

void StreamCall::Consumed(int64_t bytes) {
  {
    MutexLock lock(mutex_);
    unconsumed_bytes_ -= bytes;
  }
  if (ResumeIf(/*anyway=*/false)) SubmitSteps();
}

void StreamCall::Wake() {
  if (limits_.Check(Now()).ok()) return;
  if (ResumeIf(/*anyway=*/true)) SubmitSteps();
}

void StreamCall::Abort(absl::Status why) {
  {
    MutexLock lock(mutex_);
    abort_ = std::move(why);
  }
  if (ResumeIf(/*anyway=*/true)) SubmitSteps();
}

void StreamCall::Finish(absl::Status status) {
  {
    MutexLock lock(mutex_);
    state_ = State::kDone;
  }
  OnEnd(std::move(status));
}

}  // namespace semsam
