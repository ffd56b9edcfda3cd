#include "server/rpc/convert.h"

#include <optional>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "model/base/errors.h"
#include "model/base/status_macros.h"
#include "server/rpc/convert_words.h"

namespace semsam {
namespace {

void SetDuration(absl::Duration duration, google::protobuf::Duration& out) {
  const int64_t nanoseconds = absl::ToInt64Nanoseconds(duration);
  out.set_seconds(nanoseconds / 1000000000);
  out.set_nanos(static_cast<int32_t>(nanoseconds % 1000000000));
}

void SetTimestamp(absl::Time time, google::protobuf::Timestamp& out) {
  const int64_t nanoseconds = absl::ToUnixNanos(time);
  out.set_seconds(nanoseconds / 1000000000);
  out.set_nanos(static_cast<int32_t>(nanoseconds % 1000000000));
}

absl::StatusOr<UserPrompt> PromptFromProto(const v1::Prompt& prompt) {
  UserPrompt out;
  out.tag = prompt.tag();
  switch (prompt.frame()) {
    case v1::COORDINATE_FRAME_UNSPECIFIED:
    case v1::COORDINATE_FRAME_PIXELS:
      out.frame = CoordinateFrame::kPixels;
      break;
    case v1::COORDINATE_FRAME_NORMALIZED:
      out.frame = CoordinateFrame::kNormalized;
      break;
    default:
      return InvalidField("frame", "is unknown");
  }
  switch (prompt.shape_case()) {
    case v1::Prompt::kClick:
      out.shape = UserClick{prompt.click().x(), prompt.click().y()};
      break;
    case v1::Prompt::kBox:
      out.shape =
          UserBox{prompt.box().x0(), prompt.box().y0(), prompt.box().x1(), prompt.box().y1()};
      break;
    case v1::Prompt::SHAPE_NOT_SET:
      break;  // the engine says so
  }
  return out;
}

// What SegmentRequest and SegmentOnceRequest have in common.
template <typename Request>
absl::StatusOr<SegmentRequest> PromptsAndOptionsFromProto(const Request& request) {
  SegmentRequest out;
  SEMSAM_ASSIGN_OR_RETURN(out.prompts, PromptsFromProto(request.prompts()));
  SEMSAM_ASSIGN_OR_RETURN(out.options, OptionsFromProto(request.options()));
  SEMSAM_ASSIGN_OR_RETURN(out.labels, FromProto(request.labels()));
  return out;
}

// What the levels mean in the published training data; other models have no names.
const char* LevelName(int level, int levels) {
  constexpr const char* kNames[] = {"semantic", "semantic", "instance", "part", "part", "part"};
  return levels == 6 ? kNames[level - 1] : "";
}

void SetModel(const ModelInfo& model, v1::ModelInfo& out) {
  const ModelConfig& config = model.config;
  out.set_name(config.name);
  out.set_digest(model.digest);
  out.set_device(model.device);
  out.set_trained(model.trained);
  out.set_short_edge_px(static_cast<uint32_t>(config.short_edge_px));
  for (int level = 1; level <= config.levels(); ++level) {
    v1::GranularityLevel& named = *out.add_levels();
    named.set_level(static_cast<uint32_t>(level));
    named.set_name(LevelName(level, config.levels()));
  }
  v1::ModelVocabulary& vocabulary = *out.mutable_vocabulary();
  for (const std::string& word : model.vocabulary.objects) vocabulary.add_objects(word);
  for (const std::string& word : model.vocabulary.parts) vocabulary.add_parts(word);
  v1::Capabilities& capabilities = *out.mutable_capabilities();
  capabilities.set_click_prompts(config.capabilities.click_prompts);
  capabilities.set_box_prompts(config.capabilities.box_prompts);
  capabilities.set_object_labels(config.capabilities.object_labels);
  capabilities.set_part_labels(config.capabilities.part_labels);
  capabilities.set_vocabulary(config.capabilities.vocabulary);
}

void SetLimits(const EngineOptions& options, v1::Limits& out) {
  out.set_max_image_bytes(static_cast<uint64_t>(options.image.max_bytes));
  out.set_max_image_pixels(static_cast<uint64_t>(options.image.max_pixels));
  out.set_max_chunk_bytes(static_cast<uint32_t>(options.max_chunk_bytes));
  out.set_max_prompts_per_request(static_cast<uint32_t>(options.prompts.max_prompts));
  out.set_max_images_per_session(static_cast<uint32_t>(options.sessions.max_images_per_session));
  out.set_max_sessions(static_cast<uint32_t>(options.sessions.max_sessions));
  SetDuration(options.sessions.max_ttl, *out.mutable_max_session_ttl());
  SetDuration(options.sessions.max_age, *out.mutable_max_session_age());
  out.set_max_queued_requests(static_cast<uint32_t>(options.max_segment_calls));
  SetDuration(options.default_deadline, *out.mutable_default_deadline());
  out.set_max_words(static_cast<uint32_t>(options.words.max_words));
  out.set_max_word_characters(static_cast<uint32_t>(options.words.max_characters));
  out.set_max_points_per_side(static_cast<uint32_t>(options.generate.max_points_per_side));
  out.set_max_labelled_masks(static_cast<uint32_t>(options.sessions.max_labelled_masks));
  SetDuration(options.requests.ttl, *out.mutable_request_id_ttl());
  SetDuration(options.max_deadline, *out.mutable_max_deadline());
  SetDuration(options.sessions.default_ttl, *out.mutable_default_session_ttl());
  out.set_max_open_clicks(static_cast<uint32_t>(options.interact.max_open_clicks));
  SetDuration(options.interact.max_age, *out.mutable_max_interact_age());
}

}  // namespace

void SetEdgeLimits(int64_t max_message_bytes, absl::Duration max_upload_pause,
                   absl::Duration min_ping_interval, v1::Limits& out) {
  out.set_max_message_bytes(static_cast<uint64_t>(max_message_bytes));
  SetDuration(max_upload_pause, *out.mutable_max_upload_pause());
  SetDuration(min_ping_interval, *out.mutable_min_ping_interval());
}

absl::StatusOr<std::vector<UserPrompt>> PromptsFromProto(
    const google::protobuf::RepeatedPtrField<v1::Prompt>& prompts) {
  std::vector<UserPrompt> out;
  out.reserve(prompts.size());
  for (int i = 0; i < prompts.size(); ++i) {
    absl::StatusOr<UserPrompt> prompt = PromptFromProto(prompts[i]);
    if (!prompt.ok()) {
      return PrependField(std::move(prompt).status(), absl::StrCat("prompts[", i, "]"));
    }
    out.push_back(*std::move(prompt));
  }
  return out;
}

absl::StatusOr<SegmentOptions> OptionsFromProto(const v1::SegmentOptions& options) {
  SegmentOptions out;
  out.levels.assign(options.levels().begin(), options.levels().end());
  if (options.has_min_predicted_iou()) out.min_predicted_iou = options.min_predicted_iou();
  if (options.has_min_stability()) out.min_stability = options.min_stability();
  if (options.has_max_duplicate_iou()) out.max_duplicate_iou = options.max_duplicate_iou();
  out.min_region_area_px = options.min_region_area_px();
  SEMSAM_ASSIGN_OR_RETURN(out.encoding, EncodingFromProto(options.encoding()));
  SEMSAM_ASSIGN_OR_RETURN(out.resolution, ResolutionFromProto(options.resolution()));
  out.joint_attention = options.joint_attention();
  return out;
}

void SetSize(ImageSize size, v1::ImageSize& out) {
  out.set_height(static_cast<uint32_t>(size.height));
  out.set_width(static_cast<uint32_t>(size.width));
}

void SetBox(const PixelBox& box, v1::PixelBox& out) {
  out.set_x(static_cast<uint32_t>(box.x));
  out.set_y(static_cast<uint32_t>(box.y));
  out.set_width(static_cast<uint32_t>(box.width));
  out.set_height(static_cast<uint32_t>(box.height));
}

void SetTimings(const StageTimings& timings, v1::StageTimings& out) {
  if (timings.image_decode) SetDuration(*timings.image_decode, *out.mutable_image_decode());
  if (timings.preprocess) SetDuration(*timings.preprocess, *out.mutable_preprocess());
  if (timings.encode_queue) SetDuration(*timings.encode_queue, *out.mutable_encode_queue());
  if (timings.encode) SetDuration(*timings.encode, *out.mutable_encode());
  if (timings.decode_queue) SetDuration(*timings.decode_queue, *out.mutable_decode_queue());
  if (timings.decode) SetDuration(*timings.decode, *out.mutable_decode());
  if (timings.postprocess) SetDuration(*timings.postprocess, *out.mutable_postprocess());
  if (timings.words) SetDuration(*timings.words, *out.mutable_words());
}

absl::StatusOr<MaskEncoding> EncodingFromProto(v1::MaskEncoding encoding) {
  switch (encoding) {
    case v1::MASK_ENCODING_UNSPECIFIED:
    case v1::MASK_ENCODING_COCO_RLE:
      return MaskEncoding::kCocoRle;
    case v1::MASK_ENCODING_PNG:
      return MaskEncoding::kPng;
    case v1::MASK_ENCODING_PACKED_BITS:
      return MaskEncoding::kPackedBits;
    case v1::MASK_ENCODING_POLYGONS:
      return MaskEncoding::kPolygons;
    case v1::MASK_ENCODING_LOGITS:
      return MaskEncoding::kLogits;
    default:
      return InvalidField("options.encoding", "is unknown");
  }
}

absl::StatusOr<MaskResolution> ResolutionFromProto(v1::MaskResolution resolution) {
  switch (resolution) {
    case v1::MASK_RESOLUTION_UNSPECIFIED:
    case v1::MASK_RESOLUTION_ORIGINAL:
      return MaskResolution::kOriginal;
    case v1::MASK_RESOLUTION_NETWORK:
      return MaskResolution::kNetwork;
    default:
      return InvalidField("options.resolution", "is unknown");
  }
}

absl::Duration FromProto(const google::protobuf::Duration& duration) {
  return absl::Seconds(duration.seconds()) + absl::Nanoseconds(duration.nanos());
}

absl::StatusOr<SegmentRequest> FromProto(const v1::SegmentRequest& request) {
  SEMSAM_ASSIGN_OR_RETURN(SegmentRequest out, PromptsAndOptionsFromProto(request));
  out.image = ImageReference{request.session_id(), request.image_id()};
  return out;
}

absl::StatusOr<SegmentRequest> FromProto(v1::SegmentOnceRequest&& request) {
  SEMSAM_ASSIGN_OR_RETURN(SegmentRequest out, PromptsAndOptionsFromProto(request));
  switch (request.image_case()) {
    case v1::SegmentOnceRequest::kReference:
      out.image = ImageReference{request.reference().session_id(), request.reference().image_id()};
      return out;
    case v1::SegmentOnceRequest::kImageBytes:
      out.image = std::move(*request.mutable_image_bytes());
      return out;
    case v1::SegmentOnceRequest::IMAGE_NOT_SET:
      break;
  }
  return InvalidField("image", "needs a reference or the bytes of an image");
}

UploadHeader FromProto(const v1::UploadImageHeader& header) {
  return {.session_id = header.session_id(),
          .total_bytes = header.total_bytes(),
          .sha256 = header.sha256()};
}

v1::GetServerInfoResponse ServerInfoToProto(std::string_view version, const ModelInfo& model,
                                            const EngineOptions& options) {
  v1::GetServerInfoResponse out;
  out.set_server_version(std::string(version));
  SetModel(model, *out.mutable_model());
  SetLimits(options, *out.mutable_limits());
  return out;
}

v1::TenantQuota QuotaToProto(const TenantId& tenant, const TenantQuota& quota) {
  v1::TenantQuota out;
  out.set_tenant(tenant.name);
  const auto bounded = [](int64_t value) { return value != kUnboundedQuota; };
  if (bounded(quota.max_sessions)) out.set_max_sessions(quota.max_sessions);
  if (bounded(quota.max_retained_bytes)) {
    out.set_max_retained_image_bytes(quota.max_retained_bytes);
  }
  if (bounded(quota.max_upload_bytes)) out.set_max_upload_bytes(quota.max_upload_bytes);
  if (bounded(quota.max_calls)) out.set_max_requests(quota.max_calls);
  if (bounded(quota.max_queries)) out.set_max_queries(quota.max_queries);
  if (bounded(quota.max_background_calls)) {
    out.set_max_background_requests(quota.max_background_calls);
  }
  return out;
}

v1::Image ToProto(const StoredImage& image) {
  v1::Image out;
  out.set_image_id(image.image_id);
  out.set_sha256(image.sha256);
  SetSize(image.geometry.original, *out.mutable_size());
  return out;
}

v1::Session ToProto(const SessionInfo& session) {
  v1::Session out;
  out.set_session_id(session.session_id);
  SetTimestamp(session.create_time, *out.mutable_create_time());
  SetTimestamp(session.expire_time, *out.mutable_expire_time());
  SetDuration(session.ttl, *out.mutable_ttl());
  for (const StoredImage& image : session.images) *out.add_images() = ToProto(image);
  return out;
}

v1::Mask ToProto(SegmentMask mask) {
  v1::Mask out;
  out.set_prompt_index(static_cast<uint32_t>(mask.prompt_index));
  out.set_prompt_tag(std::move(mask.prompt_tag));
  out.set_level(static_cast<uint32_t>(mask.level));
  out.set_predicted_iou(mask.predicted_iou);
  out.set_stability(mask.stability);
  out.set_area(static_cast<uint64_t>(mask.area));
  SetBox(mask.box, *out.mutable_box());
  SetSize(mask.size, *out.mutable_size());
  switch (mask.data.encoding) {
    case MaskEncoding::kCocoRle:
      out.set_coco_rle(std::move(mask.data.bytes));
      break;
    case MaskEncoding::kPng:
      out.set_png(std::move(mask.data.bytes));
      break;
    case MaskEncoding::kPackedBits:
      out.set_packed_bits(std::move(mask.data.bytes));
      break;
    case MaskEncoding::kPolygons:
      out.mutable_polygons();  // present, even if the mask is empty
      for (const MaskPolygon& polygon : mask.data.polygons) {
        v1::Polygon& added = *out.mutable_polygons()->add_polygons();
        added.mutable_xy()->Add(polygon.xy.begin(), polygon.xy.end());
        added.set_hole(polygon.hole);
      }
      break;
    case MaskEncoding::kLogits: {
      v1::MaskLogits& logits = *out.mutable_logits();
      logits.set_half_values(std::move(mask.data.logits.halves));
      logits.set_cell_width(mask.data.logits.cell_width);
      logits.set_cell_height(mask.data.logits.cell_height);
      break;
    }
  }
  for (MaskLabel& label : mask.labels.objects) *out.add_object_labels() = ToProto(std::move(label));
  for (MaskLabel& label : mask.labels.parts) *out.add_part_labels() = ToProto(std::move(label));
  out.set_mask_id(mask.mask_id);
  return out;
}

v1::SegmentSummary ToProto(const SegmentSummary& summary) {
  v1::SegmentSummary out;
  out.set_masks_sent(static_cast<uint32_t>(summary.masks_sent));
  out.set_masks_filtered(static_cast<uint32_t>(summary.masks_filtered));
  SetTimings(summary.timings, *out.mutable_timings());
  SetSize(summary.image_size, *out.mutable_image_size());
  return out;
}

}  // namespace semsam
