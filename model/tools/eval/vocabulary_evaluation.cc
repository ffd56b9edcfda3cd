#include "model/tools/eval/vocabulary_evaluation.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "model/base/errors.h"
#include "model/base/status_macros.h"

namespace semsam {
namespace {

std::vector<PanopticClass> ClassesOf(const DataSource& source) {
  std::vector<PanopticClass> classes;
  for (const std::string& name : source.vocabulary.objects) {
    classes.push_back(
        {.id = static_cast<int64_t>(classes.size()), .is_thing = !source.stuff.contains(name)});
  }
  return classes;
}

ApDetection DetectionOf(VocabularyInstance instance) {
  return {.category = instance.word,
          .score = instance.score,
          .mask = std::move(instance.mask),
          .box = {.x = instance.x0,
                  .y = instance.y0,
                  .width = std::max(0.0, double{instance.x1} - instance.x0),
                  .height = std::max(0.0, double{instance.y1} - instance.y0)}};
}

VocabularyQueries QueriesOf(const VocabularyResult& result, const ImageGeometry& geometry,
                            int classes) {
  return {.geometry = geometry,
          .grid = result.grid,
          .queries = result.queries,
          .classes = classes,
          .class_logits = result.object_logits,
          .mask_logits = result.mask_logits,
          .boxes = result.boxes};
}

}  // namespace

bool VocabularyEvaluation::Possible(const ModelConfig& config, const DataSource& source) {
  return config.capabilities.vocabulary && config.vocabulary.has_value() &&
         !source.vocabulary.objects.empty() &&
         source.vocabulary.objects.size() < static_cast<size_t>(kMaxSemanticClasses);
}

absl::StatusOr<std::unique_ptr<VocabularyEvaluation>> VocabularyEvaluation::Create(
    SegmenterPool& pool, const DataSource& source, TextMode mode) {
  SEMSAM_ASSIGN_OR_RETURN(std::vector<float> text,
                          pool.EncodeNames(source.vocabulary.objects, mode));
  return std::unique_ptr<VocabularyEvaluation>(
      new VocabularyEvaluation(pool.info().config, source, std::move(text)));
}

VocabularyEvaluation::VocabularyEvaluation(const ModelConfig& config, const DataSource& source,
                                           std::vector<float> text)
    : config_(*config.vocabulary),
      text_(std::move(text)),
      panoptic_(source.panoptic),
      panoptic_classes_(ClassesOf(source)),
      boxes_({.kind = ApKind::kBox}),
      masks_({.kind = ApKind::kMask}),
      quality_(panoptic_classes_),
      semantic_({.classes = static_cast<int>(source.vocabulary.objects.size()),
                 .ignore_label = kNoClass}) {
  for (const PanopticClass& one : panoptic_classes_) {
    const std::string& name = source.vocabulary.objects[one.id];
    classes_.emplace(name, static_cast<int>(one.id));
    names_.emplace(one.id, name);
    is_thing_.push_back(one.is_thing);
  }
}

absl::Status VocabularyEvaluation::Add(int64_t id, const Sample& sample,
                                       SegmenterSession& session) {
  SEMSAM_ASSIGN_OR_RETURN(const VocabularyResult result, session.RunVocabulary(text_));
  const VocabularyQueries queries =
      QueriesOf(result, session.geometry(), static_cast<int>(classes_.size()));
  SEMSAM_RETURN_IF_ERROR(AddInstances(id, sample, queries, result.chosen_queries));
  return panoptic_ ? AddMaps(sample, queries) : absl::OkStatus();
}

absl::Status VocabularyEvaluation::AddInstances(int64_t id, const Sample& sample,
                                                const VocabularyQueries& queries,
                                                int chosen_queries) {
  const int64_t pairs = int64_t{chosen_queries} * queries.classes;
  const InstanceOptions options = {
      .output = sample.size,
      .top = static_cast<int>(std::min<int64_t>(config_.top_instances, pairs)),
      .instance_queries = chosen_queries,
      .keep_class = is_thing_};
  std::vector<ApDetection> detections;
  std::set<int64_t> categories;
  if (pairs > 0) {
    SEMSAM_ASSIGN_OR_RETURN(std::vector<VocabularyInstance> instances,
                            InferInstances(queries, options));
    for (VocabularyInstance& instance : instances) {
      categories.insert(instance.word);
      detections.push_back(DetectionOf(std::move(instance)));
    }
  }
  InstanceTruths truths = InstancesOf(sample, classes_);
  for (ApTruth& crowd : UnknownAsCrowds(sample, {categories.begin(), categories.end()})) {
    truths.truths.push_back(std::move(crowd));
  }
  MutexLock lock(mutex_);
  SEMSAM_RETURN_IF_ERROR(boxes_.Add(id, truths.truths, detections));
  return truths.has_masks ? masks_.Add(id, truths.truths, detections) : absl::OkStatus();
}

absl::Status VocabularyEvaluation::AddMaps(const Sample& sample, const VocabularyQueries& queries) {
  const PanopticOptions panoptic = {.output = sample.size,
                                    .object_threshold = config_.object_threshold,
                                    .overlap_threshold = config_.overlap_threshold,
                                    .temperature = config_.score_temperature,
                                    .is_thing = is_thing_};
  SEMSAM_ASSIGN_OR_RETURN(const PanopticMap map, InferPanoptic(queries, panoptic));
  const std::vector<uint32_t> ids(map.ids.begin(), map.ids.end());
  std::vector<PqSegment> segments;
  for (const PanopticSegment& segment : map.segments) {
    segments.push_back({.id = static_cast<uint32_t>(segment.id), .category = segment.word});
  }
  const PanopticTruth truth = PanopticOf(sample, classes_);
  const SemanticOptions semantic = {.output = sample.size,
                                    .temperature = config_.score_temperature};
  SEMSAM_ASSIGN_OR_RETURN(const std::vector<int32_t> best, InferSemanticMap(queries, semantic));
  const std::vector<uint16_t> labels(best.begin(), best.end());
  const std::vector<uint16_t> true_labels = SemanticOf(sample, classes_);
  MutexLock lock(mutex_);
  SEMSAM_RETURN_IF_ERROR(
      quality_.Add({sample.size, truth.ids, truth.segments}, {sample.size, ids, segments}));
  return semantic_.Add(true_labels, labels);
}

ReportTable VocabularyEvaluation::Table(const std::string& name) const {
  MutexLock lock(mutex_);
  const ApResult boxes = boxes_.Result(), masks = masks_.Result();
  const PanopticResult panoptic = quality_.Result();
  const SemanticResult semantic = semantic_.Result();
  return SegmentationTable(name, panoptic_ ? &panoptic : nullptr, panoptic_ ? &semantic : nullptr,
                           &boxes, &masks);
}

nlohmann::json VocabularyEvaluation::Json() const {
  MutexLock lock(mutex_);
  nlohmann::json json = {{"boxes", ToJson(boxes_.Result(), names_)},
                         {"masks", ToJson(masks_.Result(), names_)},
                         {"panoptic", nullptr},
                         {"semantic", nullptr}};
  if (panoptic_) {
    json["panoptic"] = ToJson(quality_.Result(), names_);
    json["semantic"] = ToJson(semantic_.Result(), names_);
  }
  return json;
}

}  // namespace semsam
