#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "model/base/errors.h"
#include "model/base/status_macros.h"
#include "model/data/coco_index.h"
#include "model/data/coco_sample.h"
#include "model/data/files.h"
#include "model/data/json_fields.h"
#include "model/data/nesting.h"
#include "model/data/picture_path.h"
#include "model/data/readers.h"
#include "model/data/vocabulary_builder.h"
#include "model/image/run_length_sets.h"

namespace semsam {
namespace {

using Json = nlohmann::json;

struct CategoryNames {
  std::string object;
  std::string part;
};

// "mouse_(computer_equipment)" -> "mouse".
std::string LvisWord(absl::string_view name) {
  std::string word(name.substr(0, name.find('(')));
  absl::StrReplaceAll({{"_", " "}}, &word);
  absl::StripAsciiWhitespace(&word);
  return word;
}

// "trash_can:inner_body" -> "trash can", "inner body".
CategoryNames PacoNames(const CocoCategory& category) {
  const size_t colon = category.name.find(':');
  if (colon == std::string::npos) return {.object = LvisWord(category.name)};
  return {.object = LvisWord(absl::string_view(category.name).substr(0, colon)),
          .part = LvisWord(absl::string_view(category.name).substr(colon + 1))};
}

// "Car Tier", "Car" -> "car", "tire".
CategoryNames PartImageNetNames(const CocoCategory& category) {
  std::string object = category.supercategory;
  std::string part = category.name;
  if (!object.empty() && absl::StartsWith(part, object + " ")) {
    part = part.substr(object.size() + 1);
  } else if (const size_t space = part.find(' '); object.empty() && space != std::string::npos) {
    object = part.substr(0, space);
    part = part.substr(space + 1);
  }
  absl::AsciiStrToLower(&object);
  absl::AsciiStrToLower(&part);
  return {.object = object, .part = part == "tier" ? "tire" : part};
}

CategoryNames NamesOf(DatasetFormat format, const CocoCategory& category) {
  switch (format) {
    case DatasetFormat::kPaco:
      return PacoNames(category);
    case DatasetFormat::kPartImageNet:
      return PartImageNetNames(category);
    default:
      return {.object = category.name};
  }
}

// Adds the objects that PartImageNet leaves out: the union of the parts of one kind
// in a picture. Two animals of a kind become one object; the set has few such.
void AddWholes(Sample& sample) {
  std::map<std::string, int> wholes;
  int64_t next_id = 1;
  for (const Annotation& part : sample.annotations) next_id = std::max(next_id, part.id + 1);
  const size_t parts = sample.annotations.size();
  for (size_t i = 0; i < parts; ++i) {
    if (!sample.annotations[i].mask.has_value() || sample.annotations[i].part_name.empty()) {
      continue;
    }
    const std::string object = sample.annotations[i].object_name;
    const auto [found, is_new] =
        wholes.emplace(object, static_cast<int>(sample.annotations.size()));
    if (is_new) {
      sample.annotations.push_back(
          {.id = next_id++, .mask = EmptyMask(sample.size), .object_name = object});
    }
    Annotation& whole = sample.annotations[found->second];
    whole.mask = UnionOf(*whole.mask, *sample.annotations[i].mask);
    whole.box = TightBox(*whole.mask);
    sample.annotations[i].parent = found->second;
  }
}

class CocoDataset final : public Dataset {
 public:
  CocoDataset(DatasetSpec spec, std::unique_ptr<CocoIndex> index)
      : spec_(std::move(spec)), index_(std::move(index)) {
    for (const CocoCategory& category : index_->categories()) {
      names_.emplace(category.id, NamesOf(spec_.format, category));
    }
    info_ = {.name = spec_.name, .licence = spec_.licence, .source = spec_.source};
    info_.vocabulary = MakeVocabulary();
    for (const PartialRule& rule : spec_.partial) {
      partial_.push_back(
          std::make_shared<Vocabulary>(Vocabulary{.name = absl::StrCat(spec_.name, "-", rule.value),
                                                  .objects = rule.objects,
                                                  .closed_world = true}));
    }
  }

  const DatasetInfo& info() const override { return info_; }
  size_t size() const override { return index_->size(); }
  std::string name(size_t index) const override {
    return std::string(WithoutEnding(index_->image(index).file_name));
  }
  absl::StatusOr<Sample> Load(size_t index) const override;

