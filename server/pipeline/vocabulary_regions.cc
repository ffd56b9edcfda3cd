#include "server/pipeline/vocabulary_regions.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <utility>

#include "model/base/errors.h"
#include "model/base/status_macros.h"
#include "model/image/map_masks.h"
#include "model/image/mask_tail.h"
#include "model/image/panoptic_png.h"
#include "model/image/vocabulary_inference.h"

namespace semsam {
namespace {

using Cancelled = std::function<bool()>;

// What every step of one answer reads.
struct Inference {
  const VocabularyResult& result;
  const ImageGeometry& geometry;
  const VocabularyWords& words;
  const VocabularyOptions& options;
  const VocabularyConfig& defaults;
  const Cancelled& cancelled;
  ImageSize output;

  VocabularyQueries Queries(const std::vector<float>& logits, int classes) const {
    return {.geometry = geometry,
            .grid = result.grid,
            .queries = result.queries,
            .classes = classes,
            .class_logits = logits,
            .mask_logits = result.mask_logits,
            .boxes = result.boxes};
  }
  VocabularyQueries Objects() const { return Queries(result.object_logits, words.objects()); }
  bool softmax() const { return options.temperature.value_or(1) > 0; }
  float temperature() const {
    return softmax() ? options.temperature.value_or(defaults.score_temperature)
                     : defaults.score_temperature;
  }
  // Of a class of the object head.
  bool is_thing(int word) const { return word < words.things.size(); }
};

// A region or an entry of the map, named by a class of the object head.
template <typename Named>
void NameObject(const Inference& inference, int word, Named& named) {
  named.is_thing = inference.is_thing(word);
  const WordTable& table = named.is_thing ? inference.words.things : inference.words.stuff;
  const int row = named.is_thing ? word : word - inference.words.things.size();
  named.name = table.names[row];
  named.word_index = table.word_index[row];
}

// Pairs that could still pass: a mask score never raises a class score.
int PairsAbove(const Inference& inference, const std::vector<float>& logits, int classes) {
  const auto& options = inference.options;
  const int64_t most =
      options.max_instances != 0 ? options.max_instances : inference.defaults.top_instances;
  const auto end = logits.begin() + int64_t{inference.result.chosen_queries} * classes;
  int64_t above = end - logits.begin();
  if (options.min_score.has_value()) {
    above = std::count_if(logits.begin(), end, [&](float logit) {
      return 1 / (1 + std::exp(-logit)) >= *options.min_score;
    });
  }
  return static_cast<int>(std::min(most, above));
}

bool Disjoint(const PixelBox& a, const PixelBox& b) {
  return a.x + a.width <= b.x || b.x + b.width <= a.x || a.y + a.height <= b.y ||
         b.y + b.height <= a.y;
}

// Drops instances of a word that overlap a better one of it too much. `instances`
// by falling score.
absl::Status DropDuplicates(double max_iou, const Cancelled& cancelled,
                            std::vector<VocabularyInstance>& instances) {
  struct Kept {
    size_t index;
    PixelBox box;
  };
  std::map<int, std::vector<Kept>> kept_by_word;
  std::vector<VocabularyInstance> kept;
  for (VocabularyInstance& instance : instances) {
    if (cancelled()) return absl::CancelledError("the call was cancelled");
    const PixelBox box = BoundingBox(instance.mask);
    std::vector<Kept>& rivals = kept_by_word[instance.word];
    const bool duplicate = std::any_of(rivals.begin(), rivals.end(), [&](const Kept& rival) {
      return !Disjoint(rival.box, box) && MaskIou(kept[rival.index].mask, instance.mask) > max_iou;
    });
    if (duplicate) continue;
    rivals.push_back({kept.size(), box});
    kept.push_back(std::move(instance));
  }
  instances = std::move(kept);
  return absl::OkStatus();
}

// Of the first `kept_classes` classes.
absl::StatusOr<std::vector<VocabularyInstance>> Instances(const Inference& inference,
                                                          const std::vector<float>& logits,
                                                          int classes, int kept_classes) {
  const VocabularyOptions& options = inference.options;
  const int top = PairsAbove(inference, logits, classes);
  if (top == 0 || kept_classes == 0) return std::vector<VocabularyInstance>();
  InstanceOptions wanted{
      .output = inference.output, .top = top, .instance_queries = inference.result.chosen_queries};
  wanted.keep_class.assign(classes, false);
  std::fill_n(wanted.keep_class.begin(), kept_classes, true);
  SEMSAM_ASSIGN_OR_RETURN(
      std::vector<VocabularyInstance> instances,
      InferInstances(inference.Queries(logits, classes), wanted, inference.cancelled));
  if (options.min_score.has_value()) {
    std::erase_if(instances, [&](const VocabularyInstance& instance) {
      return !(instance.score >= *options.min_score);
    });
  }
  if (options.max_duplicate_iou.has_value()) {
    SEMSAM_RETURN_IF_ERROR(
        DropDuplicates(*options.max_duplicate_iou, inference.cancelled, instances));
  }
  return instances;
}

absl::Status AddObjects(const Inference& inference, std::vector<Region>& regions) {
  SEMSAM_ASSIGN_OR_RETURN(std::vector<VocabularyInstance> instances,
                          Instances(inference, inference.result.object_logits,
                                    inference.words.objects(), inference.words.things.size()));
  for (VocabularyInstance& instance : instances) {
    Region region{.score = instance.score, .mask = std::move(instance.mask)};
    NameObject(inference, instance.word, region);
    regions.push_back(std::move(region));
  }
  return absl::OkStatus();
}

absl::Status AddParts(const Inference& inference, std::vector<Region>& regions) {
  const WordTable& parts = inference.words.parts;
  SEMSAM_ASSIGN_OR_RETURN(
      std::vector<VocabularyInstance> instances,
      Instances(inference, inference.result.part_logits, parts.size(), parts.size()));
  for (VocabularyInstance& instance : instances) {
    regions.push_back({.kind = RegionKind::kPart,
                       .name = parts.names[instance.word],
                       .word_index = parts.word_index[instance.word],
                       .score = instance.score,
                       .mask = std::move(instance.mask)});
  }
  return absl::OkStatus();
}

absl::Status AddSemantic(const Inference& inference, std::vector<Region>& regions) {
  SEMSAM_ASSIGN_OR_RETURN(const std::vector<int32_t> map,
                          InferSemanticMap(inference.Objects(),
                                           {.output = inference.output,
                                            .softmax = inference.softmax(),
                                            .temperature = inference.temperature()},
                                           inference.cancelled));
  SEMSAM_ASSIGN_OR_RETURN(std::vector<LabelMask> masks,
                          MasksOfMap(map, inference.output, 0, inference.words.objects()));
  for (LabelMask& mask : masks) {
    Region region{.kind = RegionKind::kSemantic, .mask = std::move(mask.mask)};
    NameObject(inference, mask.label, region);
    regions.push_back(std::move(region));
  }
  return absl::OkStatus();
}

absl::StatusOr<PanopticPicture> MakePanoptic(const Inference& inference) {
  const VocabularyOptions& options = inference.options;
  PanopticOptions wanted{
      .output = inference.output,
      .object_threshold = options.object_threshold.value_or(inference.defaults.object_threshold),
      .overlap_threshold = options.overlap_threshold.value_or(inference.defaults.overlap_threshold),
      .softmax = inference.softmax(),
      .temperature = inference.temperature()};
  for (int word = 0; word < inference.words.objects(); ++word) {
    wanted.is_thing.push_back(inference.is_thing(word));
  }
  SEMSAM_ASSIGN_OR_RETURN(const PanopticMap map,
                          InferPanoptic(inference.Objects(), wanted, inference.cancelled));
  PanopticPicture picture{.size = map.size};
  SEMSAM_ASSIGN_OR_RETURN(picture.png, EncodePanopticPng(map));
  for (const PanopticSegment& segment : map.segments) {
    PanopticEntry entry{
        .id = segment.id, .score = segment.score, .area = segment.area, .box = segment.box};
    NameObject(inference, segment.word, entry);
    picture.entries.push_back(std::move(entry));
  }
  return picture;
}

}  // namespace

int64_t PanopticPicture::size_bytes() const {
  constexpr int64_t kEntryBytes = 64;  // serialized numbers, generously
  int64_t total = static_cast<int64_t>(png.size());
  for (const PanopticEntry& entry : entries) {
    total += kEntryBytes + static_cast<int64_t>(entry.name.size());
  }
  return total;
}

int64_t VocabularyAnswer::size_bytes() const {
  int64_t total = panoptic.has_value() ? panoptic->size_bytes() : 0;
  for (const Region& region : regions) {
    total += static_cast<int64_t>(sizeof(Region) + region.name.size() +
                                  region.mask.counts.size() * sizeof(uint32_t));
  }
  return total;
}

int64_t VocabularyBytes(const ModelConfig& config, const ImageGeometry& geometry,
                        const VocabularyOptions& options, int64_t words) {
  const int64_t queries = int64_t{config.vocabulary->queries} + config.vocabulary->learned_queries;
  const int64_t grid = int64_t{geometry.padded.height / 4} * (geometry.padded.width / 4);
  int64_t bytes = queries * (grid + words) * static_cast<int64_t>(sizeof(float)) + kMaxStripBytes;
  if (options.semantic || options.panoptic) {
    bytes += MaskSize(geometry, options.resolution).area() * static_cast<int64_t>(sizeof(int32_t));
  }
  return bytes;
}

absl::Status CheckVocabularyShape(const VocabularyResult& result, const VocabularyWords& words) {
  const auto queries = static_cast<size_t>(std::max(result.queries, 0));
  const bool good = result.queries > 0 && result.chosen_queries > 0 &&
                    result.chosen_queries <= result.queries && result.grid.height > 0 &&
                    result.grid.width > 0 && result.boxes.size() == queries &&
                    result.object_logits.size() == queries * words.objects() &&
                    result.part_logits.size() == queries * words.parts.size() &&
                    result.mask_logits.size() == queries * static_cast<size_t>(result.grid.area());
  return good ? absl::OkStatus() : absl::InternalError("the model's answer has the wrong shape");
}

absl::StatusOr<VocabularyAnswer> InferRegions(
    const VocabularyResult& result, const ImageGeometry& geometry, const VocabularyWords& words,
    const VocabularyOptions& options, const ModelConfig& config, const Cancelled& cancelled) {
  const Inference inference{.result = result,
                            .geometry = geometry,
                            .words = words,
                            .options = options,
                            .defaults = *config.vocabulary,
                            .cancelled = cancelled,
                            .output = MaskSize(geometry, options.resolution)};
  VocabularyAnswer answer;
  const bool objects = words.objects() > 0;
  const bool instances = options.instances || (!options.semantic && !options.panoptic);
  if (objects && instances) SEMSAM_RETURN_IF_ERROR(AddObjects(inference, answer.regions));
  if (words.parts.size() > 0) SEMSAM_RETURN_IF_ERROR(AddParts(inference, answer.regions));
  std::stable_sort(answer.regions.begin(), answer.regions.end(),
                   [](const Region& a, const Region& b) { return a.score > b.score; });
  if (objects && options.semantic) SEMSAM_RETURN_IF_ERROR(AddSemantic(inference, answer.regions));
  if (objects && options.panoptic) {
    SEMSAM_ASSIGN_OR_RETURN(answer.panoptic, MakePanoptic(inference));
  }
  return answer;
}

}  // namespace semsam
