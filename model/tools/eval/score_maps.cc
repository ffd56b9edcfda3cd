#include "model/tools/eval/score_maps.h"

#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "model/base/errors.h"
#include "model/base/status_macros.h"
#include "model/data/coco_index.h"
#include "model/data/files.h"
#include "model/data/json_fields.h"
#include "model/data/json_records.h"
#include "model/data/label_runs.h"

namespace semsam {
namespace {

using nlohmann::json;

// One entry of "annotations".
struct MapEntry {
  std::string file_name;
  std::vector<PqSegment> segments;
};

struct LoadedMap {
  LabelImage labels;
  MapEntry entry;

  PanopticView view() const { return {labels.size, labels.values, entry.segments}; }
};

PanopticFiles WithFolder(PanopticFiles files) {
  if (files.folder.empty()) files.folder = WithoutEnding(files.json);
  return files;
}

// The area of a truth is believed where it is stated; predictions have none.
absl::StatusOr<PqSegment> ParseSegment(const json& record, bool is_truth) {
  PqSegment segment;
  SEMSAM_ASSIGN_OR_RETURN(const int64_t id, IntegerField(record, "id"));
  if (id < 0 || id > std::numeric_limits<uint32_t>::max()) {
    return InvalidField("id", "is out of range");
  }
  segment.id = static_cast<uint32_t>(id);
  SEMSAM_ASSIGN_OR_RETURN(segment.category, IntegerField(record, "category_id"));
  if (!is_truth) return segment;
  SEMSAM_ASSIGN_OR_RETURN(segment.crowd, FlagField(record, "iscrowd", false));
  if (FindField(record, "area") != nullptr) {
    SEMSAM_ASSIGN_OR_RETURN(segment.area, IntegerField(record, "area"));
  }
  return segment;
}

absl::StatusOr<MapEntry> ParseEntry(const json& record, bool is_truth) {
  MapEntry entry;
  SEMSAM_ASSIGN_OR_RETURN(entry.file_name, TextField(record, "file_name"));
  if (!StaysInside(entry.file_name)) return InvalidField("file_name", "leads out of the folder");
  const json* segments = FindField(record, "segments_info");
  if (segments == nullptr || !segments->is_array()) {
    return InvalidField("segments_info", "must be a list");
  }
  for (size_t i = 0; i < segments->size(); ++i) {
    absl::StatusOr<PqSegment> segment = ParseSegment((*segments)[i], is_truth);
    if (!segment.ok()) {
      return Annotate(segment.status(), absl::StrCat("segments_info[", i, "]"));
    }
    entry.segments.push_back(*segment);
  }
  return entry;
}

absl::StatusOr<LoadedMap> LoadMap(const PanopticFiles& files, const json& record, bool is_truth) {
  LoadedMap map;
  SEMSAM_ASSIGN_OR_RETURN(map.entry, ParseEntry(record, is_truth));
  SEMSAM_ASSIGN_OR_RETURN(map.labels, ReadLabelPng(JoinPath(files.folder, map.entry.file_name)));
  return map;
}

// Where the prediction for each image stands; such a file needs no "images".
absl::StatusOr<std::map<int64_t, RecordPlace>> IndexPredictions(const JsonRecordFile& file) {
  std::map<int64_t, RecordPlace> places;
  SEMSAM_RETURN_IF_ERROR(file.ForEach([&](const JsonRecord& record) -> absl::Status {
    if (record.array != "annotations") return absl::OkStatus();
    const std::string where = absl::StrCat(file.path(), ": annotations[", record.index, "]");
    const std::optional<int64_t> image_id = FindInteger(record.text, "image_id");
    if (!image_id.has_value()) {
      return absl::InvalidArgumentError(
          absl::StrCat(where, ": \"image_id\": is missing or no whole number"));
    }
    if (!places.emplace(*image_id, record.place).second) {
      return absl::InvalidArgumentError(
          absl::StrCat(where, ": image_id ", *image_id, " occurs twice"));
    }
    return absl::OkStatus();
  }));
  return places;
}

absl::StatusOr<LoadedMap> LoadPrediction(const PanopticFiles& files, const JsonRecordFile& file,
                                         RecordPlace place) {
  SEMSAM_ASSIGN_OR_RETURN(const std::string text, file.Read(place));
  SEMSAM_ASSIGN_OR_RETURN(const json record, ParseJson(text));
  return LoadMap(files, record, /*is_truth=*/false);
}

// Scores truths one by one.
class PanopticScorer {
 public:
  PanopticScorer(const CocoIndex& truth, const PanopticFiles& truth_files,
                 const JsonRecordFile& predictions, const PanopticFiles& prediction_files,
                 const std::map<int64_t, RecordPlace>& places)
      : truth_(truth),
        truth_files_(truth_files),
        predictions_(predictions),
        prediction_files_(prediction_files),
        places_(places),
        accumulator_(ClassesOf(truth)) {}

