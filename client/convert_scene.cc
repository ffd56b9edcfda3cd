#include "client/convert_scene.h"

#include <cstdint>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "client/convert.h"
#include "client/status_details.h"

namespace semsam::client {
namespace {

// A count that the wire carries unsigned.
absl::Status CheckCount(int count, const char* field) {
  if (count >= 0) return absl::OkStatus();
  return InvalidField(absl::StrCat("options.", field), "must not be negative");
}

absl::Status SetOptions(const VocabularyOptions& options, v1::VocabularyOptions& message) {
  if (absl::Status s = CheckCount(options.max_instances, "max_instances"); !s.ok()) return s;
  message.set_instances(options.instances);
  message.set_semantic(options.semantic);
  message.set_panoptic(options.panoptic);
  message.set_max_instances(options.max_instances);
  if (options.min_score) message.set_min_score(*options.min_score);
  if (options.max_duplicate_iou) message.set_max_duplicate_iou(*options.max_duplicate_iou);
  if (options.object_threshold) message.set_object_threshold(*options.object_threshold);
  if (options.overlap_threshold) message.set_overlap_threshold(*options.overlap_threshold);
  if (options.temperature) message.set_temperature(*options.temperature);
  message.set_encoding(ToProto(options.encoding));
  message.set_resolution(ToProto(options.resolution));
  return absl::OkStatus();
}

absl::Status SetOptions(const GenerateMasksOptions& options, v1::GenerateMasksOptions& message) {
  for (const auto& [count, field] :
       {std::pair{options.points_per_side, "points_per_side"},
        std::pair{options.points_per_chunk, "points_per_chunk"},
        std::pair{options.min_region_area_px.value_or(0), "min_region_area_px"}}) {
    if (absl::Status status = CheckCount(count, field); !status.ok()) return status;
  }
  absl::Status levels = SetLevels(options.levels, *message.mutable_levels());
  if (!levels.ok()) return levels;
  message.set_points_per_side(options.points_per_side);
  if (options.min_predicted_iou) message.set_min_predicted_iou(*options.min_predicted_iou);
  if (options.min_stability) message.set_min_stability(*options.min_stability);
  if (options.stability_offset) message.set_stability_offset(*options.stability_offset);
  if (options.nms_iou) message.set_nms_iou(*options.nms_iou);
  if (options.min_region_area_px) message.set_min_region_area_px(*options.min_region_area_px);
  message.set_points_per_chunk(options.points_per_chunk);
  message.set_joint_attention(options.joint_attention);
  message.set_encoding(ToProto(options.encoding));
  message.set_resolution(ToProto(options.resolution));
  if (options.min_containment) message.set_min_containment(*options.min_containment);
  return absl::OkStatus();
}

absl::Status UnknownWord() {
  return absl::DataLossError("the server sent a region for a word that was not asked");
}

// Words of the list that a region's word_index counts in.
int ListSize(bool is_part, bool is_thing, const v1::SegmentVocabularyRequest& request) {
  if (is_part) return WordsOf(request.parts());
  return WordsOf(is_thing ? request.things() : request.stuff());
}

absl::StatusOr<PanopticSegment> SegmentFromProto(const v1::PanopticSegment& message,
                                                 const v1::SegmentVocabularyRequest& request) {
  const auto id = ToInt(message.id(), "segment id");
  if (!id.ok()) return id.status();
  const auto box = FromProto(message.box());
  if (!box.ok()) return box.status();
  const int words = ListSize(/*is_part=*/false, message.is_thing(), request);
  if (message.word_index() >= static_cast<uint32_t>(words)) return UnknownWord();
  return PanopticSegment{.id = *id,
                         .word_index = static_cast<int>(message.word_index()),
                         .name = message.name(),
                         .is_thing = message.is_thing(),
                         .score = message.score(),
                         .area_px = static_cast<int64_t>(message.area()),
                         .box = *box};
}

}  // namespace

absl::StatusOr<v1::RefreshLabelsRequest> ToProto(const RefreshLabelsRequest& request) {
  v1::RefreshLabelsRequest message;
  message.set_session_id(request.session_id);
  for (const uint64_t id : request.mask_ids) message.add_mask_ids(id);
  absl::Status status = ToProto(request.labels, "labels", *message.mutable_labels());
  if (!status.ok()) return status;
  return message;
}

absl::StatusOr<v1::SegmentVocabularyRequest> ToProto(const SegmentVocabularyRequest& request) {
  v1::SegmentVocabularyRequest message;
  message.set_session_id(request.session_id);
  message.set_image_id(request.image_id);
  using Message = v1::SegmentVocabularyRequest;
  for (const auto& [list, name, target] :
       {std::tuple{&request.things, "things", &Message::mutable_things},
        std::tuple{&request.stuff, "stuff", &Message::mutable_stuff},
        std::tuple{&request.parts, "parts", &Message::mutable_parts}}) {
    if (list->empty()) continue;
    if (absl::Status s = ToProto(*list, name, *(message.*target)()); !s.ok()) return s;
  }
  absl::Status status = SetOptions(request.options, *message.mutable_options());
  if (!status.ok()) return status;
  return message;
}

absl::StatusOr<v1::GenerateMasksRequest> ToProto(const GenerateMasksRequest& request) {
  v1::GenerateMasksRequest message;
  message.set_session_id(request.session_id);
  message.set_image_id(request.image_id);
  if (!request.labels.empty()) {
    absl::Status status = ToProto(request.labels, "labels", *message.mutable_labels());
    if (!status.ok()) return status;
  }
  absl::Status status = SetOptions(request.options, *message.mutable_options());
  if (!status.ok()) return status;
  return message;
}

absl::StatusOr<RefreshLabelsResult> FromProto(const v1::RefreshLabelsResponse& message,
                                              const v1::RefreshLabelsRequest& request) {
  if (message.masks_size() != request.mask_ids_size()) {
    return absl::DataLossError(absl::StrCat("the server sent labels of ", message.masks_size(),
                                            " masks, ", request.mask_ids_size(), " were asked"));
  }
  RefreshLabelsResult result{.timings = FromProto(message.timings())};
  for (int i = 0; i < message.masks_size(); ++i) {
    const v1::MaskLabels& mask = message.masks(i);
    if (mask.mask_id() != request.mask_ids(i)) {
      return absl::DataLossError("the server sent labels of a mask that was not asked");
    }
    auto objects = FromProto(mask.object_labels(), WordsOf(request.labels().objects()));
    if (!objects.ok()) return objects.status();
    auto parts = FromProto(mask.part_labels(), WordsOf(request.labels().parts()));
    if (!parts.ok()) return parts.status();
    result.masks.push_back({.mask_id = mask.mask_id(),
                            .object_labels = *std::move(objects),
                            .part_labels = *std::move(parts)});
  }
  return result;
}

absl::StatusOr<VocabularySegment> FromProto(const v1::VocabularySegment& message,
                                            const v1::SegmentVocabularyRequest& request) {
  VocabularySegment segment;
  switch (message.kind()) {
    case v1::VocabularySegment::KIND_INSTANCE:
      segment.kind = VocabularySegment::Kind::kInstance;
      break;
    case v1::VocabularySegment::KIND_SEMANTIC:
      segment.kind = VocabularySegment::Kind::kSemantic;
      break;
    case v1::VocabularySegment::KIND_PART:
      segment.kind = VocabularySegment::Kind::kPart;
      break;
    default:
      return absl::DataLossError("the server sent a region of an unknown kind");
  }
  const bool is_part = segment.kind == VocabularySegment::Kind::kPart;
  const int words = ListSize(is_part, message.is_thing(), request);
  if (message.word_index() >= static_cast<uint32_t>(words)) return UnknownWord();
  auto mask = FromProto(message.mask(), v1::LabelOptions());
  if (!mask.ok()) return mask.status();
  segment.word_index = static_cast<int>(message.word_index());
  segment.name = message.name();
  segment.is_thing = message.is_thing();
  segment.score = message.score();
  segment.mask = *std::move(mask);
  return segment;
}

absl::StatusOr<PanopticMap> FromProto(const v1::PanopticMap& message,
                                      const v1::SegmentVocabularyRequest& request) {
  const auto size = FromProto(message.size());
  if (!size.ok()) return size.status();
  PanopticMap map{.png = message.png(), .size = *size};
  for (const v1::PanopticSegment& segment : message.segments()) {
    auto converted = SegmentFromProto(segment, request);
    if (!converted.ok()) return converted.status();
    map.segments.push_back(*std::move(converted));
  }
  return map;
}

absl::StatusOr<std::vector<int>> ParentsFromProto(const v1::GenerateMasksSummary& message,
                                                  const std::vector<int64_t>& areas_px) {
  if (static_cast<size_t>(message.parents_size()) != areas_px.size()) {
    return absl::DataLossError(absl::StrCat("the server sent ", message.parents_size(),
                                            " parents for ", areas_px.size(), " masks"));
  }
  std::vector<int> parents;
  for (size_t i = 0; i < areas_px.size(); ++i) {
    const int64_t parent = message.parents(static_cast<int>(i));
    const bool known = parent >= 0 && parent < static_cast<int64_t>(areas_px.size());
    if (parent != -1 && !(known && areas_px[parent] > areas_px[i])) {
      return absl::DataLossError(
          absl::StrCat("the server sent an impossible parent of mask ", i, ", ", parent));
    }
    parents.push_back(static_cast<int>(parent));
  }
  return parents;
}

}  // namespace semsam::client
