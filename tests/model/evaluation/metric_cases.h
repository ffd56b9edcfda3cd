// A case of a metric as JSON, measured by our code; shared by the test against
// pycocotools and panopticapi (compare_metrics.py) and that against numbers which
// these gave once (frozen_metrics_test.cc).
#ifndef SEMSAM_TESTS_MODEL_EVALUATION_METRIC_CASES_H_
#define SEMSAM_TESTS_MODEL_EVALUATION_METRIC_CASES_H_

#include <cmath>
#include <map>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "model/base/status_macros.h"
#include "model/evaluation/average_precision.h"
#include "model/evaluation/coco_results.h"
#include "model/evaluation/panoptic_quality.h"
#include "model/evaluation/semantic_iou.h"
#include "model/image/mask_codec.h"

namespace semsam::testing {

inline nlohmann::json NumberOrNull(double value) {
  return std::isnan(value) ? nlohmann::json() : nlohmann::json(value);
}

template <typename Grid>
nlohmann::json GridToJson(const Grid& grid) {
  nlohmann::json rows = nlohmann::json::array();
  for (const auto& areas : grid) {
    for (const auto& limits : areas) {
      for (const double value : limits) rows.push_back(NumberOrNull(value));
    }
  }
  return rows;  // [threshold, area, limit], flat
}

inline nlohmann::json ApToJson(const ApResult& result) {
  nlohmann::json stats = nlohmann::json::array();
  for (const Figure& figure : {result.ap, result.ap50, result.ap75, result.ap_small,
                               result.ap_medium, result.ap_large, result.ar[0], result.ar[1],
                               result.ar[2], result.ar_small, result.ar_medium, result.ar_large}) {
    stats.push_back(NumberOrNull(figure.value));
  }
  nlohmann::json categories = nlohmann::json::object();
  for (const CategoryAp& category : result.categories) {
    categories[std::to_string(category.category)] = {{"precision", GridToJson(category.precision)},
                                                     {"recall", GridToJson(category.recall)}};
  }
  return {{"stats", stats}, {"categories", categories}};
}

// {"kind": "mask"|"box", "agnostic": bool, "images": [...], "annotations": [...],
// "results": [...]}, the last three as in COCO files. Pictures go in turn to two
// accumulators, the second of which is filled backwards, and these are merged.
inline absl::StatusOr<nlohmann::json> MeasureAp(const nlohmann::json& input) {
  const ApOptions options = {.kind = input["kind"] == "box" ? ApKind::kBox : ApKind::kMask,
                             .class_agnostic = input["agnostic"].get<bool>()};
  std::istringstream results(input["results"].dump());
  SEMSAM_ASSIGN_OR_RETURN(auto detections, ParseCocoResults(results, options.kind));
  std::map<int64_t, std::vector<ApTruth>> truths;
  for (const nlohmann::json& annotation : input["annotations"]) {
    ApTruth truth{.category = annotation["category_id"],
                  .area = annotation["area"].get<double>(),
                  .crowd = annotation["iscrowd"] == 1,
                  .id_is_zero = annotation["id"] == 0};
    const nlohmann::json& mask = annotation["segmentation"];
    const ImageSize size{.height = mask["size"][0], .width = mask["size"][1]};
    SEMSAM_ASSIGN_OR_RETURN(truth.mask, DecodeCocoString(mask["counts"].get<std::string>(), size));
    const nlohmann::json& box = annotation["bbox"];
    truth.box = {.x = box[0], .y = box[1], .width = box[2], .height = box[3]};
    truths[annotation["image_id"]].push_back(std::move(truth));
  }
  std::vector<int64_t> images;
  for (const nlohmann::json& image : input["images"]) images.push_back(image["id"]);
  ApAccumulator first(options), second(options);
  for (size_t i = 0; i < images.size(); i += 2) {
    SEMSAM_RETURN_IF_ERROR(first.Add(images[i], truths[images[i]], detections[images[i]]));
  }
  for (size_t i = images.size(); i-- > 0;) {
    if (i % 2 == 0) continue;
    SEMSAM_RETURN_IF_ERROR(second.Add(images[i], truths[images[i]], detections[images[i]]));
  }
  SEMSAM_RETURN_IF_ERROR(second.Merge(first));
  return ApToJson(second.Result());
}

inline std::vector<PqSegment> SegmentsFromJson(const nlohmann::json& list) {
  std::vector<PqSegment> segments;
  for (const nlohmann::json& info : list) {
    PqSegment segment{.id = info["id"], .category = info["category_id"]};
    if (info.contains("iscrowd")) segment.crowd = info["iscrowd"] == 1;
    if (info.contains("area")) segment.area = info["area"].get<int64_t>();
    segments.push_back(segment);
  }
  return segments;
}

inline nlohmann::json MeansToJson(const PanopticMeans& means) {
  return {NumberOrNull(means.pq.value), NumberOrNull(means.sq.value), NumberOrNull(means.rq.value),
          means.pq.count};
}

// {"categories": [{"id", "isthing"}], "pictures": [{"height", "width", "truth": [id of
// each pixel], "truth_segments", "prediction", "prediction_segments"}]}.
inline absl::StatusOr<nlohmann::json> MeasurePq(const nlohmann::json& input) {
  std::vector<PanopticClass> classes;
  for (const nlohmann::json& category : input["categories"]) {
    classes.push_back({.id = category["id"], .is_thing = category["isthing"] == 1});
  }
  PanopticAccumulator first(classes), second(classes);
  bool odd = false;
  for (const nlohmann::json& picture : input["pictures"]) {
    const ImageSize size{.height = picture["height"], .width = picture["width"]};
    const auto truth = picture["truth"].get<std::vector<uint32_t>>();
    const auto prediction = picture["prediction"].get<std::vector<uint32_t>>();
    const auto truth_segments = SegmentsFromJson(picture["truth_segments"]);
    const auto prediction_segments = SegmentsFromJson(picture["prediction_segments"]);
    SEMSAM_RETURN_IF_ERROR(
        (odd ? second : first)
            .Add({size, truth, truth_segments}, {size, prediction, prediction_segments}));
    odd = !odd;
  }
  SEMSAM_RETURN_IF_ERROR(second.Merge(first));
  const PanopticResult result = second.Result();
  nlohmann::json per_class = nlohmann::json::object();
  for (const PanopticScores& scores : result.classes) {
    if (scores.pq.count == 0) continue;
    per_class[std::to_string(scores.category)] = {scores.pq.value, scores.sq.value,
                                                  scores.rq.value};
  }
  return nlohmann::json{{"all", MeansToJson(result.all)},
                        {"things", MeansToJson(result.things)},
                        {"stuff", MeansToJson(result.stuff)},
                        {"per_class", per_class}};
}

// {"classes": n, "ignore": label, "pictures": [{"truth": [...], "prediction": [...]}]}.
inline absl::StatusOr<nlohmann::json> MeasureMiou(const nlohmann::json& input) {
  SemanticAccumulator accumulator({.classes = input["classes"], .ignore_label = input["ignore"]});
  for (const nlohmann::json& picture : input["pictures"]) {
    SEMSAM_RETURN_IF_ERROR(accumulator.Add(picture["truth"].get<std::vector<uint16_t>>(),
                                           picture["prediction"].get<std::vector<uint16_t>>()));
  }
  const SemanticResult result = accumulator.Result();
  nlohmann::json classes = nlohmann::json::array();
  for (const SemanticScores& scores : result.classes) {
    classes.push_back(NumberOrNull(scores.iou.value));
  }
  return nlohmann::json{{"mean_iou", NumberOrNull(result.mean_iou.value)},
                        {"mean_accuracy", NumberOrNull(result.mean_accuracy.value)},
                        {"weighted_iou", NumberOrNull(result.weighted_iou.value)},
                        {"pixel_accuracy", NumberOrNull(result.pixel_accuracy.value)},
                        {"classes", classes}};
}

inline absl::StatusOr<nlohmann::json> MeasureCase(const nlohmann::json& input) {
  if (input["metric"] == "ap") return MeasureAp(input);
  if (input["metric"] == "pq") return MeasurePq(input);
  if (input["metric"] == "miou") return MeasureMiou(input);
  return absl::InvalidArgumentError("no such metric: " + input["metric"].dump());
}

}  // namespace semsam::testing

#endif  // SEMSAM_TESTS_MODEL_EVALUATION_METRIC_CASES_H_