 private:
  std::shared_ptr<const Vocabulary> MakeVocabulary() const;
  absl::StatusOr<Sample> LoadImage(size_t index, bool& rest_unknown) const;
  absl::Status AddAnnotation(const Json& record, Sample& sample) const;
  absl::Status LinkPacoParts(const std::vector<int64_t>& objects, Sample& sample) const;
  // Names behind category ids; an id that names nothing is left out.
  std::vector<std::string> ObjectNames(const std::vector<int64_t>& ids) const;

  const DatasetSpec spec_;
  const std::unique_ptr<CocoIndex> index_;
  std::map<int64_t, CategoryNames> names_;
  DatasetInfo info_;
  std::vector<std::shared_ptr<const Vocabulary>> partial_;  // of spec_.partial
};

std::shared_ptr<const Vocabulary> CocoDataset::MakeVocabulary() const {
  VocabularyBuilder builder(spec_.name);
  for (const CocoCategory& category : index_->categories()) {
    const CategoryNames& names = names_.at(category.id);
    const bool nested =
        std::any_of(spec_.nesting.begin(), spec_.nesting.end(),
                    [&](const NestingRule& rule) { return rule.part == category.name; });
    if (nested) {
      builder.AddPart(names.object);
    } else {
      builder.AddObject(names.object);
      builder.AddPart(names.part);
    }
  }
  // PACO annotates a part of the instances only (as LVIS does).
  return builder.Build(spec_.closed_world && spec_.format != DatasetFormat::kPaco);
}

std::vector<std::string> CocoDataset::ObjectNames(const std::vector<int64_t>& ids) const {
  std::vector<std::string> names;
  for (const int64_t id : ids) {
    const auto found = names_.find(id);
    if (found != names_.end() && found->second.part.empty()) names.push_back(found->second.object);
  }
  return names;
}

// The sample without its annotations.
absl::StatusOr<Sample> CocoDataset::LoadImage(size_t index, bool& rest_unknown) const {
  const CocoImage& image = index_->image(index);
  const std::string where = absl::StrCat(index_->path(), ": image \"", image.file_name, "\"");
  SEMSAM_ASSIGN_OR_RETURN(const Json record, index_->ReadImage(index));
  SEMSAM_ASSIGN_OR_RETURN(Sample sample, StartCocoSample(*index_, index, record, spec_.images,
                                                         info_, {"coco_url", "flickr_url"}));
  for (size_t i = 0; i < spec_.partial.size(); ++i) {
    absl::StatusOr<std::string> value = TextField(record, spec_.partial[i].field.c_str(), "");
    if (!value.ok()) return Annotate(value.status(), where);
    if (*value != spec_.partial[i].value) continue;
    sample.vocabulary = partial_[i];
    rest_unknown = true;
  }
  if (spec_.format == DatasetFormat::kPaco) {
    absl::StatusOr<std::vector<int64_t>> absent = IntegersField(record, "neg_category_ids");
    if (!absent.ok()) return Annotate(absent.status(), where);
    sample.absent = ObjectNames(*absent);
  }
  return sample;
}

absl::Status CocoDataset::AddAnnotation(const Json& record, Sample& sample) const {
  Annotation annotation;
  SEMSAM_ASSIGN_OR_RETURN(annotation.id, IntegerField(record, "id"));
  SEMSAM_ASSIGN_OR_RETURN(const int64_t category, IntegerField(record, "category_id"));
  const auto names = names_.find(category);
  if (names == names_.end()) {
    return absl::InvalidArgumentError(absl::StrCat("category_id ", category, " names nothing"));
  }
  annotation.object_name = names->second.object;
  annotation.part_name = names->second.part;
  SEMSAM_ASSIGN_OR_RETURN(annotation.crowd, FlagField(record, "iscrowd", false));
  if (const Json* area = FindField(record, "area"); area != nullptr && area->is_number()) {
    annotation.stated_area_px = area->get<double>();
  }
  if (const Json* box = FindField(record, "bbox"); box != nullptr) {
    absl::StatusOr<BoxPx> cut = CocoBox(*box, sample.size);
    if (!cut.ok()) return Annotate(cut.status(), "\"bbox\"");
    annotation.box = *cut;
    const std::vector<double> stated = *Numbers(*box);
    annotation.stated_box = {
        .x0 = stated[0], .y0 = stated[1], .x1 = stated[0] + stated[2], .y1 = stated[1] + stated[3]};
  }
  const Json* segmentation = FindField(record, "segmentation");
  // Some tools write an empty list where there is only a box.
  if (segmentation != nullptr && !segmentation->empty()) {
    SEMSAM_ASSIGN_OR_RETURN(RunLengths mask, CocoMask(*segmentation, sample.size));
    if (MaskArea(mask) > 0) {
      annotation.box = TightBox(mask);
      annotation.mask = std::move(mask);
    }
  }
  if (segmentation == nullptr && FindField(record, "bbox") == nullptr) {
    return absl::InvalidArgumentError("neither \"segmentation\" nor \"bbox\"");
  }
  // Smaller than a pixel, or outside: there is nothing to learn from it.
  if (!annotation.box.empty()) sample.annotations.push_back(std::move(annotation));
  return absl::OkStatus();
}

// `objects`: what "obj_ann_id" says of each annotation of the sample.
absl::Status CocoDataset::LinkPacoParts(const std::vector<int64_t>& objects, Sample& sample) const {
  std::map<int64_t, int> by_id;
  for (size_t i = 0; i < sample.annotations.size(); ++i) {
    by_id.emplace(sample.annotations[i].id, static_cast<int>(i));
  }
  for (size_t i = 0; i < sample.annotations.size(); ++i) {
    Annotation& annotation = sample.annotations[i];
    if (annotation.part_name.empty()) continue;
    const auto found = by_id.find(objects[i]);
    if (found == by_id.end() || !sample.annotations[found->second].part_name.empty()) {
      return absl::InvalidArgumentError(absl::StrCat(index_->path(), ": annotation id ",
                                                     annotation.id, ": obj_ann_id ", objects[i],
                                                     " names no object of the picture"));
    }
    annotation.parent = found->second;
  }
  return absl::OkStatus();
}

absl::StatusOr<Sample> CocoDataset::Load(size_t index) const {
  bool rest_unknown = spec_.rest_unknown || spec_.format == DatasetFormat::kPaco;
  SEMSAM_ASSIGN_OR_RETURN(Sample sample, LoadImage(index, rest_unknown));
  std::vector<int64_t> objects;
  for (const CocoAnnotationPlace& place : index_->annotations(index)) {
    SEMSAM_ASSIGN_OR_RETURN(const Json record, index_->ReadAnnotation(place));
    absl::Status status = AddAnnotation(record, sample);
    if (!status.ok()) return index_->AtAnnotation(status, place, record);
    absl::StatusOr<int64_t> object = IntegerField(record, "obj_ann_id", -1);
    if (!object.ok()) return index_->AtAnnotation(object.status(), place, record);
    objects.resize(sample.annotations.size(), *object);
  }
  if (spec_.format == DatasetFormat::kPaco) {
    SEMSAM_RETURN_IF_ERROR(LinkPacoParts(objects, sample));
  }
  if (spec_.format == DatasetFormat::kPartImageNet) AddWholes(sample);
  NestByRules(sample, spec_.nesting);
  if (rest_unknown) AddUnknown(sample, Unannotated(sample));
  // Who is in a crowd, and where one ends, is not known.
  for (const Annotation& annotation : sample.annotations) {
    if (annotation.crowd && annotation.mask.has_value()) AddUnknown(sample, *annotation.mask);
  }
  return sample;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Dataset>> OpenCoco(const DatasetSpec& spec) {
  if (spec.annotations.empty()) return InvalidField("annotations", "needs the JSON file");
  if (spec.images.empty()) return InvalidField("images", "needs the folder of the pictures");
  SEMSAM_ASSIGN_OR_RETURN(std::unique_ptr<CocoIndex> index, CocoIndex::Open(spec.annotations));
  DatasetSpec named = spec;
  if (named.name.empty()) named.name = WithoutEnding(BaseName(spec.annotations));
  return std::make_unique<CocoDataset>(std::move(named), std::move(index));
}

}  // namespace semsam
