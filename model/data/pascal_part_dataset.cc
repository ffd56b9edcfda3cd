#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "model/base/errors.h"
#include "model/base/status_macros.h"
#include "model/data/files.h"
#include "model/data/mat_file.h"
#include "model/data/pascal_part_names.h"
#include "model/data/picture_path.h"
#include "model/data/readers.h"
#include "model/data/vocabulary_builder.h"
#include "model/image/run_length_sets.h"

namespace semsam {
namespace {

constexpr int64_t kMaxFileBytes = int64_t{64} << 20;

// MATLAB stores columns one after the other, as run lengths do.
absl::StatusOr<RunLengths> MaskOf(const MatArray* array) {
  if (array == nullptr || array->kind != MatArray::Kind::kNumbers || array->shape.size() != 2) {
    return absl::InvalidArgumentError("\"mask\" is no matrix");
  }
  const DecodeLimits limits;
  const int64_t height = array->shape[0], width = array->shape[1];
  if (height < 1 || width < 1 || height > limits.max_side_px || width > limits.max_side_px ||
      height * width > limits.max_pixels) {
    return absl::InvalidArgumentError(absl::StrCat("\"mask\" of ", width, " x ", height));
  }
  RunLengths runs{.size = {.height = static_cast<int>(height), .width = static_cast<int>(width)},
                  .counts = {0}};
  bool inside = false;
  for (int64_t i = 0; i < height * width; ++i) {
    if ((array->number(i) != 0) != inside) {
      runs.counts.push_back(0);
      inside = !inside;
    }
    ++runs.counts.back();
  }
  return runs;
}

absl::StatusOr<std::string> TextOf(const MatArray* array, const char* name) {
  if (array == nullptr || array->kind != MatArray::Kind::kText) {
    return absl::InvalidArgumentError(absl::StrCat("\"", name, "\" is no text"));
  }
  return array->text();
}

// Reads one mask into the sample; its size becomes the sample's, or must be it.
absl::Status AddMask(const MatArray* mask, Annotation annotation, Sample& sample) {
  SEMSAM_ASSIGN_OR_RETURN(annotation.mask, MaskOf(mask));
  if (sample.size.area() == 0) sample.size = annotation.mask->size;
  if (annotation.mask->size != sample.size) {
    return absl::InvalidArgumentError("\"mask\" has another size than those before it");
  }
  if (MaskArea(*annotation.mask) == 0) return absl::OkStatus();
  annotation.box = TightBox(*annotation.mask);
  annotation.id = static_cast<int64_t>(sample.annotations.size()) + 1;
  sample.annotations.push_back(std::move(annotation));
  return absl::OkStatus();
}

absl::Status AddObject(const MatArray& objects, int64_t index, Sample& sample) {
  SEMSAM_ASSIGN_OR_RETURN(const std::string name, TextOf(objects.field(index, "class"), "class"));
  const std::string word = PascalObjectWord(name);
  const size_t before = sample.annotations.size();
  SEMSAM_RETURN_IF_ERROR(AddMask(objects.field(index, "mask"), {.object_name = word}, sample));
  const int parent = sample.annotations.size() > before ? static_cast<int>(before) : -1;
  const MatArray* parts = objects.field(index, "parts");
  // Without parts the field is an empty matrix.
  if (parts == nullptr || parts->size() == 0) return absl::OkStatus();
  for (int64_t i = 0; i < parts->size(); ++i) {
    absl::StatusOr<std::string> part = TextOf(parts->field(i, "part_name"), "part_name");
    absl::Status status = part.status();
    if (status.ok()) {
      status = AddMask(parts->field(i, "mask"),
                       {.object_name = word, .part_name = PascalPartWord(*part), .parent = parent},
                       sample);
    }
    if (!status.ok()) return Annotate(status, absl::StrCat("parts(", i + 1, ")"));
  }
  return absl::OkStatus();
}

class PascalPartDataset final : public Dataset {
 public:
  PascalPartDataset(DatasetSpec spec, DatasetInfo info, std::vector<std::string> stems)
      : spec_(std::move(spec)), info_(std::move(info)), stems_(std::move(stems)) {}

  const DatasetInfo& info() const override { return info_; }
  size_t size() const override { return stems_.size(); }
  std::string name(size_t index) const override { return stems_[index]; }

  absl::StatusOr<Sample> Load(size_t index) const override {
    const std::string path = JoinPath(spec_.labels, stems_[index] + ".mat");
    SEMSAM_ASSIGN_OR_RETURN(std::string bytes, ReadWholeFile(path, kMaxFileBytes));
    absl::StatusOr<Sample> sample = Parse(std::move(bytes));
    if (!sample.ok()) return Annotate(sample.status(), path);
    sample->name = stems_[index];
    sample->picture_path = PictureOfStem(spec_.images, stems_[index]);
    return sample;
  }

 private:
  absl::StatusOr<Sample> Parse(std::string bytes) const {
    SEMSAM_ASSIGN_OR_RETURN(const MatFile file, MatFile::Parse(std::move(bytes)));
    const MatArray* anno = file.variable("anno");
    const MatArray* objects = anno == nullptr ? nullptr : anno->field(0, "objects");
    if (objects == nullptr || objects->kind != MatArray::Kind::kStruct || objects->size() == 0) {
      return absl::InvalidArgumentError("holds no \"anno.objects\"");
    }
    Sample sample = {
        .vocabulary = info_.vocabulary, .licence = info_.licence, .source = info_.source};
    for (int64_t i = 0; i < objects->size(); ++i) {
      const absl::Status status = AddObject(*objects, i, sample);
      if (!status.ok()) return Annotate(status, absl::StrCat("objects(", i + 1, ")"));
    }
    return sample;
  }

  const DatasetSpec spec_;
  const DatasetInfo info_;
  const std::vector<std::string> stems_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Dataset>> OpenPascalPart(const DatasetSpec& spec) {
  if (spec.labels.empty()) return InvalidField("labels", "needs the folder of the .mat files");
  if (spec.images.empty()) return InvalidField("images", "needs the folder of the pictures");
  SEMSAM_ASSIGN_OR_RETURN(std::vector<std::string> names, ListFolder(spec.labels, {".mat"}));
  for (std::string& name : names) name = WithoutEnding(name);
  std::sort(names.begin(), names.end());  // without its ending a name sorts elsewhere
  const std::string name = spec.name.empty() ? "pascal-part" : spec.name;
  VocabularyBuilder words(name);
  for (const std::string_view object : kPascalObjects) words.AddObject(std::string(object));
  for (const std::string& part : PascalPartWords()) words.AddPart(part);
  DatasetInfo info = {.name = name,
                      .licence = spec.licence,
                      .source = spec.source,
                      .vocabulary = words.Build(spec.closed_world)};
  return std::make_unique<PascalPartDataset>(spec, std::move(info), std::move(names));
}

}  // namespace semsam
