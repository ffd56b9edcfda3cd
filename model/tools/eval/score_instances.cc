#include "model/tools/eval/score_instances.h"

#include <map>
#include <memory>
#include <set>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "model/base/errors.h"
#include "model/base/status_macros.h"
#include "model/data/coco_index.h"
#include "model/data/json_fields.h"
#include "model/evaluation/coco_results.h"

namespace semsam {
namespace {

using nlohmann::json;

absl::StatusOr<ApBox> StatedBox(const json& record) {
  const json* field = FindField(record, "bbox");
  if (field == nullptr) return InvalidField("bbox", "is missing");
  const absl::StatusOr<std::vector<double>> numbers = Numbers(*field);
  if (!numbers.ok() || numbers->size() != 4) return InvalidField("bbox", "is not four numbers");
  return ApBox{
      .x = (*numbers)[0], .y = (*numbers)[1], .width = (*numbers)[2], .height = (*numbers)[3]};
}

// `size`: of the picture; asked for where masks are compared.
absl::StatusOr<ApTruth> ParseTruth(const json& record, const CocoIndex& index, ApKind kind,
                                   ImageSize size) {
  ApTruth truth;
  SEMSAM_ASSIGN_OR_RETURN(const int64_t id, IntegerField(record, "id"));
  truth.id_is_zero = id == 0;
  SEMSAM_ASSIGN_OR_RETURN(truth.category, IntegerField(record, "category_id"));
  if (index.category(truth.category) == nullptr) {
    return absl::InvalidArgumentError(
        absl::StrCat("category_id ", truth.category, " names nothing"));
  }
  SEMSAM_ASSIGN_OR_RETURN(truth.crowd, FlagField(record, "iscrowd", false));
  if (const json* area = FindField(record, "area"); area != nullptr) {
    if (!area->is_number()) return InvalidField("area", "is not a number");
    truth.area = area->get<double>();
  }
  if (kind == ApKind::kBox) {
    SEMSAM_ASSIGN_OR_RETURN(truth.box, StatedBox(record));
    return truth;
  }
  const json* segmentation = FindField(record, "segmentation");
  if (segmentation == nullptr) return InvalidField("segmentation", "is missing");
  SEMSAM_ASSIGN_OR_RETURN(truth.mask, CocoMask(*segmentation, size));
  return truth;
}

absl::StatusOr<std::vector<ApTruth>> TruthsOfImage(const CocoIndex& index, size_t image,
                                                   ApKind kind) {
  ImageSize size;
  if (kind == ApKind::kMask) {
    SEMSAM_ASSIGN_OR_RETURN(const json record, index.ReadImage(image));
    absl::StatusOr<ImageSize> stated = SizeFields(record);
    if (!stated.ok()) {
      return Annotate(stated.status(),
                      absl::StrCat(index.path(), ": image \"", index.image(image).file_name, "\""));
    }
    size = *stated;
  }
  std::vector<ApTruth> truths;
  for (const CocoAnnotationPlace& place : index.annotations(image)) {
    SEMSAM_ASSIGN_OR_RETURN(const json record, index.ReadAnnotation(place));
    absl::StatusOr<ApTruth> truth = ParseTruth(record, index, kind, size);
    if (!truth.ok()) return index.AtAnnotation(truth.status(), place, record);
    truths.push_back(*std::move(truth));
  }
  return truths;
}

}  // namespace

absl::StatusOr<InstanceScores> ScoreInstances(const std::string& truth,
                                              const std::string& predictions,
                                              const ApOptions& options) {
  SEMSAM_RETURN_IF_ERROR(options.Validate());
  SEMSAM_ASSIGN_OR_RETURN(const std::unique_ptr<CocoIndex> index, CocoIndex::Open(truth));
  SEMSAM_ASSIGN_OR_RETURN(auto detections, ReadCocoResults(predictions, options.kind));
  std::set<int64_t> images;
  for (size_t i = 0; i < index->size(); ++i) images.insert(index->image(i).id);
  for (const auto& [image_id, unused] : detections) {
    if (images.contains(image_id)) continue;
    return absl::InvalidArgumentError(
        absl::StrCat(predictions, ": image_id ", image_id, " names no image of ", truth));
  }
  ApAccumulator accumulator(options);
  for (size_t i = 0; i < index->size(); ++i) {
    const int64_t image_id = index->image(i).id;
    SEMSAM_ASSIGN_OR_RETURN(const std::vector<ApTruth> truths,
                            TruthsOfImage(*index, i, options.kind));
    auto found = detections.extract(image_id);
    const std::vector<ApDetection> none;
    SEMSAM_RETURN_IF_ERROR(
        Annotate(accumulator.Add(image_id, truths, found.empty() ? none : found.mapped()),
                 absl::StrCat(predictions, ": image_id ", image_id)));
  }
  InstanceScores scores{.result = accumulator.Result()};
  for (const CocoCategory& category : index->categories()) {
    scores.names.emplace(category.id, category.name);
  }
  return scores;
}

}  // namespace semsam
