// One segment call on its way: words, embedding, decode, then one mask after the
// other.
//
// Guarantees, beside StreamCall's
//   - `on_mask` runs for one mask at a time, prompt-major, levels ascending, never
//     after `on_done`; `on_done` runs exactly once, last.
//   - A mask below the predicted-IoU threshold is never upsampled; the others are
//     run lengths at once, at most one of them at full size.
//   - A call that waits for its reader holds run lengths, and the model's logits only
//     where the run lengths would be larger.
//   - Only masks that are handed out are labelled, and only their queries are kept.
// Thread-safe.
#ifndef SEMSAM_SERVER_PIPELINE_SEGMENT_CALL_H_
#define SEMSAM_SERVER_PIPELINE_SEGMENT_CALL_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/pipeline/stream_call.h"

namespace semsam {

struct SegmentSink {
  ProgressSink on_progress;
  absl::AnyInvocable<void(SegmentMask)> on_mask;
  absl::AnyInvocable<void(absl::StatusOr<SegmentSummary>)> on_done;
  // Bytes of masks (SegmentMask::size_bytes) that the caller is ready to buffer.
  int64_t window_bytes = int64_t{1} << 20;
};

// OK if `result` has the shape of its request: another would be read out of bounds.
// Where `queries` is set, so must the query embeddings.
absl::Status CheckDecodeShape(const DecodeResult& result, size_t prompts,
                              const std::vector<int>& levels, bool queries);

class SegmentCall final : public StreamCall {
 public:
  // What is asked; valid.
  struct Task {
    std::string session_id;  // that keeps the masks' queries; empty: none does
    std::vector<UserPrompt> prompts;
    SegmentOptions options;
    LabelPlan labels;
    std::optional<int> device = std::nullopt;  // see ImageSource; for StartWithBytes
  };

  SegmentCall(const CallParts& parts, CallGate::Ticket ticket, Task task, CallLimits limits,
              SegmentSink sink);

  // Each starts the call; exactly one of them is called, once.
  void StartWithImage(std::string image_id, ImageSource image, std::vector<Prompt> prompts);
  void StartWithBytes(std::shared_ptr<const std::string> bytes);

 private:
  // A mask that passed the thresholds.
  struct Candidate {
    size_t index = 0;  // into decoded_.scores
    float stability = 0;
    RunLengths runs;
    PackedLogits logits;  // where they are asked for

    size_t size_bytes() const {
      return runs.counts.size() * sizeof(uint32_t) + logits.halves.size();
    }
  };

  std::shared_ptr<SegmentCall> Self() {
    return std::static_pointer_cast<SegmentCall>(shared_from_this());
  }
  void ReadInlineImage(std::shared_ptr<const std::string> bytes);
  void Prepare(ImageEncoder::Thread thread);
  void Decode(PlacedEmbedding image);
  void OnDecoded(absl::StatusOr<DecodeResult> result, const ModelWorker::Times& times);

  bool Exhausted() const override {
    return next_index_ == decoded_.scores.size() && ready_.empty();
  }
  absl::Status Step() override;
  bool Condense() override;
  void OnEnd(absl::Status status) override;

  // Thresholds the next masks, as many as have to be told apart.
  void GetReady();
  std::optional<Candidate> NextCandidate();
  void RemoveDuplicatesOf(std::vector<Candidate>& candidates);
  absl::StatusOr<MaskData> EncodeMask(Candidate& candidate) const;
  absl::StatusOr<SegmentMask> MakeMask(Candidate candidate);
  void Emit(SegmentMask mask);

  Task task_;
  const std::vector<int> levels_;
  const absl::Time start_;
  SegmentSink sink_;

  // Of whoever carries the call on.
  std::string image_id_;
  ImageSource image_;
  std::vector<Prompt> prompts_;
  DecodeResult decoded_;
  size_t next_index_ = 0;        // into decoded_.scores
  std::deque<Candidate> ready_;  // to be handed out
  SegmentSummary summary_;
};

}  // namespace semsam

#endif  // SEMSAM_SERVER_PIPELINE_SEGMENT_CALL_H_
