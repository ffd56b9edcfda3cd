// Everything in one image: a grid of clicks, chunk by chunk, then the masks that
// are worth keeping.
//
// Guarantees, beside StreamCall's
//   - One chunk of clicks is queued at the model at a time, in the class that
//     yields to all others: a click waits for one chunk at most.
//   - Between chunks only run lengths and the queries of masks are held; the
//     projected values of the image are let go of with the last chunk.
//   - Cancellation and deadline are honoured between chunks, between the clicks of a
//     chunk, and in the selection that follows.
//   - Masks leave by falling predicted IoU; parents in the summary are indices into
//     that order.
#ifndef SEMSAM_SERVER_PIPELINE_GENERATE_CALL_H_
#define SEMSAM_SERVER_PIPELINE_GENERATE_CALL_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "model/image/mask_generator.h"
#include "server/pipeline/byte_budget.h"
#include "server/pipeline/engine_options.h"
#include "server/pipeline/stream_call.h"

namespace semsam {

// Field names follow semsam.v1.GenerateMasksOptions; unset is the published default.
struct GenerateOptions {
  int64_t points_per_side = 32;
  std::vector<int64_t> levels;  // 1-based; empty asks for all
  float min_predicted_iou = 0.88f;
  float min_stability = 0.92f;
  float stability_offset = 1.0f;
  float nms_iou = 0.7f;
  int64_t min_region_area_px = 10;
  int64_t points_per_chunk = 0;  // 0: 200 with joint attention, 64 without
  bool joint_attention = false;
  MaskEncoding encoding = MaskEncoding::kCocoRle;
  MaskResolution resolution = MaskResolution::kOriginal;
  float min_containment = 0.9f;

  int64_t chunk() const {
    return points_per_chunk != 0 ? points_per_chunk : joint_attention ? 200 : 64;
  }
};

// Every field in range; errors name it (`options.nms_iou`).
absl::Status ValidateGenerate(const GenerateOptions& options, const ModelConfig& config,
                              const GenerateLimits& limits);

// Bytes of run lengths that the candidates of a call may take.
inline constexpr int64_t kMaxCandidateBytes = int64_t{64} << 20;

// Bytes that a call holds at most: the model's answers, queries and candidates.
int64_t GenerateBytes(const ModelConfig& config, const ImageGeometry& geometry,
                      const GenerateOptions& options);

struct GenerateSummary {
  int masks_sent = 0;
  int masks_filtered = 0;
  std::vector<int> parents;  // -1: none
  StageTimings timings;
  ImageSize image_size;  // px, original
};

struct GenerateSink {
  ProgressSink on_progress;
  absl::AnyInvocable<void(SegmentMask)> on_mask;
  absl::AnyInvocable<void(absl::StatusOr<GenerateSummary>)> on_done;
  // Bytes of masks (SegmentMask::size_bytes) that the caller is ready to buffer.
  int64_t window_bytes = int64_t{1} << 20;
};

class GenerateCall final : public StreamCall {
 public:
  // What is asked; valid.
  struct Task {
    std::string session_id;
    std::string image_id;
    ImageSource image;
    GenerateOptions options;
    LabelPlan labels;
    std::unique_ptr<ByteBudget::Reservation> memory;  // of GenerateBytes
  };

  GenerateCall(const CallParts& parts, CallGate::Ticket ticket, Task task, CallLimits limits,
               GenerateSink sink);

  // Once.
  void Start();

 private:
  void Project();
  void SubmitChunk();
  void DecodeChunk(Segmenter& segmenter, absl::Duration queued);
  void JudgeChunk(const DecodeResult& result, size_t points);
  absl::Status AddChunk(const DecodeResult& result, size_t points);
  void Select();
  absl::Status SelectMasks();

  bool Exhausted() const override { return next_record_ == records_.size(); }
  absl::Status Step() override;
  void OnEnd(absl::Status status) override;
  absl::StatusOr<SegmentMask> MakeMask(const MaskRecord& record);

  Task task_;
  const std::vector<int> levels_;
  const std::vector<Prompt> points_;
  GenerateSink sink_;

  // Of whoever carries the call on.
  PlacedEmbedding image_;
  size_t next_point_ = 0;
  MaskGenerator generator_;
  // Of the candidates that passed, if the model can label: MaskRecord::query.
  std::vector<std::vector<float>> queries_;
  std::vector<MaskRecord> records_;  // to be handed out
  size_t next_record_ = 0;
  GenerateSummary summary_;
};

}  // namespace semsam

#endif  // SEMSAM_SERVER_PIPELINE_GENERATE_CALL_H_