  absl::Status Add(const CocoAnnotationPlace& place) {
    SEMSAM_ASSIGN_OR_RETURN(const json record, truth_.ReadAnnotation(place));
    absl::StatusOr<LoadedMap> truth = LoadMap(truth_files_, record, /*is_truth=*/true);
    if (!truth.ok()) return truth_.AtAnnotation(truth.status(), place, json());
    const std::string where = absl::StrCat(predictions_.path(), ": image_id ", place.image_id);
    const auto found = places_.find(place.image_id);
    if (found == places_.end()) {
      return absl::NotFoundError(absl::StrCat(where, ": there is no prediction for this image"));
    }
    const absl::StatusOr<LoadedMap> prediction =
        LoadPrediction(prediction_files_, predictions_, found->second);
    if (!prediction.ok()) return Annotate(prediction.status(), where);
    return Annotate(accumulator_.Add(truth->view(), prediction->view()), where);
  }

  PanopticResult Result() const { return accumulator_.Result(); }

 private:
  static std::vector<PanopticClass> ClassesOf(const CocoIndex& index) {
    std::vector<PanopticClass> classes;
    for (const CocoCategory& category : index.categories()) {
      classes.push_back({.id = category.id, .is_thing = category.thing});
    }
    return classes;
  }

  const CocoIndex& truth_;
  const PanopticFiles& truth_files_;
  const JsonRecordFile& predictions_;
  const PanopticFiles& prediction_files_;
  const std::map<int64_t, RecordPlace>& places_;
  PanopticAccumulator accumulator_;
};

absl::StatusOr<std::vector<uint16_t>> ReadClasses(const std::string& path, ImageSize& size) {
  SEMSAM_ASSIGN_OR_RETURN(const LabelImage labels, ReadLabelPng(path));
  size = labels.size;
  std::vector<uint16_t> classes;
  classes.reserve(labels.values.size());
  for (const uint32_t value : labels.values) {
    if (value > std::numeric_limits<uint16_t>::max()) {
      return absl::InvalidArgumentError(absl::StrCat(path, ": the value ", value, " is no class"));
    }
    classes.push_back(static_cast<uint16_t>(value));
  }
  return classes;
}

}  // namespace

absl::StatusOr<PanopticScoresByName> ScorePanoptic(const PanopticFiles& truth,
                                                   const PanopticFiles& predictions) {
  const PanopticFiles truth_files = WithFolder(truth);
  const PanopticFiles prediction_files = WithFolder(predictions);
  SEMSAM_ASSIGN_OR_RETURN(const std::unique_ptr<CocoIndex> index, CocoIndex::Open(truth.json));
  SEMSAM_ASSIGN_OR_RETURN(const std::unique_ptr<JsonRecordFile> file,
                          JsonRecordFile::Open(predictions.json));
  SEMSAM_ASSIGN_OR_RETURN(const auto places, IndexPredictions(*file));
  PanopticScorer scorer(*index, truth_files, *file, prediction_files, places);
  for (size_t i = 0; i < index->size(); ++i) {
    for (const CocoAnnotationPlace& place : index->annotations(i)) {
      SEMSAM_RETURN_IF_ERROR(scorer.Add(place));
    }
  }
  PanopticScoresByName scores{.result = scorer.Result()};
  for (const CocoCategory& category : index->categories()) {
    scores.names.emplace(category.id, category.name);
  }
  return scores;
}

absl::StatusOr<SemanticResult> ScoreSemantic(const std::string& truth,
                                             const std::string& predictions,
                                             const SemanticIouOptions& options) {
  SEMSAM_RETURN_IF_ERROR(options.Validate());
  SEMSAM_ASSIGN_OR_RETURN(const std::vector<std::string> names, ListFolder(truth, {".png"}));
  if (names.empty()) return absl::NotFoundError(absl::StrCat(truth, ": holds no .png"));
  SemanticAccumulator accumulator(options);
  for (const std::string& name : names) {
    const std::string path = JoinPath(predictions, name);
    ImageSize true_size, size;
    SEMSAM_ASSIGN_OR_RETURN(const std::vector<uint16_t> true_labels,
                            ReadClasses(JoinPath(truth, name), true_size));
    SEMSAM_ASSIGN_OR_RETURN(const std::vector<uint16_t> labels, ReadClasses(path, size));
    if (size != true_size) {
      return absl::InvalidArgumentError(absl::StrCat(path, ": has ", size.width, " x ", size.height,
                                                     " pixels, the truth ", true_size.width, " x ",
                                                     true_size.height));
    }
    SEMSAM_RETURN_IF_ERROR(Annotate(accumulator.Add(true_labels, labels), path));
  }
  return accumulator.Result();
}

}  // namespace semsam
