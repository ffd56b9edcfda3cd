#include "server/pipeline/generate_call.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <utility>

#include "absl/strings/str_cat.h"
#include "model/base/errors.h"
#include "model/base/status_macros.h"
#include "model/image/containment.h"
#include "server/pipeline/request_validation.h"
#include "server/pipeline/segment_call.h"

namespace semsam {
namespace {

// From so many clicks on an image the projection of its values pays.
constexpr size_t kPointsWorthProjecting = 500;

MaskGeneratorOptions GeneratorOptions(const GenerateOptions& options) {
  return {.pred_iou_thresh = options.min_predicted_iou,
          .stability_score_thresh = options.min_stability,
          .stability_score_offset = options.stability_offset,
          .box_nms_thresh = options.nms_iou,
          .min_mask_region_area = options.min_region_area_px,
          .resolution = options.resolution,
          .max_mask_bytes = kMaxCandidateBytes};
}

absl::Status CheckCount(int64_t value, int64_t most, const char* field) {
  if (value >= 1 && value <= most) return absl::OkStatus();
  return InvalidField(field, absl::StrCat("must be between 1 and ", most), reason::kLimitExceeded);
}

}  // namespace

absl::Status ValidateGenerate(const GenerateOptions& options, const ModelConfig& config,
                              const GenerateLimits& limits) {
  SEMSAM_RETURN_IF_ERROR(
      CheckCount(options.points_per_side, limits.max_points_per_side, "options.points_per_side"));
  SEMSAM_RETURN_IF_ERROR(
      CheckCount(options.chunk(), limits.max_points_per_chunk, "options.points_per_chunk"));
  SEMSAM_RETURN_IF_ERROR(PrependField(ValidateLevels(options.levels, config), "options"));
  if (!std::isfinite(options.min_predicted_iou)) {
    return InvalidField("options.min_predicted_iou", "must be finite");
  }
  SEMSAM_RETURN_IF_ERROR(CheckUnitInterval(options.min_stability, "options.min_stability"));
  if (!std::isfinite(options.stability_offset) || options.stability_offset < 0) {
    return InvalidField("options.stability_offset", "must be finite and not negative");
  }
  SEMSAM_RETURN_IF_ERROR(CheckUnitInterval(options.nms_iou, "options.nms_iou"));
  if (!(options.min_containment > 0.5f && options.min_containment <= 1)) {
    return InvalidField("options.min_containment", "must lie above 0.5 and not above 1");
  }
  return CheckRegionEncoding(options.encoding);
}

int64_t GenerateBytes(const ModelConfig& config, const ImageGeometry& geometry,
                      const GenerateOptions& options) {
  const int64_t levels =
      options.levels.empty() ? config.levels() : static_cast<int64_t>(options.levels.size());
  const int64_t grid = int64_t{geometry.padded.height / 4} * (geometry.padded.width / 4);
  const int64_t query = config.pixel_decoder.hidden_dim;
  const int64_t points = options.points_per_side * options.points_per_side;
  const int64_t kept_queries = CanLabel(config) ? points * levels * query : 0;
  const int64_t chunk = std::min(options.chunk(), points);
  return (chunk * levels * (grid + query) + kept_queries) * static_cast<int64_t>(sizeof(float)) +
         kMaxCandidateBytes;
}

GenerateCall::GenerateCall(const CallParts& parts, CallGate::Ticket ticket, Task task,
                           CallLimits limits, GenerateSink sink)
    : StreamCall(parts, std::move(ticket), std::move(limits), sink.window_bytes, CpuPool::kResults),
      task_(std::move(task)),
      levels_(LevelsToAnswer(task_.options.levels, parts.config())),
      points_(
          PointGrid(static_cast<int>(task_.options.points_per_side), parts.config().click_size)),
      sink_(std::move(sink)),
      generator_(GeneratorOptions(task_.options), task_.image.geometry) {}

void GenerateCall::Start() {
  EncodeWords(task_.labels.tables(), sink_.on_progress, summary_.timings, [this] {
    EncodeImage(task_.image, task_.image_id, ImageEncoder::Thread::kAny, summary_.timings,
                [this](PlacedEmbedding image) {
                  summary_.timings.decode_queue = absl::ZeroDuration();
                  summary_.timings.decode = absl::ZeroDuration();
                  summary_.timings.postprocess = absl::ZeroDuration();
                  image_ = std::move(image);
                  if (points_.size() < kPointsWorthProjecting) return SubmitChunk();
                  Project();
                });
  });
}

void GenerateCall::Project() {
  OnModel(*image_.worker, [this](Segmenter& segmenter, absl::Duration queued) {
    const absl::Time start = Now();
    absl::StatusOr<std::shared_ptr<const Embedding>> projected =
        segmenter.ProjectValues(image_.embedding);
    *summary_.timings.decode_queue += queued;
    *summary_.timings.decode += Now() - start;
    // It only saves time: without the memory the chunks run as they are.
    if (!projected.ok() && !absl::IsResourceExhausted(projected.status())) {
      return Finish(std::move(projected).status());
    }
    const int64_t bytes = GenerateBytes(parts().config(), task_.image.geometry, task_.options);
    if (projected.ok() && task_.memory->GrowTo(bytes + (*projected)->size_bytes())) {
      image_.embedding = *std::move(projected);
    }
    SubmitChunk();
  });
}

void GenerateCall::SubmitChunk() {
  OnModel(*image_.worker,
          [this](Segmenter& segmenter, absl::Duration queued) { DecodeChunk(segmenter, queued); });
}

void GenerateCall::DecodeChunk(Segmenter& segmenter, absl::Duration queued) {
  const size_t count =
      std::min(static_cast<size_t>(task_.options.chunk()), points_.size() - next_point_);
  const auto first = points_.begin() + static_cast<int64_t>(next_point_);
  DecodeRequest request{.embedding = image_.embedding,
                        .prompts = {first, first + static_cast<int64_t>(count)},
                        .levels = levels_,
                        .joint_attention = task_.options.joint_attention};
  const absl::Time start = Now();
  std::vector<absl::StatusOr<DecodeResult>> results = segmenter.Decode({request});
  const absl::Duration took = Now() - start;
  parts().metrics.RecordStage(Stage::kDecoder, took);
  parts().metrics.RecordBatch(BatchKind::kQueries,
                              static_cast<int64_t>(count) * parts().config().decoder.tokens);
  *summary_.timings.decode_queue += queued;
  *summary_.timings.decode += took;
  results.resize(1, absl::InternalError("the model left out a result"));
  if (!results.front().ok()) return Finish(results.front().status());
  if (next_point_ + count == points_.size()) image_.embedding.reset();
  auto result = std::make_shared<const DecodeResult>(*std::move(results.front()));
  OnCpuPool(CpuPool::kResults, [this, result, count] { JudgeChunk(*result, count); });
}

void GenerateCall::JudgeChunk(const DecodeResult& result, size_t points) {
  const absl::Time start = Now();
  if (absl::Status status = AddChunk(result, points); !status.ok()) {
    return Finish(std::move(status));
  }
  next_point_ += points;
  *summary_.timings.postprocess += Now() - start;
  parts().metrics.RecordStage(Stage::kRegions, Now() - start);
  if (sink_.on_progress) {
    sink_.on_progress({.stage = CallProgress::Stage::kPoints,
                       .done = static_cast<int>(next_point_),
                       .total = static_cast<int>(points_.size())});
  }
  if (next_point_ < points_.size()) return SubmitChunk();
  OnCpuPool(CpuPool::kResults, [this] { Select(); });
}

absl::Status GenerateCall::AddChunk(const DecodeResult& result, size_t points) {
  const bool queries = CanLabel(parts().config());
  SEMSAM_RETURN_IF_ERROR(CheckDecodeShape(result, points, levels_, queries));
  SEMSAM_RETURN_IF_ERROR(parts().stages.CheckGeometry(task_.image.geometry, result.grid));
  for (size_t mask = 0; mask < result.scores.size(); ++mask) {
    const MaskScores& scores = result.scores[mask];
    if (mask % levels_.size() == 0) SEMSAM_RETURN_IF_ERROR(Alive());
    const size_t point = next_point_ + scores.prompt;
    const int64_t held = generator_.held();
    SEMSAM_RETURN_IF_ERROR(generator_.Add({.point = points_[point],
                                           .point_index = static_cast<int>(point),
                                           .query = static_cast<int64_t>(queries_.size()),
                                           .level = scores.level,
                                           .predicted_iou = scores.predicted_iou,
                                           .logits = result.mask_logits(mask)}));
    if (!queries || generator_.held() == held) continue;
    const float* query = result.query_embeddings.data() + mask * result.embedding_dim;
    queries_.emplace_back(query, query + result.embedding_dim);
  }
  return absl::OkStatus();
}

void GenerateCall::Select() {
  const absl::Time start = Now();
  absl::Status status = SelectMasks();
  *summary_.timings.postprocess += Now() - start;
  if (!status.ok()) {
    // The selection knows that it was to stop; the limits know why.
    if (absl::Status why = Alive(); !why.ok()) status = std::move(why);
    return Finish(std::move(status));
  }
  SubmitSteps();
}

absl::Status GenerateCall::SelectMasks() {
  const auto cancelled = [this] { return !limits().Check(Now()).ok(); };
  SEMSAM_ASSIGN_OR_RETURN(records_, generator_.Finish(cancelled));
  std::stable_sort(records_.begin(), records_.end(), [](const MaskRecord& a, const MaskRecord& b) {
    return a.predicted_iou > b.predicted_iou;
  });
  std::vector<const RunLengths*> masks;
  for (const MaskRecord& record : records_) masks.push_back(&record.mask);
  SEMSAM_ASSIGN_OR_RETURN(summary_.parents,
                          FindParents(masks, task_.options.min_containment, cancelled));
  summary_.masks_filtered =
      static_cast<int>(generator_.judged()) - static_cast<int>(records_.size());
  return absl::OkStatus();
}

absl::Status GenerateCall::Step() {
  const absl::Time start = Now();
  SEMSAM_ASSIGN_OR_RETURN(SegmentMask mask, MakeMask(records_[next_record_++]));
  *summary_.timings.postprocess += Now() - start;
  parts().metrics.RecordStage(Stage::kMaskEncode, Now() - start);
  parts().metrics.RecordMaskBytes(mask.data.size_bytes());
  ++summary_.masks_sent;
  CountSent(mask.size_bytes());
  sink_.on_mask(std::move(mask));
  return absl::OkStatus();
}

absl::StatusOr<SegmentMask> GenerateCall::MakeMask(const MaskRecord& record) {
  SEMSAM_ASSIGN_OR_RETURN(MaskData data,
                          parts().stages.Encode(record.mask, task_.options.encoding));
  SegmentMask mask{.prompt_index = record.point_index,
                   .level = record.level,
                   .predicted_iou = record.predicted_iou,
                   .stability = record.stability_score,
                   .area = record.area,
                   .box = BoundingBox(record.mask),
                   .size = record.mask.size,
                   .data = std::move(data)};
  if (!queries_.empty()) {
    SEMSAM_RETURN_IF_ERROR(LabelAndRetain(task_.labels, task_.session_id, queries_[record.query],
                                          summary_.timings, mask));
  }
  return mask;
}

void GenerateCall::OnEnd(absl::Status status) {
  summary_.image_size = task_.image.geometry.original;
  image_ = {};
  records_.clear();
  queries_.clear();
  generator_ = MaskGenerator(GeneratorOptions(task_.options), task_.image.geometry);
  task_.labels = {};
  task_.memory.reset();
  LeaveGate();
  GenerateSink sink = std::move(sink_);
  if (status.ok()) {
    sink.on_done(summary_);
  } else {
    sink.on_done(std::move(status));
  }
}

}  // namespace semsam
