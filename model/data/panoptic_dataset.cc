#include <map>
#include <memory>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "model/base/errors.h"
#include "model/base/status_macros.h"
#include "model/data/coco_index.h"
#include "model/data/coco_sample.h"
#include "model/data/files.h"
#include "model/data/json_fields.h"
#include "model/data/label_runs.h"
#include "model/data/nesting.h"
#include "model/data/picture_path.h"
#include "model/data/readers.h"
#include "model/data/vocabulary_builder.h"
#include "model/image/run_lengths.h"

namespace semsam {
namespace {

using Json = nlohmann::json;

// Pixels of no segment.
constexpr uint32_t kVoid = 0;

// ADE20K lists synonyms: "windowpane, window".
std::string FirstSynonym(const std::string& name) { return name.substr(0, name.find(',')); }

class PanopticDataset final : public Dataset {
 public:
  PanopticDataset(DatasetSpec spec, std::unique_ptr<CocoIndex> index)
      : spec_(std::move(spec)), index_(std::move(index)) {
    VocabularyBuilder builder(spec_.name);
    for (const CocoCategory& category : index_->categories()) {
      builder.AddObject(FirstSynonym(category.name));
    }
    info_ = {.name = spec_.name,
             .licence = spec_.licence,
             .source = spec_.source,
             .vocabulary = builder.Build(spec_.closed_world)};
  }

  const DatasetInfo& info() const override { return info_; }
  size_t size() const override { return index_->size(); }
  std::string name(size_t index) const override {
    return std::string(WithoutEnding(index_->image(index).file_name));
  }
  absl::StatusOr<Sample> Load(size_t index) const override;

 private:
  absl::StatusOr<Sample> LoadImage(size_t index) const;
  absl::Status AddSegments(const Json& record, Sample& sample) const;
  absl::Status AddSegment(const Json& segment, std::map<uint32_t, RunLengths>& masks,
                          Sample& sample) const;

  const DatasetSpec spec_;
  const std::unique_ptr<CocoIndex> index_;
  DatasetInfo info_;
};

absl::StatusOr<Sample> PanopticDataset::LoadImage(size_t index) const {
  const CocoImage& image = index_->image(index);
  const std::string where = absl::StrCat(index_->path(), ": image \"", image.file_name, "\"");
  SEMSAM_ASSIGN_OR_RETURN(const Json record, index_->ReadImage(index));
  SEMSAM_ASSIGN_OR_RETURN(
      Sample sample, StartCocoSample(*index_, index, record, spec_.images, info_, {"flickr_url"}));
  if (index_->annotations(index).size() != 1) {
    return absl::InvalidArgumentError(
        absl::StrCat(where, ": has ", index_->annotations(index).size(), " annotations, not one"));
  }
  return sample;
}

absl::Status PanopticDataset::AddSegment(const Json& segment, std::map<uint32_t, RunLengths>& masks,
                                         Sample& sample) const {
  Annotation annotation;
  SEMSAM_ASSIGN_OR_RETURN(annotation.id, IntegerField(segment, "id"));
  SEMSAM_ASSIGN_OR_RETURN(const int64_t id, IntegerField(segment, "category_id"));
  const CocoCategory* category = index_->category(id);
  if (category == nullptr) {
    return absl::InvalidArgumentError(absl::StrCat("category_id ", id, " names nothing"));
  }
  const bool is_id = annotation.id > 0 && annotation.id <= 0xFFFFFF;
  const auto mask = is_id ? masks.find(static_cast<uint32_t>(annotation.id)) : masks.end();
  if (mask == masks.end()) {
    return absl::InvalidArgumentError("its id does not occur in the label map");
  }
  annotation.object_name = FirstSynonym(category->name);
  annotation.stuff = !category->thing;
  SEMSAM_ASSIGN_OR_RETURN(annotation.crowd, FlagField(segment, "iscrowd", false));
  annotation.box = TightBox(mask->second);
  annotation.stated_area_px = static_cast<double>(MaskArea(mask->second));
  annotation.mask = std::move(mask->second);
  masks.erase(mask);
  sample.annotations.push_back(std::move(annotation));
  return absl::OkStatus();
}

absl::Status PanopticDataset::AddSegments(const Json& record, Sample& sample) const {
  SEMSAM_ASSIGN_OR_RETURN(const std::string file_name, TextField(record, "file_name"));
  if (!StaysInside(file_name)) {
    return absl::InvalidArgumentError("\"file_name\": leads out of the folder of label maps");
  }
  const std::string path = JoinPath(spec_.labels, file_name);
  SEMSAM_ASSIGN_OR_RETURN(const LabelImage labels, ReadLabelPng(path));
  if (labels.size != sample.size) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": the label map has ", labels.size.width, " x ", labels.size.height,
                     " pixels, the picture ", sample.size.width, " x ", sample.size.height));
  }
  absl::StatusOr<std::map<uint32_t, RunLengths>> masks = RunsOfValues(labels);
  if (!masks.ok()) return Annotate(masks.status(), path);
  const Json* segments = FindField(record, "segments_info");
  if (segments == nullptr || !segments->is_array()) {
    return absl::InvalidArgumentError("\"segments_info\": must be a list");
  }
  for (size_t i = 0; i < segments->size(); ++i) {
    absl::Status status = AddSegment((*segments)[i], *masks, sample);
    if (status.ok()) continue;
    const absl::StatusOr<int64_t> id = IntegerField((*segments)[i], "id");
    return Annotate(status, absl::StrCat("segments_info[", i, "]",
                                         id.ok() ? absl::StrCat(" (id ", *id, ")") : ""));
  }
  if (const auto rest = masks->find(kVoid); rest != masks->end()) {
    AddUnknown(sample, rest->second);
    masks->erase(rest);
  }
  if (!masks->empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": id ", masks->begin()->first, " has no segment"));
  }
  return absl::OkStatus();
}

absl::StatusOr<Sample> PanopticDataset::Load(size_t index) const {
  SEMSAM_ASSIGN_OR_RETURN(Sample sample, LoadImage(index));
  const CocoAnnotationPlace& place = index_->annotations(index)[0];
  SEMSAM_ASSIGN_OR_RETURN(const Json record, index_->ReadAnnotation(place));
  absl::Status status = AddSegments(record, sample);
  if (!status.ok()) return index_->AtAnnotation(status, place, Json());
  NestByRules(sample, spec_.nesting);
  for (const Annotation& annotation : sample.annotations) {
    if (annotation.crowd) AddUnknown(sample, *annotation.mask);
  }
  return sample;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Dataset>> OpenPanoptic(const DatasetSpec& spec) {
  if (spec.annotations.empty()) return InvalidField("annotations", "needs the JSON file");
  if (spec.labels.empty()) return InvalidField("labels", "needs the folder of the label maps");
  if (spec.images.empty()) return InvalidField("images", "needs the folder of the pictures");
  SEMSAM_ASSIGN_OR_RETURN(std::unique_ptr<CocoIndex> index, CocoIndex::Open(spec.annotations));
  DatasetSpec named = spec;
  if (named.name.empty()) named.name = WithoutEnding(BaseName(spec.annotations));
  return std::make_unique<PanopticDataset>(std::move(named), std::move(index));
}

}  // namespace semsam
