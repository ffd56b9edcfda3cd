#include "server/pipeline/segment_call.h"

#include <algorithm>
#include <utility>

#include "model/base/errors.h"
#include "model/base/status_macros.h"
#include "model/image/mask_filter.h"
#include "model/image/run_lengths.h"
#include "server/pipeline/image_field.h"
#include "server/pipeline/request_validation.h"

namespace semsam {

absl::Status CheckDecodeShape(const DecodeResult& result, size_t prompts,
                              const std::vector<int>& levels, bool queries) {
  const size_t masks = prompts * levels.size();
  const bool good = result.scores.size() == masks && result.grid.height > 0 &&
                    result.grid.width > 0 &&
                    result.logits.size() == masks * static_cast<size_t>(result.grid.area()) &&
                    (!queries || (result.embedding_dim > 0 &&
                                  result.query_embeddings.size() == masks * result.embedding_dim));
  if (!good) return absl::InternalError("the model's answer has the wrong shape");
  for (size_t i = 0; i < masks; ++i) {
    if (result.scores[i].prompt != static_cast<int>(i / levels.size()) ||
        result.scores[i].level != levels[i % levels.size()]) {
      return absl::InternalError("the model's answer is out of order");
    }
  }
  return absl::OkStatus();
}

SegmentCall::SegmentCall(const CallParts& parts, CallGate::Ticket ticket, Task task,
                         CallLimits limits, SegmentSink sink)
    : StreamCall(parts, std::move(ticket), std::move(limits), sink.window_bytes, CpuPool::kMasks),
      task_(std::move(task)),
      levels_(LevelsToAnswer(task_.options.levels, parts.config())),
      start_(parts.clock.Now()),
      sink_(std::move(sink)) {}

void SegmentCall::StartWithImage(std::string image_id, ImageSource image,
                                 std::vector<Prompt> prompts) {
  image_id_ = std::move(image_id);
  image_ = std::move(image);
  prompts_ = std::move(prompts);
  Prepare(ImageEncoder::Thread::kAny);
}

void SegmentCall::StartWithBytes(std::shared_ptr<const std::string> bytes) {
  OnCpuPool(CpuPool::kImages,
            [this, bytes = std::move(bytes)]() mutable { ReadInlineImage(std::move(bytes)); });
}

void SegmentCall::ReadInlineImage(std::shared_ptr<const std::string> bytes) {
  absl::StatusOr<ImageSource> image = parts().encoder.Identify(std::move(bytes));
  if (!image.ok()) return Finish(NameImageField(std::move(image).status(), "image_bytes"));
  image_ = *std::move(image);
  image_.device = task_.device;
  absl::StatusOr<std::vector<Prompt>> prompts =
      ToModelPrompts(task_.prompts, image_.geometry.original, parts().config());
  if (!prompts.ok()) return Finish(std::move(prompts).status());
  prompts_ = *std::move(prompts);
  Prepare(ImageEncoder::Thread::kCpuPool);
}

// Words first: they may take long, and the embedding is in use from when it is had.
void SegmentCall::Prepare(ImageEncoder::Thread thread) {
  // New words end on the model's thread.
  if (task_.labels.wanted()) thread = ImageEncoder::Thread::kAny;
  EncodeWords(task_.labels.tables(), sink_.on_progress, summary_.timings, [this, thread] {
    EncodeImage(image_, image_id_, thread, summary_.timings,
                [this](PlacedEmbedding image) { Decode(std::move(image)); });
  });
}

void SegmentCall::Decode(PlacedEmbedding image) {
  image.worker->Decode(
      {.request = {.embedding = std::move(image.embedding),
                   .prompts = std::move(prompts_),
                   .levels = levels_,
                   .joint_attention = task_.options.joint_attention},
       .tenant = limits().tenant,
       .deadline = limits().deadline,
       .check = [limits = limits()](absl::Time now) { return limits.Check(now); },
       .done =
           [self = Self()](absl::StatusOr<DecodeResult> result, const ModelWorker::Times& times) {
             self->OnDecoded(std::move(result), times);
           }});
}

void SegmentCall::OnDecoded(absl::StatusOr<DecodeResult> result, const ModelWorker::Times& times) {
  if (!result.ok()) return Finish(std::move(result).status());
  if (absl::Status status =
          CheckDecodeShape(*result, task_.prompts.size(), levels_, CanLabel(parts().config()));
      !status.ok()) {
    return Finish(std::move(status));
  }
  if (absl::Status status = parts().stages.CheckGeometry(image_.geometry, result->grid);
      !status.ok()) {
    return Finish(std::move(status));
  }
  summary_.timings.decode_queue = times.queue;
  summary_.timings.decode = times.run;
  summary_.timings.postprocess = absl::ZeroDuration();
  decoded_ = *std::move(result);
  SubmitSteps();
}

// Hands out one mask, or gets the next ones ready.
absl::Status SegmentCall::Step() {
  const absl::Time start = Now();
  std::optional<SegmentMask> mask;
  if (!ready_.empty()) {
    Candidate candidate = std::move(ready_.front());
    ready_.pop_front();
    SEMSAM_ASSIGN_OR_RETURN(mask, MakeMask(std::move(candidate)));
  } else {
    GetReady();
  }
  *summary_.timings.postprocess += Now() - start;
  if (mask.has_value()) Emit(*std::move(mask));
  return absl::OkStatus();
}

bool SegmentCall::Condense() {
  if (decoded_.logits.empty()) return false;
  size_t ready_bytes = 0;
  for (const Candidate& candidate : ready_) ready_bytes += candidate.size_bytes();
  if (ready_bytes > decoded_.logits.size() * sizeof(float)) return false;
  const absl::Time start = Now();
  GetReady();
  *summary_.timings.postprocess += Now() - start;
  return true;
}

void SegmentCall::GetReady() {
  // Duplicates can only be told once all masks of a prompt are known.
  const size_t count = task_.options.max_duplicate_iou.has_value() ? levels_.size() : 1;
  std::vector<Candidate> candidates;
  for (size_t i = 0; i < count; ++i) {
    std::optional<Candidate> candidate = NextCandidate();
    if (candidate.has_value()) candidates.push_back(*std::move(candidate));
  }
  if (task_.options.max_duplicate_iou.has_value()) RemoveDuplicatesOf(candidates);
  for (Candidate& candidate : candidates) ready_.push_back(std::move(candidate));
  if (next_index_ == decoded_.scores.size()) decoded_.logits = std::vector<float>();
}

std::optional<SegmentCall::Candidate> SegmentCall::NextCandidate() {
  Candidate candidate{.index = next_index_++};
  // Comparisons are written so that a NaN score counts as below.
  const float predicted_iou = decoded_.scores[candidate.index].predicted_iou;
  if (task_.options.min_predicted_iou.has_value() &&
      !(predicted_iou >= *task_.options.min_predicted_iou)) {
    ++summary_.masks_filtered;
    return std::nullopt;
  }
  const absl::Time start = Now();
  const LogitsView logits = decoded_.mask_logits(candidate.index);
  candidate.stability = parts().stages.Stability(logits, image_.geometry);
  if (task_.options.min_stability.has_value() &&
      !(candidate.stability >= *task_.options.min_stability)) {
    ++summary_.masks_filtered;
    return std::nullopt;
  }
  candidate.runs = parts().stages.Threshold(logits, image_.geometry, task_.options.resolution);
  if (task_.options.encoding == MaskEncoding::kLogits) {
    candidate.logits = parts().stages.Pack(logits, image_.geometry, task_.options.resolution);
  }
  parts().metrics.RecordStage(Stage::kUpsample, Now() - start);
  return candidate;
}

void SegmentCall::RemoveDuplicatesOf(std::vector<Candidate>& candidates) {
  std::vector<RunLengths> runs;
  std::vector<float> predicted_ious;
  for (Candidate& candidate : candidates) {
    runs.push_back(std::move(candidate.runs));
    predicted_ious.push_back(decoded_.scores[candidate.index].predicted_iou);
  }
  std::vector<size_t> keep =
      RemoveDuplicates(runs, predicted_ious, *task_.options.max_duplicate_iou);
  std::sort(keep.begin(), keep.end());  // back to ascending levels
  std::vector<Candidate> kept;
  for (const size_t i : keep) {
    kept.push_back(std::move(candidates[i]));
    kept.back().runs = std::move(runs[i]);
  }
  summary_.masks_filtered += static_cast<int>(candidates.size() - kept.size());
  candidates = std::move(kept);
}

absl::StatusOr<MaskData> SegmentCall::EncodeMask(Candidate& candidate) const {
  if (task_.options.encoding != MaskEncoding::kLogits) {
    return parts().stages.Encode(candidate.runs, task_.options.encoding);
  }
  return MaskData{.encoding = MaskEncoding::kLogits, .logits = std::move(candidate.logits)};
}

absl::StatusOr<SegmentMask> SegmentCall::MakeMask(Candidate candidate) {
  const absl::Time start = Now();
  if (task_.options.min_region_area_px > 0) {
    SEMSAM_ASSIGN_OR_RETURN(candidate.runs,
                            parts().stages.Clean(candidate.runs, task_.options.min_region_area_px));
  }
  SEMSAM_ASSIGN_OR_RETURN(MaskData data, EncodeMask(candidate));
  parts().metrics.RecordStage(Stage::kMaskEncode, Now() - start);
  const MaskScores& scores = decoded_.scores[candidate.index];
  SegmentMask mask{
      .prompt_index = scores.prompt,
      .prompt_tag = task_.prompts[scores.prompt].tag,
      .level = scores.level,
      .predicted_iou = scores.predicted_iou,
      .stability = candidate.stability,
      .area = MaskArea(candidate.runs),
      .box = BoundingBox(candidate.runs),
      .size = data.encoding == MaskEncoding::kLogits ? data.logits.size : candidate.runs.size,
      .data = std::move(data)};
  const size_t dim = decoded_.embedding_dim;
  SEMSAM_RETURN_IF_ERROR(LabelAndRetain(
      task_.labels, task_.session_id,
      absl::MakeConstSpan(decoded_.query_embeddings).subspan(candidate.index * dim, dim),
      summary_.timings, mask));
  return mask;
}

void SegmentCall::Emit(SegmentMask mask) {
  CountSent(mask.size_bytes());
  mask.followed = FollowedAtOnce();
  if (summary_.masks_sent == 0) parts().metrics.RecordTimeToFirstMask(Now() - start_);
  ++summary_.masks_sent;
  parts().metrics.RecordMaskBytes(mask.data.size_bytes());
  sink_.on_mask(std::move(mask));
}

void SegmentCall::OnEnd(absl::Status status) {
  summary_.image_size = image_.geometry.original;
  decoded_ = {};
  ready_.clear();
  task_.labels = {};
  LeaveGate();
  SegmentSink sink = std::move(sink_);
  if (status.ok()) {
    sink.on_done(summary_);
  } else {
    sink.on_done(std::move(status));
  }
}

}  // namespace semsam
