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
#include "server/pipeline/resample_mask.h"
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
          .min_mask_region_area = options.min_region_area_px};
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
  return absl::OkStatus();
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
  return (chunk * levels * (grid + query) + kept_queries) * static_cast<int64_t>(sizeof(float));
}

std::vector<Prompt> PointGrid(int n, const ModelConfig& config) {
  std::vector<Prompt> points;
  points.reserve(static_cast<size_t>(n) * n);
  for (int y = 0; y < n; ++y) {
    for (int x = 0; x < n; ++x) {
      points.push_back({.cx = static_cast<float>((x + 0.5) / n),
                        .cy = static_cast<float>((y + 0.5) / n),
                        .w = config.click_size,
                        .h = config.click_size,
                        .point_or_box = config.click_point_or_box});
    }
  }
  return points;
}

GenerateCall::GenerateCall(const CallParts& parts, CallGate::Ticket ticket, Task task,
                           CallLimits limits, GenerateSink sink)
    : StreamCall(parts, std::move(ticket), std::move(limits), sink.window_bytes, CpuPool::kResults),
      task_(std::move(task)),
      levels_(LevelsToAnswer(task_.options.levels, parts.config())),
      points_(PointGrid(static_cast<int>(task_.options.points_per_side), parts.config())),
      sink_(std::move(sink)),
      generator_(GeneratorOptions(task_.options), task_.image.geometry) {}

void GenerateCall::Start() {
  EncodeWords(task_.labels.tables(), sink_.on_progress, summary_.timings, [this] {
    EncodeImage(task_.image, task_.image_id, ImageEncoder::Thread::kAny, summary_.timings,
                [this](std::shared_ptr<const Embedding> embedding) {
                  summary_.timings.decode_queue = absl::ZeroDuration();
                  summary_.timings.decode = absl::ZeroDuration();
                  summary_.timings.postprocess = absl::ZeroDuration();
                  embedding_ = std::move(embedding);
                  if (points_.size() < kPointsWorthProjecting) return SubmitChunk();
                  Project(embedding_);
                });
  });
}

void GenerateCall::Project(std::shared_ptr<const Embedding> embedding) {
  OnModel([this, embedding = std::move(embedding)](Segmenter& segmenter,
                                                   absl::Duration queued) mutable {
    const absl::Time start = Now();
    absl::StatusOr<std::shared_ptr<const Embedding>> projected = segmenter.ProjectValues(embedding);
    embedding.reset();
    *summary_.timings.decode_queue += queued;
    *summary_.timings.decode += Now() - start;
    // It only saves time: without the memory the chunks run as they are.
    if (!projected.ok() && !absl::IsResourceExhausted(projected.status())) {
      return Finish(std::move(projected).status());
    }
    const int64_t bytes = GenerateBytes(parts().config(), task_.image.geometry, task_.options);
    if (projected.ok() && task_.memory->GrowTo(bytes + (*projected)->size_bytes())) {
      embedding_ = *std::move(projected);
    }
    SubmitChunk();
  });
}

void GenerateCall::SubmitChunk() {
  OnModel([this](Segmenter& segmenter, absl::Duration queued) { DecodeChunk(segmenter, queued); });
}

void GenerateCall::DecodeChunk(Segmenter& segmenter, absl::Duration queued) {
  const size_t count =
      std::min(static_cast<size_t>(task_.options.chunk()), points_.size() - next_point_);
  const auto first = points_.begin() + static_cast<int64_t>(next_point_);
  DecodeRequest request{.embedding = embedding_,
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
  if (next_point_ + count == points_.size()) embedding_.reset();
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
    SEMSAM_RETURN_IF_ERROR(generator_.Add({.point = points_[point],
                                           .level = scores.level,
                                           .predicted_iou = scores.predicted_iou,
                                           .logits = result.mask_logits(mask)}));
    if (queries) KeepQuery(result, mask, point);
  }
  return absl::OkStatus();
}

void GenerateCall::KeepQuery(const DecodeResult& result, size_t mask, size_t point) {
  const GenerateOptions& options = task_.options;
  const MaskScores& scores = result.scores[mask];
  // As the generator judges it: what it drops is not kept.
  if (options.min_predicted_iou > 0 && !(scores.predicted_iou > options.min_predicted_iou)) return;
  const auto row = absl::MakeConstSpan(result.query_embeddings)
                       .subspan(mask * result.embedding_dim, result.embedding_dim);
  queries_[QueryKey(point, scores.level)].assign(row.begin(), row.end());
}

void GenerateCall::Select() {
  const absl::Time start = Now();
  absl::Status status = SelectMasks();
  *summary_.timings.postprocess += Now() - start;
  if (!status.ok()) {
    // The selection knows that it was to stop; the limits know why.
    const absl::Status why = Alive();
    return Finish(why.ok() ? std::move(status) : why);
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
  summary_.masks_filtered = static_cast<int>(points_.size() * levels_.size() - records_.size());
  return absl::OkStatus();
}

absl::Status GenerateCall::Step() {
  const absl::Time start = Now();
  SEMSAM_ASSIGN_OR_RETURN(SegmentMask mask, MakeMask(std::move(records_[next_record_++])));
  *summary_.timings.postprocess += Now() - start;
  parts().metrics.RecordStage(Stage::kMaskEncode, Now() - start);
  parts().metrics.RecordMaskBytes(mask.data.size_bytes());
  ++summary_.masks_sent;
  CountSent(mask.size_bytes());
  sink_.on_mask(std::move(mask));
  return absl::OkStatus();
}

absl::StatusOr<SegmentMask> GenerateCall::MakeMask(MaskRecord record) {
  if (task_.options.resolution == MaskResolution::kOriginal) {
    record.mask = ResampleMask(record.mask, task_.image.geometry.original);
  }
  SEMSAM_ASSIGN_OR_RETURN(MaskData data,
                          parts().stages.Encode(record.mask, task_.options.encoding));
  const size_t point = PointIndex(record.point);
  SegmentMask mask{.prompt_index = static_cast<int>(point),
                   .level = record.level,
                   .predicted_iou = record.predicted_iou,
                   .stability = record.stability_score,
                   .area = MaskArea(record.mask),
                   .box = BoundingBox(record.mask),
                   .size = record.mask.size,
                   .data = std::move(data)};
  const auto query = queries_.find(QueryKey(point, record.level));
  if (query != queries_.end()) {
    SEMSAM_RETURN_IF_ERROR(
        LabelAndRetain(task_.labels, task_.session_id, query->second, summary_.timings, mask));
  }
  return mask;
}

size_t GenerateCall::PointIndex(const Prompt& point) const {
  const double n = static_cast<double>(task_.options.points_per_side);
  // A centre lies half a cell away from where rounding could go wrong.
  return static_cast<size_t>(std::floor(point.cy * n) * n + std::floor(point.cx * n));
}

void GenerateCall::OnEnd(absl::Status status) {
  summary_.image_size = task_.image.geometry.original;
  embedding_.reset();
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
