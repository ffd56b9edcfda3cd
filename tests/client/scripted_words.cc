// The calls of ScriptedService that have to do with words and whole pictures.
#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "tests/client/scripted_server.h"

namespace semsam::client {
namespace {

constexpr int kNestedMasks = 3;
constexpr int kDefaultLabels = 3;

// The first words of `list`, surer the earlier.
void AddLabels(const v1::WordList& list, const v1::LabelOptions& options,
               google::protobuf::RepeatedPtrField<v1::Label>& labels) {
  const int limit = options.max_labels() > 0 ? options.max_labels() : kDefaultLabels;
  for (int i = 0; i < std::min(limit, list.words_size()); ++i) {
    v1::Label& label = *labels.Add();
    label.set_name(list.words(i));
    label.set_word_index(i);
    label.set_logit(2.0f - i);
    label.set_score(1 / (1 + std::exp(-label.logit())));
  }
}

// A rectangle as a mask with run lengths.
v1::Mask RectangleMask(const v1::ImageSize& size, uint32_t x, uint32_t y, uint32_t width,
                       uint32_t height) {
  v1::Mask mask;
  mask.mutable_box()->set_x(x);
  mask.mutable_box()->set_y(y);
  mask.mutable_box()->set_width(width);
  mask.mutable_box()->set_height(height);
  mask.set_area(uint64_t{width} * height);
  *mask.mutable_size() = size;
  mask.set_coco_rle(RectangleRle(size.height(), size.width(), mask.box()));
  return mask;
}

// A region of `words`, each a column of its own, the first the surest.
void AddSegments(const v1::WordList& words, v1::VocabularySegment::Kind kind, bool is_thing,
                 const v1::ImageSize& size, std::vector<v1::VocabularySegment>& segments) {
  for (int i = 0; i < words.words_size(); ++i) {
    v1::VocabularySegment& segment = segments.emplace_back();
    segment.set_kind(kind);
    segment.set_word_index(i);
    segment.set_name(words.words(i));
    segment.set_is_thing(is_thing);
    if (kind != v1::VocabularySegment::KIND_SEMANTIC) segment.set_score(0.9f - 0.1f * i);
    const uint32_t width = size.width() / words.words_size();
    *segment.mutable_mask() = RectangleMask(size, i * width, 0, width, size.height());
  }
}

v1::PanopticMap MakeMap(const v1::SegmentVocabularyRequest& request, const v1::ImageSize& size,
                        const std::string& png) {
  v1::PanopticMap map;
  map.set_png(png);
  *map.mutable_size() = size;
  for (int i = 0; i < request.things().words_size(); ++i) {
    v1::PanopticSegment& segment = *map.add_segments();
    segment.set_id(i + 1);
    segment.set_word_index(i);
    segment.set_name(request.things().words(i));
    segment.set_is_thing(true);
    segment.set_score(0.75f);
    segment.set_area(10);
  }
  return map;
}

}  // namespace

void ScriptedService::KnowWords() {
  auto& capabilities = *info.mutable_model()->mutable_capabilities();
  capabilities.set_object_labels(true);
  capabilities.set_part_labels(true);
  capabilities.set_vocabulary(true);
}

void ScriptedService::OnVocabulary(VocabularyHook hook) {
  MutexLock lock(mutex_);
  on_vocabulary_ = std::move(hook);
}

void ScriptedService::OnGenerate(GenerateHook hook) {
  MutexLock lock(mutex_);
  on_generate_ = std::move(hook);
}

void ScriptedService::OnRefresh(RefreshHook hook) {
  MutexLock lock(mutex_);
  on_refresh_ = std::move(hook);
}

std::vector<v1::RefreshLabelsRequest> ScriptedService::refresh_requests() const {
  MutexLock lock(mutex_);
  return refresh_requests_;
}

std::vector<v1::SegmentVocabularyRequest> ScriptedService::vocabulary_requests() const {
  MutexLock lock(mutex_);
  return vocabulary_requests_;
}

std::vector<v1::GenerateMasksRequest> ScriptedService::generate_requests() const {
  MutexLock lock(mutex_);
  return generate_requests_;
}

grpc::Status ScriptedService::CheckLabels(const v1::LabelOptions& labels) const {
  const v1::Capabilities& can = info.model().capabilities();
  for (const auto& [words, able, field] :
       {std::tuple{labels.objects().words_size(), can.object_labels(), "labels.objects"},
        std::tuple{labels.parts().words_size(), can.part_labels(), "labels.parts"}}) {
    if (words == 0 || able) continue;
    return MakeError({.code = grpc::StatusCode::FAILED_PRECONDITION,
                      .message = "this model cannot name regions: its checkpoint has no text",
                      .reason = "CAPABILITY_MISSING",
                      .field = field});
  }
  return grpc::Status::OK;
}

void ScriptedService::Label(const v1::LabelOptions& labels, v1::Mask& mask) {
  v1::WordList objects = labels.objects();
  if (objects.model_vocabulary()) *objects.mutable_words() = info.model().vocabulary().objects();
  AddLabels(objects, labels, *mask.mutable_object_labels());
  AddLabels(labels.parts(), labels, *mask.mutable_part_labels());
  if (!info.model().capabilities().object_labels()) return;
  MutexLock lock(mutex_);
  mask.set_mask_id(++last_mask_id_);
}

grpc::Status ScriptedService::RefreshLabels(grpc::ServerContext*,
                                            const v1::RefreshLabelsRequest* request,
                                            v1::RefreshLabelsResponse* response) {
  RefreshHook hook;
  uint64_t last_mask_id;
  {
    MutexLock lock(mutex_);
    refresh_requests_.push_back(*request);
    hook = on_refresh_;
    last_mask_id = last_mask_id_;
  }
  if (hook) return hook(*request, *response);
  if (grpc::Status status = CheckLabels(request->labels()); !status.ok()) return status;
  for (int i = 0; i < request->mask_ids_size(); ++i) {
    if (request->mask_ids(i) == 0 || request->mask_ids(i) > last_mask_id) {
      return MakeError({.code = grpc::StatusCode::NOT_FOUND,
                        .message = "this mask is no longer held",
                        .reason = "MASK_NOT_FOUND",
                        .field = absl::StrCat("mask_ids[", i, "]")});
    }
    v1::MaskLabels& mask = *response->add_masks();
    mask.set_mask_id(request->mask_ids(i));
    AddLabels(request->labels().objects(), request->labels(), *mask.mutable_object_labels());
    AddLabels(request->labels().parts(), request->labels(), *mask.mutable_part_labels());
  }
  response->mutable_timings()->mutable_words()->set_nanos(4'000'000);
  return grpc::Status::OK;
}

grpc::Status ScriptedService::SegmentVocabulary(grpc::ServerContext* context,
                                                const v1::SegmentVocabularyRequest* request,
                                                VocabularyWriter* writer) {
  VocabularyHook hook;
  {
    MutexLock lock(mutex_);
    vocabulary_requests_.push_back(*request);
    hook = on_vocabulary_;
  }
  if (hook) return hook(*context, *request, *writer);
  if (!info.model().capabilities().vocabulary()) {
    return MakeError({.code = grpc::StatusCode::FAILED_PRECONDITION,
                      .message = "this model cannot look for words: its checkpoint has no text",
                      .reason = "CAPABILITY_MISSING"});
  }
  if (grpc::Status status = FindImage(request->session_id(), request->image_id()); !status.ok()) {
    return status;
  }
  v1::SegmentVocabularyResponse response;
  auto& progress = *response.mutable_progress();
  progress.set_stage(v1::Progress::STAGE_WORDS);
  progress.set_total(request->things().words_size() + request->stuff().words_size());
  progress.set_done(progress.total());
  writer->Write(response);

  const v1::VocabularyOptions& options = request->options();
  std::vector<v1::VocabularySegment> segments;
  if (options.instances() || !(options.semantic() || options.panoptic())) {
    AddSegments(request->things(), v1::VocabularySegment::KIND_INSTANCE, true, image_size,
                segments);
    AddSegments(request->parts(), v1::VocabularySegment::KIND_PART, false, image_size, segments);
  }
  if (options.semantic()) {
    AddSegments(request->stuff(), v1::VocabularySegment::KIND_SEMANTIC, false, image_size,
                segments);
  }
  for (v1::VocabularySegment& segment : segments) {
    *response.mutable_segment() = std::move(segment);
    if (!writer->Write(response)) return grpc::Status::CANCELLED;
  }
  if (options.panoptic()) {
    *response.mutable_panoptic() = MakeMap(*request, image_size, panoptic_png);
    writer->Write(response);
  }
  response.mutable_summary()->set_segments_sent(static_cast<uint32_t>(segments.size()));
  *response.mutable_summary()->mutable_image_size() = image_size;
  writer->Write(response);
  return grpc::Status::OK;
}

grpc::Status ScriptedService::GenerateMasks(grpc::ServerContext* context,
                                            const v1::GenerateMasksRequest* request,
                                            GenerateWriter* writer) {
  GenerateHook hook;
  {
    MutexLock lock(mutex_);
    generate_requests_.push_back(*request);
    hook = on_generate_;
  }
  if (hook) return hook(*context, *request, *writer);
  if (grpc::Status status = FindImage(request->session_id(), request->image_id()); !status.ok()) {
    return status;
  }
  if (grpc::Status status = CheckLabels(request->labels()); !status.ok()) return status;
  v1::GenerateMasksResponse response;
  for (const int done : {4, 9}) {
    response.mutable_progress()->set_stage(v1::Progress::STAGE_POINTS);
    response.mutable_progress()->set_done(done);
    response.mutable_progress()->set_total(9);
    writer->Write(response);
  }
  v1::GenerateMasksResponse last;
  v1::GenerateMasksSummary& summary = *last.mutable_summary();
  for (int i = 0; i < kNestedMasks; ++i) {
    const uint32_t inset = 5 * i;
    v1::Mask& mask = *response.mutable_mask();
    mask = RectangleMask(image_size, inset, inset, image_size.width() - 2 * inset,
                         image_size.height() - 2 * inset);
    mask.set_prompt_index(i);
    mask.set_level(i + 1);
    mask.set_predicted_iou(0.95f - 0.01f * i);
    mask.set_stability(0.97f);
    Label(request->labels(), mask);
    if (!writer->Write(response)) return grpc::Status::CANCELLED;
    summary.add_parents(i - 1);
  }
  summary.set_masks_sent(kNestedMasks);
  summary.set_masks_filtered(51);
  *summary.mutable_image_size() = image_size;
  writer->Write(last);
  return grpc::Status::OK;
}

}  // namespace semsam::client
