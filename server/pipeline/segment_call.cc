#include "server/pipeline/segment_call.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "model/base/errors.h"
#include "model/base/status_macros.h"
#include "model/image/mask_filter.h"
#include "model/image/run_lengths.h"
#include "server/pipeline/image_field.h"
#include "server/pipeline/request_validation.h"

namespace semsam {
namespace {

// A result that does not have the shape of its request would be read out of
// bounds.
absl::Status CheckShape(const DecodeResult& result, size_t prompts,
                        const std::vector<int>& levels) {
  const size_t masks = prompts * levels.size();
  const bool good = result.scores.size() == masks && result.grid.height > 0 &&
                    result.grid.width > 0 &&
                    result.logits.size() == masks * static_cast<size_t>(result.grid.area());
  if (!good) return absl::InternalError("the model's answer has the wrong shape");
  for (size_t i = 0; i < masks; ++i) {
    if (result.scores[i].prompt != static_cast<int>(i / levels.size()) ||
        result.scores[i].level != levels[i % levels.size()]) {
      return absl::InternalError("the model's answer is out of order");
    }
  }
  return absl::OkStatus();
}

}  // namespace

SegmentCall::SegmentCall(const Parts& parts, SegmentGate::Ticket ticket,
                         std::vector<UserPrompt> prompts, SegmentOptions options, CallLimits limits,
                         SegmentSink sink)
    : parts_(parts),
      ticket_(std::move(ticket)),
      user_prompts_(std::move(prompts)),
      options_(std::move(options)),
      limits_(std::move(limits)),
      levels_(LevelsToAnswer(options_, parts.config)),
      start_(parts.clock.Now()),
      sink_(std::move(sink)) {}

void SegmentCall::StartWithImage(std::string image_id, ImageSource image,
                                 std::vector<Prompt> prompts) {
  image_id_ = std::move(image_id);
  image_ = std::move(image);
  EncodeImage(ImageEncoder::Thread::kAny, std::move(prompts));
}

void SegmentCall::StartWithBytes(std::string bytes) {
  auto shared = std::make_shared<const std::string>(std::move(bytes));
  parts_.cpu.Submit(
      CpuPool::kImages,
      {.run = [self = shared_from_this(), shared] { self->ReadInlineImage(shared); },
       .check = [limits = limits_](absl::Time now) { return limits.Check(now); },
       .drop = [self = shared_from_this()](absl::Status why) { self->Finish(std::move(why)); }});
}

void SegmentCall::ReadInlineImage(std::shared_ptr<const std::string> bytes) {
  absl::StatusOr<ImageSource> image = parts_.encoder.Identify(std::move(bytes));
  if (!image.ok()) return Finish(NameImageField(std::move(image).status(), "image_bytes"));
  image_ = *std::move(image);
  absl::StatusOr<std::vector<Prompt>> prompts =
      ToModelPrompts(user_prompts_, image_.geometry.original, parts_.config);
  if (!prompts.ok()) return Finish(std::move(prompts).status());
  EncodeImage(ImageEncoder::Thread::kCpuPool, *std::move(prompts));
}

void SegmentCall::EncodeImage(ImageEncoder::Thread thread, std::vector<Prompt> prompts) {
  const ImageSource source = image_;
  image_.bytes = nullptr;
  parts_.encoder.Ensure(
      source, limits_, thread, summary_.timings,
      [self = shared_from_this(),
       prompts = std::move(prompts)](absl::StatusOr<EmbeddingCache::Found> found) mutable {
        if (found.ok()) return self->Decode(std::move(prompts), std::move(found->embedding));
        const bool lost = absl::IsNotFound(found.status());
        self->Finish(lost ? ImageNotFound(self->image_id_, self->image_.sha256)
                          : NameImageField(std::move(found).status(), "image_bytes"));
      });
}

void SegmentCall::Decode(std::vector<Prompt> prompts, std::shared_ptr<const Embedding> embedding) {
  parts_.worker.Decode({.request = {.embedding = std::move(embedding),
                                    .prompts = std::move(prompts),
                                    .levels = levels_,
                                    .joint_attention = options_.joint_attention},
                        .check = [limits = limits_](absl::Time now) { return limits.Check(now); },
                        .done =
                            [self = shared_from_this()](absl::StatusOr<DecodeResult> result,
                                                        const ModelWorker::Times& times) {
                              self->OnDecoded(std::move(result), times);
                            }});
}

void SegmentCall::OnDecoded(absl::StatusOr<DecodeResult> result, const ModelWorker::Times& times) {
  if (!result.ok()) return Finish(std::move(result).status());
  if (absl::Status status = CheckShape(*result, user_prompts_.size(), levels_); !status.ok()) {
    return Finish(std::move(status));
  }
  if (absl::Status status = parts_.stages.CheckGeometry(image_.geometry, result->grid);
      !status.ok()) {
    return Finish(std::move(status));
  }
  summary_.timings.decode_queue = times.queue;
  summary_.timings.decode = times.run;
  summary_.timings.postprocess = absl::ZeroDuration();
  decoded_ = *std::move(result);
  SubmitTail();
}

void SegmentCall::SubmitTail() {
  parts_.cpu.Submit(
      CpuPool::kMasks,
      {.run = [self = shared_from_this()] { self->RunTail(); },
       .check = [limits = limits_](absl::Time now) { return limits.Check(now); },
       .drop = [self = shared_from_this()](absl::Status why) { self->Finish(std::move(why)); }});
}

void SegmentCall::RunTail() {
  while (true) {
    if (absl::Status status = Alive(); !status.ok()) return Finish(std::move(status));
    const bool exhausted = next_index_ == decoded_.scores.size();
    if (exhausted && ready_.empty()) return Finish(absl::OkStatus());
    if (PauseIfFull()) return;
    if (absl::Status status = Step(); !status.ok()) return Finish(std::move(status));
  }
}

absl::Status SegmentCall::Alive() {
  {
    MutexLock lock(mutex_);
    if (!abort_.ok()) return std::exchange(abort_, absl::OkStatus());
  }
  absl::Status status = limits_.Check(parts_.clock.Now());
  if (!status.ok()) parts_.metrics.RecordCancellation(CancelStage::kMasks);
  return status;
}

bool SegmentCall::PauseIfFull() {
  MutexLock lock(mutex_);
  // A Wake or Abort that came while the call was working must not be lost.
  const bool dead = !abort_.ok() || !limits_.Check(parts_.clock.Now()).ok();
  if (dead || unconsumed_bytes_ < sink_.window_bytes) return false;
  // From here on Consumed, Wake or Abort may carry the call on.
  state_ = State::kPaused;
  return true;
}

// Hands out one mask, or gets the next ones ready.
absl::Status SegmentCall::Step() {
  const absl::Time start = parts_.clock.Now();
  std::optional<SegmentMask> mask;
  if (!ready_.empty()) {
    const Candidate candidate = std::move(ready_.front());
    ready_.pop_front();
    SEMSAM_ASSIGN_OR_RETURN(mask, Encode(candidate));
  } else {
    // Duplicates can only be told once all masks of a prompt are known.
    const size_t count = options_.max_duplicate_iou.has_value() ? levels_.size() : 1;
    std::vector<Candidate> candidates;
    for (size_t i = 0; i < count; ++i) {
      std::optional<Candidate> candidate = NextCandidate();
      if (candidate.has_value()) candidates.push_back(*std::move(candidate));
    }
    if (options_.max_duplicate_iou.has_value()) RemoveDuplicatesOf(candidates);
    for (Candidate& candidate : candidates) ready_.push_back(std::move(candidate));
  }
  *summary_.timings.postprocess += parts_.clock.Now() - start;
  if (mask.has_value()) Emit(*std::move(mask));
  return absl::OkStatus();
}

std::optional<SegmentCall::Candidate> SegmentCall::NextCandidate() {
  Candidate candidate{.index = next_index_++};
  // Comparisons are written so that a NaN score counts as below.
  const float predicted_iou = decoded_.scores[candidate.index].predicted_iou;
  if (options_.min_predicted_iou.has_value() && !(predicted_iou >= *options_.min_predicted_iou)) {
    ++summary_.masks_filtered;
    return std::nullopt;
  }
  const absl::Time start = parts_.clock.Now();
  const LogitsView logits = decoded_.mask_logits(candidate.index);
  candidate.stability = parts_.stages.Stability(logits, image_.geometry);
  if (options_.min_stability.has_value() && !(candidate.stability >= *options_.min_stability)) {
    ++summary_.masks_filtered;
    return std::nullopt;
  }
  candidate.runs = parts_.stages.Threshold(logits, image_.geometry, options_.resolution);
  parts_.metrics.RecordStage(Stage::kUpsample, parts_.clock.Now() - start);
  return candidate;
}

void SegmentCall::RemoveDuplicatesOf(std::vector<Candidate>& candidates) {
  std::vector<RunLengths> runs;
  std::vector<float> predicted_ious;
  for (Candidate& candidate : candidates) {
    runs.push_back(std::move(candidate.runs));
    predicted_ious.push_back(decoded_.scores[candidate.index].predicted_iou);
  }
  std::vector<size_t> keep = RemoveDuplicates(runs, predicted_ious, *options_.max_duplicate_iou);
  std::sort(keep.begin(), keep.end());  // back to ascending levels
  std::vector<Candidate> kept;
  for (const size_t i : keep) {
    kept.push_back({candidates[i].index, candidates[i].stability, std::move(runs[i])});
  }
  summary_.masks_filtered += static_cast<int>(candidates.size() - kept.size());
  candidates = std::move(kept);
}

absl::StatusOr<SegmentMask> SegmentCall::Encode(const Candidate& candidate) {
  const absl::Time start = parts_.clock.Now();
  RunLengths cleaned;
  const RunLengths* runs = &candidate.runs;
  if (options_.min_region_area_px > 0) {
    SEMSAM_ASSIGN_OR_RETURN(cleaned, parts_.stages.Clean(*runs, options_.min_region_area_px));
    runs = &cleaned;
  }
  SEMSAM_ASSIGN_OR_RETURN(MaskData data, parts_.stages.Encode(*runs, options_.encoding));
  parts_.metrics.RecordStage(Stage::kMaskEncode, parts_.clock.Now() - start);
  const MaskScores& scores = decoded_.scores[candidate.index];
  return SegmentMask{.prompt_index = scores.prompt,
                     .prompt_tag = user_prompts_[scores.prompt].tag,
                     .level = scores.level,
                     .predicted_iou = scores.predicted_iou,
                     .stability = candidate.stability,
                     .area = MaskArea(*runs),
                     .box = BoundingBox(*runs),
                     .size = runs->size,
                     .data = std::move(data)};
}

void SegmentCall::Emit(SegmentMask mask) {
  const int64_t bytes = mask.data.size_bytes();
  {
    MutexLock lock(mutex_);
    unconsumed_bytes_ += bytes;
  }
  if (summary_.masks_sent == 0) {
    parts_.metrics.RecordTimeToFirstMask(parts_.clock.Now() - start_);
  }
  ++summary_.masks_sent;
  parts_.metrics.RecordMaskBytes(bytes);
  sink_.on_mask(std::move(mask));
}

bool SegmentCall::ResumeIf(bool anyway) {
  MutexLock lock(mutex_);
  if (state_ != State::kPaused) return false;
  if (!anyway && unconsumed_bytes_ >= sink_.window_bytes) return false;
  state_ = State::kWorking;
  return true;
}

void SegmentCall::Consumed(int64_t bytes) {
  {
    MutexLock lock(mutex_);
    unconsumed_bytes_ -= bytes;
  }
  if (ResumeIf(/*anyway=*/false)) SubmitTail();
}

void SegmentCall::Wake() {
  if (limits_.Check(parts_.clock.Now()).ok()) return;
  if (ResumeIf(/*anyway=*/true)) SubmitTail();
}

void SegmentCall::Abort(absl::Status why) {
  {
    MutexLock lock(mutex_);
    abort_ = std::move(why);
  }
  if (ResumeIf(/*anyway=*/true)) SubmitTail();
}

void SegmentCall::Finish(absl::Status status) {
  {
    MutexLock lock(mutex_);
    state_ = State::kDone;
  }
  summary_.image_size = image_.geometry.original;
  decoded_ = {};
  ready_.clear();
  ticket_.reset();
  SegmentSink sink = std::move(sink_);
  if (status.ok()) {
    sink.on_done(summary_);
  } else {
    sink.on_done(std::move(status));
  }
}

}  // namespace semsam
