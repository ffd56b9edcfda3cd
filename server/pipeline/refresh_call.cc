#include "server/pipeline/refresh_call.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "model/base/errors.h"
#include "model/base/status_macros.h"

namespace semsam {
namespace {

// Masks scored at a time: bounds the scores held, and how late a caller who left
// is noticed.
constexpr size_t kMasksAtATime = 128;

}  // namespace

RefreshCall::RefreshCall(const CallParts& parts, CallGate::Ticket ticket, Task task,
                         CallLimits limits, RefreshDone done)
    : parts_(parts),
      ticket_(std::move(ticket)),
      task_(std::move(task)),
      limits_(std::move(limits)),
      done_(std::move(done)),
      start_(parts.clock.Now()) {}

void RefreshCall::Start() {
  parts_.words.Encode(task_.labels.tables(), limits_, /*on_progress=*/nullptr,
                      [self = shared_from_this()](absl::Status status) {
                        if (!status.ok()) return self->Finish(std::move(status));
                        self->Score();
                      });
}

void RefreshCall::Score() {
  parts_.cpu.Submit(
      CpuPool::kMasks,
      {.tenant = limits_.tenant,
       .run = [self = shared_from_this()] { self->Finish(self->ScoreAll()); },
       .check = [limits = limits_](absl::Time now) { return limits.Check(now); },
       .drop = [self = shared_from_this()](absl::Status why) { self->Finish(std::move(why)); }});
}

absl::Status RefreshCall::ScoreAll() {
  const absl::Time start = parts_.clock.Now();
  const size_t dim = task_.queries.size() / task_.masks;
  int64_t bytes = 0;
  for (size_t first = 0; first < task_.masks; first += kMasksAtATime) {
    SEMSAM_RETURN_IF_ERROR(limits_.Check(parts_.clock.Now()));
    const size_t count = std::min(kMasksAtATime, task_.masks - first);
    const auto queries = absl::MakeConstSpan(task_.queries).subspan(first * dim, count * dim);
    SEMSAM_ASSIGN_OR_RETURN(std::vector<MaskLabels> labels,
                            LabelMasks(parts_.models.any(), task_.labels, queries, count));
    for (const MaskLabels& mask : labels) bytes += mask.size_bytes();
    if (bytes > task_.max_answer_bytes) {
      return ErrorWithReason(absl::StatusCode::kResourceExhausted, reason::kLimitExceeded,
                             "the labels do not fit one message; ask for fewer masks or labels");
    }
    std::move(labels.begin(), labels.end(), std::back_inserter(result_.masks));
  }
  parts_.metrics.RecordStage(Stage::kLabels, parts_.clock.Now() - start);
  return absl::OkStatus();
}

void RefreshCall::Finish(absl::Status status) {
  result_.timings.words = parts_.clock.Now() - start_;
  task_ = {};
  ticket_.reset();
  RefreshDone done = std::move(done_);
  if (status.ok()) {
    done(std::move(result_));
  } else {
    done(std::move(status));
  }
}

}  // namespace semsam
