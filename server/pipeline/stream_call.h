// What every call has in common that answers item by item at the pace of its
// reader: its place, its window, its end.
//
// Guarantees
//   - Items that were handed out and not yet Consumed stay within the window (one
//     item above it at most): then the call pauses and holds no thread.
//   - A call with many items takes turns with others at its thread.
//   - OnEnd runs exactly once, last.
//   - Cancellation and deadline are honoured in every queue, between items, and by
//     Wake while the call is paused.
// Thread-safe. Owned by shared pointers: by its place in the gate until it is
// done, by whatever carries it on, and by the caller as a StreamHandle.
#ifndef SEMSAM_SERVER_PIPELINE_STREAM_CALL_H_
#define SEMSAM_SERVER_PIPELINE_STREAM_CALL_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "model/base/clock.h"
#include "model/base/mutex.h"
#include "model/segmenter.h"
#include "server/batching/call_limits.h"
#include "server/cache/session_store.h"
#include "server/metrics/metrics.h"
#include "server/pipeline/call_gate.h"
#include "server/pipeline/cpu_pool.h"
#include "server/pipeline/image_encoder.h"
#include "server/pipeline/image_stages.h"
#include "server/pipeline/labels.h"
#include "server/pipeline/model_pool.h"
#include "server/pipeline/segment_types.h"
#include "server/pipeline/word_encoder.h"

namespace semsam {

// What the caller can tell a running call. Thread-safe; may outlive the call.
class StreamHandle {
 public:
  virtual ~StreamHandle() = default;
  // `bytes` of items handed out left the caller's buffer.
  virtual void Consumed(int64_t bytes) = 0;
  // The cancel flag was set: a paused call looks at it now.
  virtual void Wake() = 0;
};

// Of a call under way; null where nobody looks.
using ProgressSink = std::function<void(const CallProgress&)>;

// What every call works with; outlives the calls that are under way.
struct CallParts {
  const ImageStages& stages;
  SessionStore& sessions;
  CpuPool& cpu;
  ModelPool& models;
  ImageEncoder& encoder;
  WordEncoder& words;
  const Clock& clock;
  Metrics& metrics;

  const ModelConfig& config() const { return models.info().config; }
};

class StreamCall : public StreamHandle, public std::enable_shared_from_this<StreamCall> {
 public:
  void Consumed(int64_t bytes) final;
  void Wake() final;
  // Ends a paused call with `why`; a running one ends before its next item.
  void Abort(absl::Status why);

 protected:
  // `job_class`: of the items' work.
  StreamCall(const CallParts& parts, CallGate::Ticket ticket, CallLimits limits,
             int64_t window_bytes, CpuPool::JobClass job_class);

  // On the CPU pool, by one thread at a time. Step hands out one item, or gets the
  // next ones ready, while the call is not Exhausted.
  virtual bool Exhausted() const = 0;
  virtual absl::Status Step() = 0;
  // While the window is full: makes what the call holds smaller, by as much work as a
  // Step. False where nothing is left to do: then the call pauses.
  virtual bool Condense() { return false; }
  // Lets go of what the call holds, calls LeaveGate, and answers the caller.
  virtual void OnEnd(absl::Status status) = 0;

  // One thread or one queue entry at a time carries the call on; each of these
  // hands it on and must be the last thing that the carrier does.
  void SubmitSteps();
  void OnCpuPool(CpuPool::JobClass job_class, absl::AnyInvocable<void()> work);
  void OnModel(ModelWorker& worker,
               absl::AnyInvocable<void(Segmenter&, absl::Duration queued)> work);
  // Turns `tables` into embeddings, then goes on with `next`.
  void EncodeWords(absl::Span<WordTable* const> tables, const ProgressSink& on_progress,
                   StageTimings& timings, absl::AnyInvocable<void()> next);
  // Gets the embedding of an image and goes on with `next`. An image that is not
  // held is ImageNotFound if it has an id. `image` gives its bytes away.
  void EncodeImage(ImageSource& image, const std::string& image_id, ImageEncoder::Thread thread,
                   StageTimings& timings, absl::AnyInvocable<void(PlacedEmbedding)> next);
  void Finish(absl::Status status);

  // OK while the answer is wanted.
  absl::Status Alive();
  // An item of `bytes` goes out.
  void CountSent(int64_t bytes);
  // After CountSent: whether another item, or the end, follows at once. Items that come
  // faster than messages are worth sending should travel together.
  bool FollowedAtOnce();
  void LeaveGate() { ticket_.reset(); }

  // Labels one mask of this query embedding by `plan`, and keeps the embedding in
  // the session (empty: in none) if the model can label.
  absl::Status LabelAndRetain(const LabelPlan& plan, const std::string& session_id,
                              absl::Span<const float> query, StageTimings& timings,
                              SegmentMask& mask);

  const CallParts& parts() const { return parts_; }
  const CallLimits& limits() const { return limits_; }
  absl::Time Now() const { return parts_.clock.Now(); }

 private:
  enum class State { kWorking, kPaused, kDone };

  void RunSteps();
  bool WindowIsFull();
  bool PauseIfFull();
  bool ResumeIf(bool anyway);

  const CallParts parts_;
  const CallLimits limits_;
  const int64_t window_bytes_;
  const CpuPool::JobClass job_class_;
  std::optional<CallGate::Ticket> ticket_;

  // Of whoever carries the call on.
  absl::Time turn_start_;
  int turn_steps_ = 0;
  absl::Time left_alone_;  // when an item went out last that was not followed at once

  Mutex mutex_;
  State state_ ABSL_GUARDED_BY(mutex_) = State::kWorking;
  int64_t unconsumed_bytes_ ABSL_GUARDED_BY(mutex_) = 0;
  absl::Status abort_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace semsam

#endif  // SEMSAM_SERVER_PIPELINE_STREAM_CALL_H_
