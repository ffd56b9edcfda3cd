// New labels for masks that a session got before: the words stage, then the scores
// of the queries that the session kept. The decoder does not run.
#ifndef SEMSAM_SERVER_PIPELINE_REFRESH_CALL_H_
#define SEMSAM_SERVER_PIPELINE_REFRESH_CALL_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/pipeline/stream_call.h"

namespace semsam {

struct RefreshLabelsRequest {
  std::string session_id;
  std::vector<uint64_t> mask_ids;
  LabelOptions labels;
  // RESOURCE_EXHAUSTED if the labels are larger together.
  int64_t max_answer_bytes = int64_t{4} << 20;
};

struct RefreshedLabels {
  std::vector<MaskLabels> masks;  // in the order of mask_ids
  StageTimings timings;
};

using RefreshDone = absl::AnyInvocable<void(absl::StatusOr<RefreshedLabels>)>;

// Owned by whatever carries it on. `done` runs exactly once, on any thread.
class RefreshCall final : public std::enable_shared_from_this<RefreshCall> {
 public:
  struct Task {
    std::vector<float> queries;  // [masks, D]
    size_t masks = 0;
    LabelPlan labels;
    int64_t max_answer_bytes = 0;
  };

  RefreshCall(const CallParts& parts, CallGate::Ticket ticket, Task task, CallLimits limits,
              RefreshDone done);

  void Start();

 private:
  void Score();
  absl::Status ScoreAll();
  void Finish(absl::Status status);

  const CallParts parts_;
  std::optional<CallGate::Ticket> ticket_;
  Task task_;
  const CallLimits limits_;
  RefreshDone done_;
  const absl::Time start_;
  RefreshedLabels result_;
};

}  // namespace semsam

#endif  // SEMSAM_SERVER_PIPELINE_REFRESH_CALL_H_
