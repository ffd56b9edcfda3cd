#include "model/tools/inspect/vocab_outputs.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "model/base/errors.h"
#include "model/base/status_macros.h"
#include "model/image/mask_tail.h"

namespace semsam {
namespace {

using Json = nlohmann::ordered_json;

constexpr int64_t kMaxMapElements = int64_t{1} << 30;
constexpr size_t kBitMasks = 3;

absl::Status WriteMaskAreas(const VocabularyQueries& queries, const InferenceSettings& settings,
                            ArrayWriter& writer) {
  ImageGeometry geometry = queries.geometry;
  geometry.original = settings.output;
  std::vector<int64_t> areas;
  for (int q = 0; q < queries.queries; ++q) {
    const LogitsView logits = {queries.grid, queries.mask_logits.data() + q * queries.grid.area()};
    areas.push_back(MaskArea(LogitsToRunLengths(logits, geometry, MaskResolution::kOriginal)));
  }
  return writer.Write("mask_area", at::tensor(areas));
}

absl::Status WriteSemanticScores(const VocabularyQueries& queries, const SemanticOptions& options,
                                 const std::string& name, ArrayWriter& writer) {
  const int64_t classes = queries.classes;
  if (options.output.area() > kMaxMapElements / classes) {
    return InvalidField("output", "is too large to write a map for every class");
  }
  const int64_t width = options.output.width;
  at::Tensor map = at::empty({classes, options.output.height, width}, at::kFloat);
  float* data = map.mutable_data_ptr<float>();
  const auto copy = [&](int first_row, int rows, absl::Span<const float> scores) {
    for (int64_t c = 0; c < classes; ++c) {
      std::memcpy(data + (c * options.output.height + first_row) * width,
                  scores.data() + c * rows * width, static_cast<size_t>(rows * width) * 4);
    }
  };
  SEMSAM_RETURN_IF_ERROR(InferSemantic(queries, options, copy));
  return writer.Write(name, map);
}

absl::Status WriteSemantic(const VocabularyQueries& queries, const InferenceSettings& settings,
                           ArrayWriter& writer) {
  SemanticOptions options = {
      .output = settings.output, .softmax = true, .temperature = settings.temperature};
  SEMSAM_RETURN_IF_ERROR(WriteSemanticScores(queries, options, "sem_seg", writer));
  SEMSAM_ASSIGN_OR_RETURN(const std::vector<int32_t> best, InferSemanticMap(queries, options));
  SEMSAM_RETURN_IF_ERROR(writer.Write(
      "sem_argmax", at::tensor(best).view({settings.output.height, settings.output.width})));
  options.softmax = false;
  return WriteSemanticScores(queries, options, "sem_seg_notransform", writer);
}

absl::StatusOr<Json> WritePanoptic(const VocabularyQueries& queries, const WordsFile& words,
                                   const PanopticPreset& preset, ImageSize output,
                                   ArrayWriter& writer) {
  const PanopticOptions options = {.output = output,
                                   .object_threshold = preset.object_threshold,
                                   .overlap_threshold = preset.overlap_threshold,
                                   .softmax = preset.temperature.has_value(),
                                   .temperature = preset.temperature.value_or(1),
                                   .is_thing = words.is_thing};
  SEMSAM_ASSIGN_OR_RETURN(const PanopticMap map, InferPanoptic(queries, options));
  SEMSAM_RETURN_IF_ERROR(writer.Write("pano_" + preset.name,
                                      at::tensor(map.ids).view({map.size.height, map.size.width})));
  std::map<int32_t, int64_t> pixels;
  for (const int32_t id : map.ids) ++pixels[id];
  Json json = {{"object_mask_threshold", preset.object_threshold},
               {"overlap_threshold", preset.overlap_threshold},
               {"transform_eval", options.softmax},
               {"pano_temp", options.softmax ? Json(options.temperature) : Json()},
               {"segments_info", Json::array()},
               {"pixel_count_by_id", Json::object()}};
  for (const PanopticSegment& segment : map.segments) {
    json["segments_info"].push_back({{"id", segment.id},
                                     {"isthing", segment.is_thing},
                                     {"category_id", segment.word},
                                     {"query", segment.query},
                                     {"score", segment.score},
                                     {"area", segment.area}});
  }
  for (const auto& [id, count] : pixels) json["pixel_count_by_id"][absl::StrCat(id)] = count;
  return json;
}

// The masks of the first few queries, bits from the highest.
absl::StatusOr<Json> WriteBitMasks(const std::vector<VocabularyInstance>& instances,
                                   ImageSize output, ArrayWriter& writer) {
  std::vector<int> queries;
  std::vector<at::Tensor> masks;
  for (const VocabularyInstance& instance : instances) {
    if (queries.size() == kBitMasks) break;
    if (std::find(queries.begin(), queries.end(), instance.query) != queries.end()) continue;
    queries.push_back(instance.query);
    const BinaryMask mask = DecodeRunLengths(instance.mask);
    at::Tensor bits = at::zeros({(output.area() + 7) / 8}, at::kByte);
    uint8_t* bytes = bits.mutable_data_ptr<uint8_t>();
    for (size_t i = 0; i < mask.pixels.size(); ++i) {
      if (mask.pixels[i] != 0) bytes[i / 8] |= static_cast<uint8_t>(0x80 >> (i % 8));
    }
    masks.push_back(bits);
  }
  if (!masks.empty()) SEMSAM_RETURN_IF_ERROR(writer.Write("inst_masks3", at::stack(masks)));
  return Json(queries);
}

struct InstanceMode {
  const char* name;
  bool things_alone;
  bool masks;
};
constexpr InstanceMode kModes[] = {
    {"seg", true, true}, {"inst_seg", false, true}, {"box", false, false}};

absl::StatusOr<Json> WriteInstances(const VocabularyQueries& queries, const WordsFile& words,
                                    const InferenceSettings& settings, const InstanceMode& mode,
                                    ArrayWriter& writer) {
  const int candidates =
      settings.instance_queries > 0 ? settings.instance_queries : queries.queries;
  const InstanceOptions options = {
      .output = settings.output,
      .top = static_cast<int>(
          std::min<int64_t>(settings.top_instances, int64_t{candidates} * queries.classes)),
      .instance_queries = settings.instance_queries,
      .keep_class = mode.things_alone ? words.is_thing : std::vector<bool>(),
      .masks = mode.masks};
  SEMSAM_ASSIGN_OR_RETURN(const std::vector<VocabularyInstance> instances,
                          InferInstances(queries, options));
  Json json = {{"n", instances.size()}, {"topk", options.top}, {"entries", Json::array()}};
  for (const VocabularyInstance& instance : instances) {
    json["entries"].push_back({{"query", instance.query},
                               {"cls", instance.word},
                               {"class_score", instance.class_score},
                               {"mask_score", instance.mask_score},
                               {"score", instance.score},
                               {"mask_area", mode.masks ? Json(instance.area) : Json()},
                               {"box_xyxy", {instance.x0, instance.y0, instance.x1, instance.y1}}});
  }
  if (mode.things_alone) {
    SEMSAM_ASSIGN_OR_RETURN(json["bitmask_queries"],
                            WriteBitMasks(instances, settings.output, writer));
  }
  return json;
}

}  // namespace

absl::StatusOr<Json> WriteInference(const VocabularyQueries& queries, const WordsFile& words,
                                    const InferenceSettings& settings, ArrayWriter& writer) {
  SEMSAM_RETURN_IF_ERROR(WriteMaskAreas(queries, settings, writer));
  SEMSAM_RETURN_IF_ERROR(WriteSemantic(queries, settings, writer));
  Json json = {{"panoptic", Json::object()}, {"instances", Json::object()}};
  for (const PanopticPreset& preset : words.presets) {
    SEMSAM_ASSIGN_OR_RETURN(json["panoptic"][preset.name],
                            WritePanoptic(queries, words, preset, settings.output, writer));
  }
  for (const InstanceMode& mode : kModes) {
    SEMSAM_ASSIGN_OR_RETURN(json["instances"][mode.name],
                            WriteInstances(queries, words, settings, mode, writer));
  }
  return json;
}

}  // namespace semsam
