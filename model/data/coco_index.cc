#include "model/data/coco_index.h"

#include <algorithm>
#include <limits>
#include <optional>
#include <tuple>
#include <unordered_map>

#include "absl/strings/str_cat.h"
#include "model/base/errors.h"
#include "model/base/status_macros.h"
#include "model/data/files.h"
#include "model/data/json_fields.h"

namespace semsam {
namespace {

using Json = nlohmann::json;

}  // namespace

absl::StatusOr<std::unique_ptr<CocoIndex>> CocoIndex::Open(const std::string& path) {
  SEMSAM_ASSIGN_OR_RETURN(std::unique_ptr<JsonRecordFile> file, JsonRecordFile::Open(path));
  std::unique_ptr<CocoIndex> index(new CocoIndex(std::move(file)));
  const auto visit = [&index](const JsonRecord& record) {
    return Annotate(index->Add(record), absl::StrCat(index->path(), ": ", std::string(record.array),
                                                     "[", record.index, "]"));
  };
  SEMSAM_RETURN_IF_ERROR(index->file_->ForEach(visit));
  SEMSAM_RETURN_IF_ERROR(Annotate(index->Sort(), path));
  return index;
}

absl::Status CocoIndex::Add(const JsonRecord& record) {
  if (record.array == "annotations") {
    // By far the most of the file: not parsed before it is wanted.
    const std::optional<int64_t> image_id = FindInteger(record.text, "image_id");
    if (!image_id.has_value()) {
      return absl::InvalidArgumentError("\"image_id\": is missing or no whole number");
    }
    if (record.index > std::numeric_limits<int32_t>::max()) {
      return absl::InvalidArgumentError("too many annotations");
    }
    annotations_.push_back({.image_id = *image_id,
                            .offset = record.place.offset,
                            .length = record.place.length,
                            .index = static_cast<int32_t>(record.index)});
    return absl::OkStatus();
  }
  const bool wanted =
      record.array == "images" || record.array == "categories" || record.array == "licenses";
  if (!wanted) return absl::OkStatus();
  SEMSAM_ASSIGN_OR_RETURN(const Json json, ParseJson(record.text));
  if (record.array == "images") return AddImage(json, record.place);
  if (record.array == "categories") return AddCategory(json);
  SEMSAM_ASSIGN_OR_RETURN(const int64_t id, IntegerField(json, "id"));
  SEMSAM_ASSIGN_OR_RETURN(licences_[id], TextField(json, "name", ""));
  return absl::OkStatus();
}

absl::Status CocoIndex::AddImage(const Json& record, RecordPlace place) {
  CocoImage image = {.place = place};
  SEMSAM_ASSIGN_OR_RETURN(image.id, IntegerField(record, "id"));
  if (FindField(record, "file_name") == nullptr) {
    // LVIS names pictures by their address alone.
    SEMSAM_ASSIGN_OR_RETURN(const std::string url, TextField(record, "coco_url"));
    const size_t name = url.rfind('/');
    const size_t folder = name == std::string::npos || name == 0 ? name : url.rfind('/', name - 1);
    image.file_name = folder == std::string::npos ? url : url.substr(folder + 1);
  } else {
    SEMSAM_ASSIGN_OR_RETURN(image.file_name, TextField(record, "file_name"));
  }
  if (image.file_name.empty()) return absl::InvalidArgumentError("\"file_name\": is empty");
  images_.push_back(std::move(image));
  return absl::OkStatus();
}

absl::Status CocoIndex::AddCategory(const Json& record) {
  CocoCategory category;
  SEMSAM_ASSIGN_OR_RETURN(category.id, IntegerField(record, "id"));
  SEMSAM_ASSIGN_OR_RETURN(category.name, TextField(record, "name"));
  SEMSAM_ASSIGN_OR_RETURN(category.supercategory, TextField(record, "supercategory", ""));
  SEMSAM_ASSIGN_OR_RETURN(category.thing, FlagField(record, "isthing", true));
  if (!category_by_id_.emplace(category.id, categories_.size()).second) {
    return absl::InvalidArgumentError(absl::StrCat("category id ", category.id, " occurs twice"));
  }
  categories_.push_back(std::move(category));
  return absl::OkStatus();
}

absl::Status CocoIndex::Sort() {
  std::sort(images_.begin(), images_.end(), [](const CocoImage& a, const CocoImage& b) {
    return std::make_tuple(WithoutEnding(a.file_name), a.id) <
           std::make_tuple(WithoutEnding(b.file_name), b.id);
  });
  std::unordered_map<int64_t, int64_t> rank;
  rank.reserve(images_.size());
  for (const CocoImage& image : images_) {
    if (!rank.emplace(image.id, static_cast<int64_t>(rank.size())).second) {
      return absl::InvalidArgumentError(absl::StrCat("image id ", image.id, " occurs twice"));
    }
  }
  for (CocoAnnotationPlace& annotation : annotations_) {
    const auto found = rank.find(annotation.image_id);
    if (found == rank.end()) {
      return absl::InvalidArgumentError(absl::StrCat("annotations[", annotation.index,
                                                     "]: image_id ", annotation.image_id,
                                                     " names no image"));
    }
    annotation.image_id = found->second;
  }
  std::sort(annotations_.begin(), annotations_.end(),
            [](const CocoAnnotationPlace& a, const CocoAnnotationPlace& b) {
              return std::tie(a.image_id, a.index) < std::tie(b.image_id, b.index);
            });
  size_t at = 0;
  for (size_t i = 0; i < images_.size(); ++i) {
    while (at < annotations_.size() && annotations_[at].image_id < static_cast<int64_t>(i)) ++at;
    images_[i].first_annotation = at;
  }
  for (CocoAnnotationPlace& annotation : annotations_) {
    annotation.image_id = images_[annotation.image_id].id;
  }
  annotations_.shrink_to_fit();
  return absl::OkStatus();
}

const CocoCategory* CocoIndex::category(int64_t id) const {
  const auto found = category_by_id_.find(id);
  return found == category_by_id_.end() ? nullptr : &categories_[found->second];
}

std::string CocoIndex::licence(int64_t id) const {
  const auto found = licences_.find(id);
  return found == licences_.end() ? "" : found->second;
}

absl::Span<const CocoAnnotationPlace> CocoIndex::annotations(size_t image) const {
  const size_t begin = images_[image].first_annotation;
  const size_t end =
      image + 1 < images_.size() ? images_[image + 1].first_annotation : annotations_.size();
  return absl::MakeConstSpan(annotations_).subspan(begin, end - begin);
}

absl::StatusOr<Json> CocoIndex::ReadImage(size_t image) const {
  SEMSAM_ASSIGN_OR_RETURN(const std::string text, file_->Read(images_[image].place));
  absl::StatusOr<Json> json = ParseJson(text);
  if (!json.ok()) {
    return Annotate(json.status(),
                    absl::StrCat(path(), ": image \"", images_[image].file_name, "\""));
  }
  return json;
}

absl::StatusOr<Json> CocoIndex::ReadAnnotation(const CocoAnnotationPlace& place) const {
  SEMSAM_ASSIGN_OR_RETURN(const std::string text,
                          file_->Read({.offset = place.offset, .length = place.length}));
  absl::StatusOr<Json> json = ParseJson(text);
  if (!json.ok()) return AtAnnotation(json.status(), place, Json());
  return json;
}

absl::Status CocoIndex::AtAnnotation(const absl::Status& status, const CocoAnnotationPlace& place,
                                     const Json& annotation) const {
  const absl::StatusOr<int64_t> id = IntegerField(annotation, "id");
  return Annotate(status, absl::StrCat(path(), ": annotations[", place.index, "]",
                                       id.ok() ? absl::StrCat(" (id ", *id, ")") : ""));
}

}  // namespace semsam
