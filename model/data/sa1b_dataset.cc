#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "model/base/errors.h"
#include "model/base/status_macros.h"
#include "model/data/files.h"
#include "model/data/json_fields.h"
#include "model/data/nesting.h"
#include "model/data/picture_path.h"
#include "model/data/readers.h"
#include "model/data/vocabulary_builder.h"
#include "model/image/run_lengths.h"

namespace semsam {
namespace {

using Json = nlohmann::json;

constexpr int64_t kMaxFileBytes = int64_t{64} << 20;

absl::StatusOr<Annotation> ReadMask(const Json& record, ImageSize size) {
  Annotation annotation;
  SEMSAM_ASSIGN_OR_RETURN(annotation.id, IntegerField(record, "id"));
  const Json* segmentation = FindField(record, "segmentation");
  if (segmentation == nullptr) return absl::InvalidArgumentError("\"segmentation\": is missing");
  SEMSAM_ASSIGN_OR_RETURN(annotation.mask, CocoMask(*segmentation, size));
  annotation.box = TightBox(*annotation.mask);
  return annotation;
}

class Sa1bDataset final : public Dataset {
 public:
  Sa1bDataset(std::string folder, DatasetInfo info, std::vector<std::string> stems)
      : folder_(std::move(folder)), info_(std::move(info)), stems_(std::move(stems)) {}

  const DatasetInfo& info() const override { return info_; }
  size_t size() const override { return stems_.size(); }
  std::string name(size_t index) const override { return stems_[index]; }

  absl::StatusOr<Sample> Load(size_t index) const override {
    const std::string path = JoinPath(folder_, stems_[index] + ".json");
    SEMSAM_ASSIGN_OR_RETURN(const std::string text, ReadWholeFile(path, kMaxFileBytes));
    absl::StatusOr<Sample> sample = Parse(text);
    if (!sample.ok()) return Annotate(sample.status(), path);
    sample->name = stems_[index];
    sample->picture_path = PictureOfStem(folder_, stems_[index]);
    return sample;
  }

 private:
  absl::StatusOr<Sample> Parse(std::string_view text) const;

  const std::string folder_;
  const DatasetInfo info_;
  const std::vector<std::string> stems_;
};

absl::StatusOr<Sample> Sa1bDataset::Parse(std::string_view text) const {
  SEMSAM_ASSIGN_OR_RETURN(const Json json, ParseJson(text));
  const Json* image = FindField(json, "image");
  const Json* annotations = FindField(json, "annotations");
  if (image == nullptr || annotations == nullptr || !annotations->is_array()) {
    return absl::InvalidArgumentError("needs \"image\" and a list \"annotations\"");
  }
  Sample sample = {
      .vocabulary = info_.vocabulary, .licence = info_.licence, .source = info_.source};
  SEMSAM_ASSIGN_OR_RETURN(sample.size, SizeFields(*image));
  for (size_t i = 0; i < annotations->size(); ++i) {
    absl::StatusOr<Annotation> annotation = ReadMask((*annotations)[i], sample.size);
    if (!annotation.ok()) {
      const absl::StatusOr<int64_t> id = IntegerField((*annotations)[i], "id");
      return Annotate(
          annotation.status(),
          absl::StrCat("annotations[", i, "]", id.ok() ? absl::StrCat(" (id ", *id, ")") : ""));
    }
    if (MaskArea(*annotation->mask) > 0) sample.annotations.push_back(*std::move(annotation));
  }
  NestByContainment(sample);
  // The masks are many but not all there could be.
  AddUnknown(sample, Unannotated(sample));
  return sample;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Dataset>> OpenSa1b(const DatasetSpec& spec) {
  if (spec.images.empty()) return InvalidField("images", "needs the folder");
  SEMSAM_ASSIGN_OR_RETURN(std::vector<std::string> names, ListFolder(spec.images, {".json"}));
  for (std::string& name : names) name = WithoutEnding(name);
  std::sort(names.begin(), names.end());  // without its ending a name sorts elsewhere
  const std::string name = spec.name.empty() ? "sa1b" : spec.name;
  DatasetInfo info = {.name = name,
                      .licence = spec.licence,
                      .source = spec.source,
                      .vocabulary = VocabularyBuilder(name).Build(/*closed_world=*/false)};
  return std::make_unique<Sa1bDataset>(spec.images, std::move(info), std::move(names));
}

}  // namespace semsam
