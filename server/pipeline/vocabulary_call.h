// One vocabulary call on its way: words, embedding, one run of the generic queries,
// then region by region.
//
// Guarantees, beside StreamCall's
//   - Everything is inferred before the first region leaves: an error comes alone.
//   - Regions leave by falling score, the panoptic map last.
//   - The model's answer is let go of before the first region leaves: a slow reader
//     holds run lengths only, and they stay accounted for until the call ends.
#ifndef SEMSAM_SERVER_PIPELINE_VOCABULARY_CALL_H_
#define SEMSAM_SERVER_PIPELINE_VOCABULARY_CALL_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "server/pipeline/byte_budget.h"
#include "server/pipeline/stream_call.h"
#include "server/pipeline/vocabulary_regions.h"

namespace semsam {

struct VocabularySegment {
  RegionKind kind = RegionKind::kInstance;
  std::string name;
  int word_index = 0;
  bool is_thing = false;
  float score = 0;
  SegmentMask mask;  // area, box, size and data

  int64_t size_bytes() const { return mask.size_bytes() + static_cast<int64_t>(name.size()); }
};

struct VocabularySummary {
  int segments_sent = 0;
  StageTimings timings;
  ImageSize image_size;  // px, original
};

struct VocabularySink {
  ProgressSink on_progress;
  absl::AnyInvocable<void(VocabularySegment)> on_segment;
  absl::AnyInvocable<void(PanopticPicture)> on_panoptic;
  absl::AnyInvocable<void(absl::StatusOr<VocabularySummary>)> on_done;
  // Bytes of segments and maps (size_bytes) that the caller is ready to buffer.
  int64_t window_bytes = int64_t{1} << 20;
  // A map that is larger is an error.
  int64_t max_item_bytes = int64_t{4} << 20;
};

class VocabularyCall final : public StreamCall {
 public:
  // What is asked; valid.
  struct Task {
    std::string image_id;
    ImageSource image;
    VocabularyWords words;
    std::unique_ptr<ByteBudget::Reservation> word_memory;
    std::unique_ptr<ByteBudget::Reservation> result_memory;
    absl::Duration retry_after;  // where that memory turns out too small
    VocabularyOptions options;
  };

  VocabularyCall(const CallParts& parts, CallGate::Ticket ticket, Task task, CallLimits limits,
                 VocabularySink sink);

  // Once.
  void Start();

 private:
  void Run(PlacedEmbedding image);
  void OnResult(absl::StatusOr<VocabularyResult> result);
  void Infer();
  absl::Status InferAnswer();
  // From the memory of the model's answer to that of the regions.
  absl::Status KeepAnswer();

  bool Exhausted() const override {
    return next_region_ == answer_.regions.size() && !answer_.panoptic.has_value();
  }
  absl::Status Step() override;
  void OnEnd(absl::Status status) override;

  absl::StatusOr<VocabularySegment> MakeSegment(Region region);
  template <typename Item>
  void Emit(Item item, absl::AnyInvocable<void(Item)>& sink);

  Task task_;
  VocabularySink sink_;

  // Of whoever carries the call on.
  VocabularyResult result_;
  VocabularyAnswer answer_;
  size_t next_region_ = 0;
  VocabularySummary summary_;
};

}  // namespace semsam

#endif  // SEMSAM_SERVER_PIPELINE_VOCABULARY_CALL_H_
