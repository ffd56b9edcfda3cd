#include "server/rpc/convert_words.h"

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "model/base/errors.h"
#include "model/base/status_macros.h"
#include "server/rpc/convert.h"

namespace semsam {

absl::StatusOr<UserWords> WordsFromProto(const v1::WordList& list, std::string_view field) {
  UserWords out{.words = {list.words().begin(), list.words().end()},
                .model_vocabulary = list.model_vocabulary()};
  switch (list.mode()) {
    case v1::TEXT_MODE_UNSPECIFIED:
      return out;
    case v1::TEXT_MODE_ENSEMBLE:
      out.mode = TextMode::kEnsemble;
      return out;
    case v1::TEXT_MODE_PLAIN:
      out.mode = TextMode::kPlain;
      return out;
    default:
      return InvalidField(absl::StrCat(std::string(field), ".mode"), "is unknown");
  }
}

absl::StatusOr<LabelOptions> FromProto(const v1::LabelOptions& labels) {
  LabelOptions out{.max_labels = labels.max_labels()};
  if (labels.has_objects()) {
    SEMSAM_ASSIGN_OR_RETURN(out.objects, WordsFromProto(labels.objects(), "labels.objects"));
  }
  if (labels.has_parts()) {
    SEMSAM_ASSIGN_OR_RETURN(out.parts, WordsFromProto(labels.parts(), "labels.parts"));
  }
  if (labels.has_min_score()) out.min_score = labels.min_score();
  return out;
}

absl::StatusOr<RefreshLabelsRequest> FromProto(const v1::RefreshLabelsRequest& request) {
  RefreshLabelsRequest out{.session_id = request.session_id(),
                           .mask_ids = {request.mask_ids().begin(), request.mask_ids().end()}};
  SEMSAM_ASSIGN_OR_RETURN(out.labels, FromProto(request.labels()));
  return out;
}

absl::StatusOr<VocabularyCallRequest> FromProto(const v1::SegmentVocabularyRequest& request) {
  VocabularyCallRequest out{.image = {request.session_id(), request.image_id()}};
  SEMSAM_ASSIGN_OR_RETURN(out.things, WordsFromProto(request.things(), "things"));
  SEMSAM_ASSIGN_OR_RETURN(out.stuff, WordsFromProto(request.stuff(), "stuff"));
  SEMSAM_ASSIGN_OR_RETURN(out.parts, WordsFromProto(request.parts(), "parts"));
  const v1::VocabularyOptions& options = request.options();
  out.options = {.instances = options.instances(),
                 .semantic = options.semantic(),
                 .panoptic = options.panoptic(),
                 .max_instances = options.max_instances()};
  if (options.has_min_score()) out.options.min_score = options.min_score();
  if (options.has_max_duplicate_iou()) {
    out.options.max_duplicate_iou = options.max_duplicate_iou();
  }
  if (options.has_object_threshold()) out.options.object_threshold = options.object_threshold();
  if (options.has_overlap_threshold()) {
    out.options.overlap_threshold = options.overlap_threshold();
  }
  if (options.has_temperature()) out.options.temperature = options.temperature();
  SEMSAM_ASSIGN_OR_RETURN(out.options.encoding, EncodingFromProto(options.encoding()));
  SEMSAM_ASSIGN_OR_RETURN(out.options.resolution, ResolutionFromProto(options.resolution()));
  return out;
}

absl::StatusOr<GenerateRequest> FromProto(const v1::GenerateMasksRequest& request) {
  GenerateRequest out{.image = {request.session_id(), request.image_id()}};
  const v1::GenerateMasksOptions& options = request.options();
  GenerateOptions& wanted = out.options;
  if (options.points_per_side() != 0) wanted.points_per_side = options.points_per_side();
  wanted.levels.assign(options.levels().begin(), options.levels().end());
  if (options.has_min_predicted_iou()) wanted.min_predicted_iou = options.min_predicted_iou();
  if (options.has_min_stability()) wanted.min_stability = options.min_stability();
  if (options.has_stability_offset()) wanted.stability_offset = options.stability_offset();
  if (options.has_nms_iou()) wanted.nms_iou = options.nms_iou();
  if (options.has_min_region_area_px()) wanted.min_region_area_px = options.min_region_area_px();
  wanted.points_per_chunk = options.points_per_chunk();
  wanted.joint_attention = options.joint_attention();
  SEMSAM_ASSIGN_OR_RETURN(wanted.encoding, EncodingFromProto(options.encoding()));
  SEMSAM_ASSIGN_OR_RETURN(wanted.resolution, ResolutionFromProto(options.resolution()));
  if (options.has_min_containment()) wanted.min_containment = options.min_containment();
  SEMSAM_ASSIGN_OR_RETURN(out.labels, FromProto(request.labels()));
  return out;
}

v1::Label ToProto(MaskLabel label) {
  v1::Label out;
  out.set_name(std::move(label.name));
  out.set_score(label.score);
  out.set_logit(label.logit);
  out.set_word_index(static_cast<uint32_t>(label.word_index));
  return out;
}

v1::Progress ToProto(const CallProgress& progress) {
  v1::Progress out;
  out.set_stage(progress.stage == CallProgress::Stage::kWords ? v1::Progress::STAGE_WORDS
                                                              : v1::Progress::STAGE_POINTS);
  out.set_done(static_cast<uint32_t>(progress.done));
  out.set_total(static_cast<uint32_t>(progress.total));
  return out;
}

v1::RefreshLabelsResponse ToProto(const google::protobuf::RepeatedField<uint64_t>& mask_ids,
                                  RefreshedLabels labels) {
  v1::RefreshLabelsResponse out;
  for (size_t i = 0; i < labels.masks.size(); ++i) {
    v1::MaskLabels& mask = *out.add_masks();
    mask.set_mask_id(mask_ids[static_cast<int>(i)]);
    for (MaskLabel& label : labels.masks[i].objects) {
      *mask.add_object_labels() = ToProto(std::move(label));
    }
    for (MaskLabel& label : labels.masks[i].parts) {
      *mask.add_part_labels() = ToProto(std::move(label));
    }
  }
  SetTimings(labels.timings, *out.mutable_timings());
  return out;
}

v1::VocabularySegment ToProto(VocabularySegment segment) {
  v1::VocabularySegment out;
  switch (segment.kind) {
    case RegionKind::kInstance:
      out.set_kind(v1::VocabularySegment::KIND_INSTANCE);
      break;
    case RegionKind::kSemantic:
      out.set_kind(v1::VocabularySegment::KIND_SEMANTIC);
      break;
    case RegionKind::kPart:
      out.set_kind(v1::VocabularySegment::KIND_PART);
      break;
  }
  out.set_word_index(static_cast<uint32_t>(segment.word_index));
  out.set_name(std::move(segment.name));
  out.set_is_thing(segment.is_thing);
  out.set_score(segment.score);
  *out.mutable_mask() = ToProto(std::move(segment.mask));
  return out;
}

v1::PanopticMap ToProto(PanopticPicture picture) {
  v1::PanopticMap out;
  out.set_png(std::move(picture.png));
  SetSize(picture.size, *out.mutable_size());
  for (PanopticEntry& entry : picture.entries) {
    v1::PanopticSegment& segment = *out.add_segments();
    segment.set_id(static_cast<uint32_t>(entry.id));
    segment.set_word_index(static_cast<uint32_t>(entry.word_index));
    segment.set_name(std::move(entry.name));
    segment.set_is_thing(entry.is_thing);
    segment.set_score(entry.score);
    segment.set_area(static_cast<uint64_t>(entry.area));
    SetBox(entry.box, *segment.mutable_box());
  }
  return out;
}

v1::SegmentVocabularySummary ToProto(const VocabularySummary& summary) {
  v1::SegmentVocabularySummary out;
  out.set_segments_sent(static_cast<uint32_t>(summary.segments_sent));
  SetTimings(summary.timings, *out.mutable_timings());
  SetSize(summary.image_size, *out.mutable_image_size());
  return out;
}

v1::GenerateMasksSummary ToProto(const GenerateSummary& summary) {
  v1::GenerateMasksSummary out;
  out.set_masks_sent(static_cast<uint32_t>(summary.masks_sent));
  out.set_masks_filtered(static_cast<uint32_t>(summary.masks_filtered));
  out.mutable_parents()->Add(summary.parents.begin(), summary.parents.end());
  SetTimings(summary.timings, *out.mutable_timings());
  SetSize(summary.image_size, *out.mutable_image_size());
  return out;
}

}  // namespace semsam
