#include "client/stream_calls.h"

#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "client/convert.h"
#include "client/convert_scene.h"

namespace semsam::client {
namespace {

absl::Status StoppedByCaller() { return absl::CancelledError("stopped by the caller"); }

absl::Status MoreAfterSummary() {
  return absl::DataLossError("the server sent more after its summary");
}

// Whether `announced` of a summary is what arrived.
absl::Status CheckCount(uint32_t announced, int delivered, const char* what) {
  if (static_cast<int64_t>(announced) == delivered) return absl::OkStatus();
  return absl::DataLossError(
      absl::StrCat("the server sent ", announced, " ", what, ", ", delivered, " arrived"));
}

absl::Status HandOn(const v1::Progress& message, const ProgressCallback& on_progress) {
  const auto progress = FromProto(message);
  if (progress.ok() && on_progress) on_progress(*progress);
  return progress.status();
}

// To the callback, or into `kept` where there is none.
template <typename Result, typename Callback>
absl::Status HandOn(Result result, const Callback& callback, std::vector<Result>& kept,
                    int& delivered) {
  ++delivered;
  if (!callback) {
    kept.push_back(std::move(result));
    return absl::OkStatus();
  }
  return callback(std::move(result)) ? absl::OkStatus() : StoppedByCaller();
}

}  // namespace

absl::StatusOr<SegmentSummary> ReadSegmentStream(v1::SegmentationService::StubInterface& stub,
                                                 const v1::SegmentRequest& request,
                                                 const MaskCallback& on_mask,
                                                 const ProgressCallback& on_progress,
                                                 CallContext& context, int& delivered) {
  std::optional<v1::SegmentSummary> summary;
  std::vector<Mask> kept;  // stays empty: there is a callback
  const auto reader = stub.Segment(context.get(), request);
  absl::Status status = ReadStream(*reader, context, [&](v1::SegmentResponse& response) {
    if (summary.has_value()) return MoreAfterSummary();
    if (response.has_summary()) {
      summary = std::move(*response.mutable_summary());
    } else if (response.has_progress()) {
      return HandOn(response.progress(), on_progress);
    } else if (response.has_mask()) {
      auto mask = FromProto(response.mask(), request.labels());
      if (!mask.ok()) return mask.status();
      if (mask->prompt_index >= request.prompts_size()) {
        return absl::DataLossError("the server sent a mask for a prompt that was not asked");
      }
      return HandOn(*std::move(mask), on_mask, kept, delivered);
    }
    return absl::OkStatus();
  });
  if (!status.ok()) return status;
  if (!summary.has_value()) return absl::DataLossError("the stream of masks ended early");
  status = CheckCount(summary->masks_sent(), delivered, "masks");
  if (!status.ok()) return status;
  return FromProto(*summary);
}

absl::StatusOr<SegmentVocabularyResult> ReadVocabularyStream(
    v1::SegmentationService::StubInterface& stub, const v1::SegmentVocabularyRequest& request,
    const SegmentCallback& on_segment, const ProgressCallback& on_progress, CallContext& context,
    int& delivered) {
  std::optional<v1::SegmentVocabularySummary> summary;
  SegmentVocabularyResult result;
  const auto reader = stub.SegmentVocabulary(context.get(), request);
  absl::Status status = ReadStream(*reader, context, [&](v1::SegmentVocabularyResponse& response) {
    if (summary.has_value()) return MoreAfterSummary();
    if (response.has_summary()) {
      summary = std::move(*response.mutable_summary());
    } else if (response.has_progress()) {
      return HandOn(response.progress(), on_progress);
    } else if (response.has_panoptic()) {
      auto map = FromProto(response.panoptic(), request);
      if (!map.ok()) return map.status();
      if (result.panoptic.has_value()) {
        return absl::DataLossError("the server sent two panoptic maps");
      }
      result.panoptic = *std::move(map);
    } else if (response.has_segment()) {
      auto segment = FromProto(response.segment(), request);
      if (!segment.ok()) return segment.status();
      return HandOn(*std::move(segment), on_segment, result.segments, delivered);
    }
    return absl::OkStatus();
  });
  if (!status.ok()) return status;
  if (!summary.has_value()) return absl::DataLossError("the stream of segments ended early");
  status = CheckCount(summary->segments_sent(), delivered, "segments");
  if (!status.ok()) return status;
  if (request.options().panoptic() && !result.panoptic.has_value()) {
    return absl::DataLossError("the server sent no panoptic map");
  }
  const auto size = FromProto(summary->image_size());
  if (!size.ok()) return size.status();
  result.segments_sent = delivered;
  result.timings = FromProto(summary->timings());
  result.image_size = *size;
  return result;
}

absl::StatusOr<GenerateMasksResult> ReadGenerateStream(v1::SegmentationService::StubInterface& stub,
                                                       const v1::GenerateMasksRequest& request,
                                                       const MaskCallback& on_mask,
                                                       const ProgressCallback& on_progress,
                                                       CallContext& context, int& delivered) {
  std::optional<v1::GenerateMasksSummary> summary;
  GenerateMasksResult result;
  std::vector<int64_t> areas_px;
  const auto reader = stub.GenerateMasks(context.get(), request);
  absl::Status status = ReadStream(*reader, context, [&](v1::GenerateMasksResponse& response) {
    if (summary.has_value()) return MoreAfterSummary();
    if (response.has_summary()) {
      summary = std::move(*response.mutable_summary());
    } else if (response.has_progress()) {
      return HandOn(response.progress(), on_progress);
    } else if (response.has_mask()) {
      auto mask = FromProto(response.mask(), request.labels());
      if (!mask.ok()) return mask.status();
      areas_px.push_back(mask->area_px);
      return HandOn(*std::move(mask), on_mask, result.masks, delivered);
    }
    return absl::OkStatus();
  });
  if (!status.ok()) return status;
  if (!summary.has_value()) return absl::DataLossError("the stream of masks ended early");
  status = CheckCount(summary->masks_sent(), delivered, "masks");
  if (!status.ok()) return status;
  auto parents = ParentsFromProto(*summary, areas_px);
  if (!parents.ok()) return parents.status();
  const auto filtered = ToInt(summary->masks_filtered(), "mask count");
  if (!filtered.ok()) return filtered.status();
  const auto size = FromProto(summary->image_size());
  if (!size.ok()) return size.status();
  result.masks_sent = delivered;
  result.masks_filtered = *filtered;
  result.parents = *std::move(parents);
  result.timings = FromProto(summary->timings());
  result.image_size = *size;
  return result;
}

}  // namespace semsam::client
