#include "client/convert.h"

#include <cstdint>
#include <limits>
#include <string>
#include <tuple>
#include <utility>
#include <variant>

#include "absl/strings/str_cat.h"
#include "client/status_details.h"
#include "client/utf8.h"

namespace semsam::client {
namespace {

constexpr int64_t kMaxDurationSeconds = 315'576'000'000;  // of google.protobuf.Duration

bool FitsInt(uint32_t value) { return value <= std::numeric_limits<int>::max(); }

absl::Status TooLarge(const char* what) {
  return absl::DataLossError(absl::StrCat("the server's answer has an impossible ", what));
}

void SetPrompt(const Prompt& prompt, v1::Prompt& message) {
  if (const Click* click = std::get_if<Click>(&prompt.shape)) {
    message.mutable_click()->set_x(click->x);
    message.mutable_click()->set_y(click->y);
  } else if (const Box* box = std::get_if<Box>(&prompt.shape)) {
    message.mutable_box()->set_x0(box->x0);
    message.mutable_box()->set_y0(box->y0);
    message.mutable_box()->set_x1(box->x1);
    message.mutable_box()->set_y1(box->y1);
  }
  message.set_frame(prompt.frame == CoordinateFrame::kNormalized ? v1::COORDINATE_FRAME_NORMALIZED
                                                                 : v1::COORDINATE_FRAME_PIXELS);
  message.set_tag(prompt.tag);
}

template <typename Request>
absl::Status SetPromptsAndOptions(const std::vector<Prompt>& prompts, const PromptOptions& options,
                                  Request& message) {
  ToProto(prompts, *message.mutable_prompts());
  return ToProto(options, *message.mutable_options());
}

absl::Duration FromProto(const google::protobuf::Duration& duration) {
  return absl::Seconds(duration.seconds()) + absl::Nanoseconds(duration.nanos());
}

absl::Time FromProto(const google::protobuf::Timestamp& time) {
  return absl::FromUnixSeconds(time.seconds()) + absl::Nanoseconds(time.nanos());
}

// The encoding and the encoded pixels.
absl::Status SetData(const v1::Mask& message, Mask& mask) {
  switch (message.data_case()) {
    case v1::Mask::kCocoRle:
      mask.encoding = MaskEncoding::kCocoRle;
      mask.data = message.coco_rle();
      return absl::OkStatus();
    case v1::Mask::kPng:
      mask.encoding = MaskEncoding::kPng;
      mask.data = message.png();
      return absl::OkStatus();
    case v1::Mask::kPackedBits:
      mask.encoding = MaskEncoding::kPackedBits;
      mask.data = message.packed_bits();
      return absl::OkStatus();
    case v1::Mask::kPolygons:
      mask.encoding = MaskEncoding::kPolygons;
      for (const v1::Polygon& polygon : message.polygons().polygons()) {
        mask.polygons.push_back(
            {.xy = {polygon.xy().begin(), polygon.xy().end()}, .hole = polygon.hole()});
      }
      return absl::OkStatus();
    case v1::Mask::kLogits:
      mask.encoding = MaskEncoding::kLogits;
      mask.data = message.logits().half_values();
      mask.cell_width = message.logits().cell_width();
      mask.cell_height = message.logits().cell_height();
      return absl::OkStatus();
    case v1::Mask::DATA_NOT_SET:
      break;
  }
  return absl::DataLossError("the server sent a mask without data, or in an unknown encoding");
}

v1::TextMode OnWire(TextMode mode) {
  switch (mode) {
    case TextMode::kModel:
      return v1::TEXT_MODE_UNSPECIFIED;
    case TextMode::kEnsemble:
      return v1::TEXT_MODE_ENSEMBLE;
    case TextMode::kPlain:
      break;
  }
  return v1::TEXT_MODE_PLAIN;
}

}  // namespace

void ToProto(const std::vector<Prompt>& prompts,
             google::protobuf::RepeatedPtrField<v1::Prompt>& message) {
  for (const Prompt& prompt : prompts) SetPrompt(prompt, *message.Add());
}

absl::Status ToProto(const PromptOptions& options, v1::SegmentOptions& message) {
  absl::Status levels = SetLevels(options.levels, *message.mutable_levels());
  if (!levels.ok()) return levels;
  if (options.min_region_area_px < 0) {
    return InvalidField("options.min_region_area_px", "must not be negative");
  }
  message.set_min_region_area_px(options.min_region_area_px);
  if (options.min_predicted_iou) message.set_min_predicted_iou(*options.min_predicted_iou);
  if (options.min_stability) message.set_min_stability(*options.min_stability);
  if (options.max_duplicate_iou) message.set_max_duplicate_iou(*options.max_duplicate_iou);
  message.set_encoding(ToProto(options.encoding));
  message.set_resolution(ToProto(options.resolution));
  message.set_joint_attention(options.joint_attention);
  return absl::OkStatus();
}

absl::Status ToProto(const std::vector<Prompt>& prompts, const PromptOptions& options,
                     v1::SegmentRequest& message) {
  return SetPromptsAndOptions(prompts, options, message);
}

absl::Status ToProto(const std::vector<Prompt>& prompts, const PromptOptions& options,
                     v1::SegmentOnceRequest& message) {
  return SetPromptsAndOptions(prompts, options, message);
}

absl::Status ToProto(const LabelOptions& labels, v1::SegmentRequest& message) {
  if (labels.empty()) return absl::OkStatus();
  return ToProto(labels, "labels", *message.mutable_labels());
}

absl::Status ToProto(const LabelOptions& labels, v1::SegmentOnceRequest& message) {
  if (labels.empty()) return absl::OkStatus();
  return ToProto(labels, "labels", *message.mutable_labels());
}

absl::Status ToProto(const LabelOptions& labels, const std::string& field,
                     v1::LabelOptions& message) {
  if (labels.max_labels < 0) {
    return InvalidField(absl::StrCat(field, ".max_labels"), "must not be negative");
  }
  message.set_max_labels(labels.max_labels);
  if (labels.min_score) message.set_min_score(*labels.min_score);
  for (const auto& [list, name, target] :
       {std::tuple{&labels.objects, ".objects", &v1::LabelOptions::mutable_objects},
        std::tuple{&labels.parts, ".parts", &v1::LabelOptions::mutable_parts}}) {
    if (list->empty()) continue;
    absl::Status status = ToProto(*list, absl::StrCat(field, name), *(message.*target)());
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::Status ToProto(const WordList& list, const std::string& field, v1::WordList& message) {
  message.set_mode(OnWire(list.mode));
  for (size_t i = 0; i < list.words.size(); ++i) {
    // Beyond judging: protobuf carries no other bytes.
    if (!IsUtf8(list.words[i])) {
      return InvalidField(absl::StrCat(field, ".words[", i, "]"), "is not UTF-8");
    }
    message.add_words(list.words[i]);
  }
  message.set_model_vocabulary(list.model_vocabulary);
  return absl::OkStatus();
}

absl::Status SetLevels(const std::vector<int>& levels,
                       google::protobuf::RepeatedField<uint32_t>& message) {
  for (size_t i = 0; i < levels.size(); ++i) {
    if (levels[i] < 1) {
      return InvalidField(absl::StrCat("options.levels[", i, "]"), "levels start at 1");
    }
    message.Add(levels[i]);
  }
  return absl::OkStatus();
}

v1::MaskEncoding ToProto(MaskEncoding encoding) {
  switch (encoding) {
    case MaskEncoding::kCocoRle:
      return v1::MASK_ENCODING_COCO_RLE;
    case MaskEncoding::kPng:
      return v1::MASK_ENCODING_PNG;
    case MaskEncoding::kPackedBits:
      return v1::MASK_ENCODING_PACKED_BITS;
    case MaskEncoding::kPolygons:
      return v1::MASK_ENCODING_POLYGONS;
    case MaskEncoding::kLogits:
      return v1::MASK_ENCODING_LOGITS;
  }
  return v1::MASK_ENCODING_UNSPECIFIED;
}

v1::MaskResolution ToProto(MaskResolution resolution) {
  return resolution == MaskResolution::kNetwork ? v1::MASK_RESOLUTION_NETWORK
                                                : v1::MASK_RESOLUTION_ORIGINAL;
}

absl::StatusOr<google::protobuf::Duration> ToProto(absl::Duration duration,
                                                   const std::string& field) {
  if (duration < absl::ZeroDuration() || duration > absl::Seconds(kMaxDurationSeconds)) {
    return InvalidField(field, "must be a finite time, not negative");
  }
  google::protobuf::Duration message;
  message.set_seconds(absl::IDivDuration(duration, absl::Seconds(1), &duration));
  message.set_nanos(static_cast<int32_t>(absl::ToInt64Nanoseconds(duration)));
  return message;
}

TenantQuota FromProto(const v1::TenantQuota& message) {
  TenantQuota quota{.tenant = message.tenant()};
  if (message.has_max_sessions()) quota.max_sessions = message.max_sessions();
  if (message.has_max_retained_image_bytes()) {
    quota.max_retained_image_bytes = message.max_retained_image_bytes();
  }
  if (message.has_max_requests()) quota.max_requests = message.max_requests();
  if (message.has_max_queries()) quota.max_queries = message.max_queries();
  if (message.has_max_background_requests()) {
    quota.max_background_requests = message.max_background_requests();
  }
  if (message.has_max_upload_bytes()) quota.max_upload_bytes = message.max_upload_bytes();
  return quota;
}

ServerInfo FromProto(const v1::GetServerInfoResponse& message) {
  const v1::ModelInfo& model = message.model();
  const v1::Capabilities& can = model.capabilities();
  const v1::Limits& limits = message.limits();
  ServerInfo info{.server_version = message.server_version(),
                  .model = {.name = model.name(),
                            .digest = model.digest(),
                            .capabilities = {.click_prompts = can.click_prompts(),
                                             .box_prompts = can.box_prompts(),
                                             .object_labels = can.object_labels(),
                                             .part_labels = can.part_labels(),
                                             .vocabulary = can.vocabulary()},
                            .device = model.device(),
                            .trained = model.trained(),
                            .short_edge_px = static_cast<int>(model.short_edge_px())},
                  .limits = {.max_image_bytes = limits.max_image_bytes(),
                             .max_image_pixels = limits.max_image_pixels(),
                             .max_chunk_bytes = limits.max_chunk_bytes(),
                             .max_prompts_per_request = limits.max_prompts_per_request(),
                             .max_images_per_session = limits.max_images_per_session(),
                             .max_sessions = limits.max_sessions(),
                             .max_session_ttl = FromProto(limits.max_session_ttl()),
                             .max_session_age = FromProto(limits.max_session_age()),
                             .max_queued_requests = limits.max_queued_requests(),
                             .default_deadline = FromProto(limits.default_deadline()),
                             .max_words = limits.max_words(),
                             .max_word_characters = limits.max_word_characters(),
                             .max_points_per_side = limits.max_points_per_side(),
                             .max_labelled_masks = limits.max_labelled_masks(),
                             .max_open_clicks = limits.max_open_clicks(),
                             .max_interact_age = FromProto(limits.max_interact_age()),
                             .request_id_ttl = FromProto(limits.request_id_ttl()),
                             .max_message_bytes = limits.max_message_bytes(),
                             .max_deadline = FromProto(limits.max_deadline()),
                             .default_session_ttl = FromProto(limits.default_session_ttl()),
                             .max_upload_pause = FromProto(limits.max_upload_pause()),
                             .min_ping_interval = FromProto(limits.min_ping_interval())},
                  .quota = FromProto(message.quota())};
  for (const v1::GranularityLevel& level : model.levels()) {
    info.model.levels.push_back({.level = static_cast<int>(level.level()), .name = level.name()});
  }
  const v1::ModelVocabulary& words = model.vocabulary();
  info.model.object_words.assign(words.objects().begin(), words.objects().end());
  info.model.part_words.assign(words.parts().begin(), words.parts().end());
  return info;
}

absl::StatusOr<Image> FromProto(const v1::Image& message) {
  const auto size = FromProto(message.size());
  if (!size.ok()) return size.status();
  return Image{.image_id = message.image_id(), .size = *size, .sha256 = message.sha256()};
}

absl::StatusOr<Session> FromProto(const v1::Session& message) {
  Session session{.session_id = message.session_id(),
                  .create_time = FromProto(message.create_time()),
                  .expire_time = FromProto(message.expire_time()),
                  .ttl = FromProto(message.ttl())};
  for (const v1::Image& image : message.images()) {
    auto converted = FromProto(image);
    if (!converted.ok()) return converted.status();
    session.images.push_back(*std::move(converted));
  }
  return session;
}

StageTimings FromProto(const v1::StageTimings& message) {
  StageTimings timings;
  if (message.has_image_decode()) timings.image_decode = FromProto(message.image_decode());
  if (message.has_preprocess()) timings.preprocess = FromProto(message.preprocess());
  if (message.has_encode_queue()) timings.encode_queue = FromProto(message.encode_queue());
  if (message.has_encode()) timings.encode = FromProto(message.encode());
  if (message.has_decode_queue()) timings.decode_queue = FromProto(message.decode_queue());
  if (message.has_decode()) timings.decode = FromProto(message.decode());
  if (message.has_postprocess()) timings.postprocess = FromProto(message.postprocess());
  if (message.has_words()) timings.words = FromProto(message.words());
  return timings;
}

absl::StatusOr<int> ToInt(uint32_t value, const char* what) {
  if (!FitsInt(value)) return TooLarge(what);
  return static_cast<int>(value);
}

absl::StatusOr<ImageSize> FromProto(const v1::ImageSize& message) {
  if (!FitsInt(message.height()) || !FitsInt(message.width())) return TooLarge("image size");
  return ImageSize{.height = static_cast<int>(message.height()),
                   .width = static_cast<int>(message.width())};
}

absl::StatusOr<PixelBox> FromProto(const v1::PixelBox& message) {
  if (!FitsInt(message.x()) || !FitsInt(message.y()) || !FitsInt(message.width()) ||
      !FitsInt(message.height())) {
    return TooLarge("mask box");
  }
  return PixelBox{.x = static_cast<int>(message.x()),
                  .y = static_cast<int>(message.y()),
                  .width = static_cast<int>(message.width()),
                  .height = static_cast<int>(message.height())};
}

int WordsOf(const v1::WordList& list) {
  // The request does not say how many the model has.
  return list.model_vocabulary() ? std::numeric_limits<int>::max() : list.words_size();
}

absl::StatusOr<std::vector<Label>> FromProto(
    const google::protobuf::RepeatedPtrField<v1::Label>& labels, int words) {
  std::vector<Label> result;
  for (const v1::Label& label : labels) {
    if (label.word_index() >= static_cast<uint32_t>(words)) {
      return absl::DataLossError("the server sent a label for a word that was not asked");
    }
    result.push_back({.name = label.name(),
                      .score = label.score(),
                      .logit = label.logit(),
                      .word_index = static_cast<int>(label.word_index())});
  }
  return result;
}

absl::StatusOr<Mask> FromProto(const v1::Mask& message, const v1::LabelOptions& labels) {
  const auto size = FromProto(message.size());
  if (!size.ok()) return size.status();
  const auto box = FromProto(message.box());
  if (!box.ok()) return box.status();
  if (!FitsInt(message.prompt_index()) || !FitsInt(message.level())) return TooLarge("mask index");
  auto objects = FromProto(message.object_labels(), WordsOf(labels.objects()));
  if (!objects.ok()) return objects.status();
  auto parts = FromProto(message.part_labels(), WordsOf(labels.parts()));
  if (!parts.ok()) return parts.status();
  Mask mask{.prompt_index = static_cast<int>(message.prompt_index()),
            .prompt_tag = message.prompt_tag(),
            .level = static_cast<int>(message.level()),
            .predicted_iou = message.predicted_iou(),
            .stability = message.stability(),
            .area_px = static_cast<int64_t>(message.area()),
            .box = *box,
            .size = *size,
            .object_labels = *std::move(objects),
            .part_labels = *std::move(parts),
            .mask_id = message.mask_id()};
  if (absl::Status status = SetData(message, mask); !status.ok()) return status;
  return mask;
}

absl::StatusOr<Progress> FromProto(const v1::Progress& message) {
  if (!FitsInt(message.total()) || message.done() > message.total()) {
    return TooLarge("progress");
  }
  Progress progress{.done = static_cast<int>(message.done()),
                    .total = static_cast<int>(message.total())};
  if (message.stage() == v1::Progress::STAGE_WORDS) progress.stage = Progress::Stage::kWords;
  if (message.stage() == v1::Progress::STAGE_POINTS) progress.stage = Progress::Stage::kPoints;
  return progress;
}

absl::StatusOr<SegmentSummary> FromProto(const v1::SegmentSummary& message) {
  const auto size = FromProto(message.image_size());
  if (!size.ok()) return size.status();
  if (!FitsInt(message.masks_sent()) || !FitsInt(message.masks_filtered())) {
    return TooLarge("mask count");
  }
  return SegmentSummary{.masks_sent = static_cast<int>(message.masks_sent()),
                        .masks_filtered = static_cast<int>(message.masks_filtered()),
                        .timings = FromProto(message.timings()),
                        .image_size = *size};
}

}  // namespace semsam::client
