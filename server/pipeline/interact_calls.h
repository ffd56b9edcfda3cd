// The clicks of one Interact stream: many segment calls on their way at once, told
// apart by ids that the client chose.
//
// Guarantees
//   - Every click gets on_answer exactly once, after its masks; on_end runs exactly
//     once, after all answers, and nothing runs after it.
//   - A click's failure is its answer and disturbs no other click.
//   - Of the clicks with latest_wins one is worked on at a time and only the newest
//     waits; those overtaken never reach the engine. The one worked on is never
//     overtaken: else a hand that moves faster than the model answers would see
//     nothing until it rests.
//   - Open clicks are bounded, and so are the bytes of masks that they have handed out
//     and that were not Consumed: each click has an equal share of the window, and one
//     mask may go above it.
#ifndef SEMSAM_SERVER_PIPELINE_INTERACT_CALLS_H_
#define SEMSAM_SERVER_PIPELINE_INTERACT_CALLS_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "model/base/mutex.h"
#include "server/batching/call_limits.h"
#include "server/batching/tenant_id.h"
#include "server/metrics/metrics.h"
#include "server/pipeline/engine.h"
#include "server/pipeline/engine_options.h"
#include "server/pipeline/handle_slot.h"
#include "server/pipeline/interact_streams.h"
#include "server/pipeline/segment_types.h"

namespace semsam {

// What the clicks after it are about.
struct InteractStart {
  ImageReference image;
  SegmentOptions options;
  LabelOptions labels;
};

struct InteractClick {
  uint64_t correlation_id = 0;
  // An error is the click's answer.
  absl::StatusOr<std::vector<UserPrompt>> prompts;
  bool latest_wins = false;
};

struct ClickRef {
  uint64_t correlation_id = 0;
  uint64_t number = 0;  // for Consumed; no two clicks of a stream have the same
};

// Those of one click run one at a time, those of different clicks at once.
struct InteractSink {
  std::function<void(const ClickRef&, const CallProgress&)> on_progress;
  std::function<void(const ClickRef&, SegmentMask)> on_mask;
  std::function<void(const ClickRef&, const absl::StatusOr<SegmentSummary>&)> on_answer;
  absl::AnyInvocable<void(absl::Status)> on_end;
};

// Thread-safe, but Start and Click come from one thread at a time. Made by
// Engine::Interact, which outlives the stream's end.
class InteractCalls : public std::enable_shared_from_this<InteractCalls> {
 public:
  InteractCalls(Engine& engine, InteractStreams& streams, Metrics& metrics, TenantId tenant,
                InteractSink sink);

  // For the clicks after it.
  void Start(InteractStart start);
  // INVALID_ARGUMENT, and no answer, if a click of this id is open: no answer could
  // be told from that click's own, so the stream is to be aborted. Ignored once the
  // stream was told to end.
  absl::Status Click(InteractClick click);
  // The click ends with CANCELLED; nothing happens if it is not open.
  void Cancel(uint64_t correlation_id);
  // `bytes` of masks of a click left the caller's buffer.
  void Consumed(uint64_t number, int64_t bytes);

  // No click comes any more: the stream ends with `status` once what is open is
  // answered. The first to say so decides.
  void Close(absl::Status status);
  // As Close, but what is open is cancelled; `status` wins over that of Close.
  void Abort(absl::Status status);
  bool closed() const;

 private:
  struct OpenClick {
    ClickRef ref;
    bool latest_wins = false;
    std::shared_ptr<const InteractStart> start;
    std::vector<UserPrompt> prompts;  // until it runs
    std::shared_ptr<CancelFlag> cancel;
    CallLimits limits;
    HandleSlot handle;
  };
  using ClickPtr = std::shared_ptr<OpenClick>;

  struct Admission {
    absl::Status refusal;
    ClickPtr overtaken;
    bool waits = false;
  };

  ClickPtr MakeClick(InteractClick& click) const;
  Admission Admit(const ClickPtr& click) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  ClickPtr Find(uint64_t correlation_id) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // The click is in the engine's hands.
  void Run(const ClickPtr& click);
  void OnDone(const ClickPtr& click, absl::StatusOr<SegmentSummary> summary);
  // `click` is not open any more.
  void Answer(const OpenClick& click, const absl::StatusOr<SegmentSummary>& answer);
  void EndIfOver();

  Engine& engine_;
  InteractStreams& streams_;
  Metrics& metrics_;
  const InteractLimits& limits_;
  const TenantId tenant_;
  InteractSink sink_;

  mutable Mutex mutex_;
  std::shared_ptr<const InteractStart> start_ ABSL_GUARDED_BY(mutex_);
  uint64_t last_number_ ABSL_GUARDED_BY(mutex_) = 0;
  std::map<uint64_t, ClickPtr> open_ ABSL_GUARDED_BY(mutex_);  // by number
  // With latest_wins: whether one is in the engine, and the one that waits for it.
  bool latest_busy_ ABSL_GUARDED_BY(mutex_) = false;
  ClickPtr waiting_ ABSL_GUARDED_BY(mutex_);
  int unanswered_ ABSL_GUARDED_BY(mutex_) = 0;  // on_answer has not returned
  std::optional<absl::Status> end_ ABSL_GUARDED_BY(mutex_);
  bool ended_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace semsam

#endif  // SEMSAM_SERVER_PIPELINE_INTERACT_CALLS_H_
