#include "model/data/dataset.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "model/base/errors.h"
#include "model/base/status_macros.h"
#include "model/data/catalog.h"
#include "model/data/readers.h"

namespace semsam {
namespace {

absl::string_view ToAbsl(std::string_view text) { return {text.data(), text.size()}; }

// Borrows from another set.
class SubsetDataset final : public Dataset {
 public:
  SubsetDataset(std::shared_ptr<const Dataset> dataset, std::vector<size_t> indices)
      : dataset_(std::move(dataset)), indices_(std::move(indices)) {}

  const DatasetInfo& info() const override { return dataset_->info(); }
  size_t size() const override { return indices_.size(); }
  std::string name(size_t index) const override { return dataset_->name(indices_[index]); }
  absl::StatusOr<Sample> Load(size_t index) const override {
    return dataset_->Load(indices_[index]);
  }

 private:
  const std::shared_ptr<const Dataset> dataset_;
  const std::vector<size_t> indices_;
};

// Loads through the reader and keeps the promise that what comes back is sound.
class CheckedDataset final : public Dataset {
 public:
  explicit CheckedDataset(std::unique_ptr<Dataset> reader) : reader_(std::move(reader)) {}

  const DatasetInfo& info() const override { return reader_->info(); }
  size_t size() const override { return reader_->size(); }
  std::string name(size_t index) const override { return reader_->name(index); }
  absl::StatusOr<Sample> Load(size_t index) const override {
    absl::StatusOr<Sample> sample = reader_->Load(index);
    if (!sample.ok()) return sample;
    const absl::Status sound = CheckSample(*sample);
    if (!sound.ok()) return Annotate(sound, absl::StrCat(info().name, ": ", sample->name));
    return sample;
  }

 private:
  const std::unique_ptr<Dataset> reader_;
};

absl::StatusOr<std::unique_ptr<Dataset>> OpenReader(const DatasetSpec& spec) {
  switch (spec.format) {
    case DatasetFormat::kSa1b:
      return OpenSa1b(spec);
    case DatasetFormat::kCoco:
    case DatasetFormat::kPaco:
    case DatasetFormat::kPartImageNet:
      return OpenCoco(spec);
    case DatasetFormat::kCocoPanoptic:
      return OpenPanoptic(spec);
    case DatasetFormat::kPascalPart:
      return OpenPascalPart(spec);
    case DatasetFormat::kFolder:
      return OpenFolder(spec);
    case DatasetFormat::kLabelMaps:
      return OpenLabelMaps(spec);
  }
  return absl::InvalidArgumentError("unknown format of a data set");
}

absl::StatusOr<bool> ParseFlag(absl::string_view key, absl::string_view value) {
  if (value == "0") return false;
  if (value == "1") return true;
  return absl::InvalidArgumentError(absl::StrCat(key, ": must be 0 or 1, not \"", value, "\""));
}

// "a=1,b=2" -> pairs; views of `keys`.
std::vector<std::pair<absl::string_view, absl::string_view>> SplitEntries(absl::string_view keys) {
  std::vector<std::pair<absl::string_view, absl::string_view>> entries;
  for (const absl::string_view entry : absl::StrSplit(keys, ',', absl::SkipEmpty())) {
    entries.push_back(absl::StrSplit(entry, absl::MaxSplits('=', 1)));
  }
  return entries;
}

absl::Status SetKey(DatasetSpec& spec, absl::string_view key, absl::string_view value) {
  const std::pair<absl::string_view, std::string*> texts[] = {
      {"name", &spec.name},     {"images", &spec.images},   {"annotations", &spec.annotations},
      {"labels", &spec.labels}, {"licence", &spec.licence}, {"source", &spec.source}};
  for (const auto& [name, text] : texts) {
    if (key != name) continue;
    *text = std::string(value);
    return absl::OkStatus();
  }
  const std::pair<absl::string_view, bool*> flags[] = {{"closed_world", &spec.closed_world},
                                                       {"rest_unknown", &spec.rest_unknown}};
  for (const auto& [name, flag] : flags) {
    if (key != name) continue;
    SEMSAM_ASSIGN_OR_RETURN(*flag, ParseFlag(key, value));
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(absl::StrCat("unknown key \"", key, "\" of a data set"));
}

}  // namespace

absl::StatusOr<LoadedSample> LoadWithPicture(const Dataset& dataset, size_t index,
                                             const DecodeLimits& limits) {
  LoadedSample loaded;
  SEMSAM_ASSIGN_OR_RETURN(loaded.sample, dataset.Load(index));
  SEMSAM_ASSIGN_OR_RETURN(loaded.picture, LoadPicture(loaded.sample, limits));
  return loaded;
}

absl::StatusOr<std::unique_ptr<Dataset>> OpenDataset(const DatasetSpec& spec) {
  SEMSAM_ASSIGN_OR_RETURN(std::unique_ptr<Dataset> reader, OpenReader(spec));
  return std::make_unique<CheckedDataset>(std::move(reader));
}

absl::StatusOr<DatasetSpec> ParseDatasetSpec(std::string_view text) {
  const size_t colon = text.find(':');
  const std::string_view format = text.substr(0, colon);
  DatasetSpec spec;
  const auto known = std::find(kDatasetFormatNames.begin(), kDatasetFormatNames.end(), format);
  if (known == kDatasetFormatNames.end() && format != "collection") {
    std::vector<std::string> names(kDatasetFormatNames.begin(), kDatasetFormatNames.end());
    return absl::InvalidArgumentError(
        absl::StrCat("unknown format \"", ToAbsl(format),
                     "\" of a data set; there are: ", absl::StrJoin(names, ", "), ", collection"));
  }
  const absl::string_view keys =
      colon == std::string_view::npos ? absl::string_view() : ToAbsl(text.substr(colon + 1));
  const std::vector<std::pair<absl::string_view, absl::string_view>> entries = SplitEntries(keys);
  for (const auto& [key, value] : entries) SEMSAM_RETURN_IF_ERROR(SetKey(spec, key, value));
  if (known == kDatasetFormatNames.end()) {
    SEMSAM_ASSIGN_OR_RETURN(DatasetSpec collection, CollectionSpec(spec.images));
    for (const auto& [key, value] : entries) {
      if (key != "images") SEMSAM_RETURN_IF_ERROR(SetKey(collection, key, value));
    }
    return collection;
  }
  spec.format = static_cast<DatasetFormat>(known - kDatasetFormatNames.begin());
  return spec;
}

std::unique_ptr<Dataset> Subset(std::shared_ptr<const Dataset> dataset,
                                std::vector<size_t> indices) {
  return std::make_unique<SubsetDataset>(std::move(dataset), std::move(indices));
}

}  // namespace semsam
