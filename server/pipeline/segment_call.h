// One segment call on its way: embedding, decode, then one mask after the other.
//
// Guarantees
//   - `on_mask` runs for one mask at a time, prompt-major, levels ascending, never
//     after `on_done`; `on_done` runs exactly once, last.
//   - Masks that were handed out and not yet Consumed stay within the window (one
//     mask above it at most): then the call pauses and holds no thread.
//   - A mask below the predicted-IoU threshold is never upsampled; the others are
//     run lengths at once, at most one of them at full size.
//   - Cancellation and deadline are honoured in every queue, between masks, and
//     by Wake while the call is paused.
// Thread-safe. Owned by shared pointers: by its place in the gate until it is
// done, by whatever carries it on, and by the caller as a SegmentHandle.
#ifndef SEMSAM_SERVER_PIPELINE_SEGMENT_CALL_H_
#define SEMSAM_SERVER_PIPELINE_SEGMENT_CALL_H_

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "model/base/clock.h"
#include "model/base/mutex.h"
#include "model/segmenter.h"
#include "server/batching/call_limits.h"
#include "server/metrics/metrics.h"
#include "server/pipeline/cpu_pool.h"
#include "server/pipeline/image_encoder.h"
#include "server/pipeline/image_stages.h"
#include "server/pipeline/model_worker.h"
#include "server/pipeline/segment_gate.h"
#include "server/pipeline/segment_types.h"

namespace semsam {

// What the caller can tell a running call. Thread-safe; may outlive the call.
class SegmentHandle {
 public:
  virtual ~SegmentHandle() = default;
  // `bytes` of masks handed out left the caller's buffer.
  virtual void Consumed(int64_t bytes) = 0;
  // The cancel flag was set: a paused call looks at it now.
  virtual void Wake() = 0;
};

struct SegmentSink {
  absl::AnyInvocable<void(SegmentMask)> on_mask;
  absl::AnyInvocable<void(absl::StatusOr<SegmentSummary>)> on_done;
  // Bytes of masks (SegmentMask::data) that the caller is ready to buffer.
  int64_t window_bytes = int64_t{1} << 20;
};

class SegmentCall final : public SegmentHandle, public std::enable_shared_from_this<SegmentCall> {
 public:
  // What every call works with; outlives the calls that are under way.
  struct Parts {
    const ModelConfig& config;
    const ImageStages& stages;
    CpuPool& cpu;
    ModelWorker& worker;
    ImageEncoder& encoder;
    const Clock& clock;
    Metrics& metrics;
  };

  // Prompts and options are valid.
  SegmentCall(const Parts& parts, SegmentGate::Ticket ticket, std::vector<UserPrompt> prompts,
              SegmentOptions options, CallLimits limits, SegmentSink sink);

  // Each starts the call; exactly one of them is called, once.
  void StartWithImage(std::string image_id, ImageSource image, std::vector<Prompt> prompts);
  void StartWithBytes(std::string bytes);

  void Consumed(int64_t bytes) override;
  void Wake() override;
  // Ends a paused call with `why`; a running one ends before its next mask.
  void Abort(absl::Status why);

 private:
  // kWorking: one thread or one queue entry carries the call on, and only its
  // carrier touches the members outside the lock.
  enum class State { kWorking, kPaused, kDone };

  // A mask that passed the thresholds.
  struct Candidate {
    size_t index = 0;  // into decoded_.scores
    float stability = 0;
    RunLengths runs;
  };

  void ReadInlineImage(std::shared_ptr<const std::string> bytes);
  void EncodeImage(ImageEncoder::Thread thread, std::vector<Prompt> prompts);
  void Decode(std::vector<Prompt> prompts, std::shared_ptr<const Embedding> embedding);
  void OnDecoded(absl::StatusOr<DecodeResult> result, const ModelWorker::Times& times);
  void SubmitTail();
  void RunTail();

  absl::Status Alive();
  bool PauseIfFull();
  bool ResumeIf(bool anyway);
  absl::Status Step();
  std::optional<Candidate> NextCandidate();
  void RemoveDuplicatesOf(std::vector<Candidate>& candidates);
  absl::StatusOr<SegmentMask> Encode(const Candidate& candidate);
  void Emit(SegmentMask mask);
  void Finish(absl::Status status);

  const Parts parts_;
  std::optional<SegmentGate::Ticket> ticket_;
  const std::vector<UserPrompt> user_prompts_;
  const SegmentOptions options_;
  const CallLimits limits_;
  const std::vector<int> levels_;
  const absl::Time start_;
  SegmentSink sink_;

  // Of the carrier; see State::kWorking.
  std::string image_id_;
  ImageSource image_;
  DecodeResult decoded_;
  size_t next_index_ = 0;        // into decoded_.scores
  std::deque<Candidate> ready_;  // to be handed out
  SegmentSummary summary_;

  Mutex mutex_;
  State state_ ABSL_GUARDED_BY(mutex_) = State::kWorking;
  int64_t unconsumed_bytes_ ABSL_GUARDED_BY(mutex_) = 0;
  absl::Status abort_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace semsam

#endif  // SEMSAM_SERVER_PIPELINE_SEGMENT_CALL_H_
