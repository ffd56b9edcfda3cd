#include "model/data/coco_sample.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "model/base/errors.h"
#include "model/data/files.h"
#include "model/data/json_fields.h"
#include "model/data/picture_path.h"

namespace semsam {

absl::StatusOr<Sample> StartCocoSample(const CocoIndex& file, size_t index,
                                       const nlohmann::json& record, const std::string& images,
                                       const DatasetInfo& info,
                                       absl::Span<const char* const> url_fields) {
  const std::string& file_name = file.image(index).file_name;
  const std::string where = absl::StrCat(file.path(), ": image \"", file_name, "\"");
  absl::StatusOr<ImageSize> size = SizeFields(record);
  if (!size.ok()) return Annotate(size.status(), where);
  absl::StatusOr<std::string> path = PicturePath(images, file_name);
  if (!path.ok()) return Annotate(path.status(), where);
  Sample sample = {.name = std::string(WithoutEnding(file_name)),
                   .picture_path = *std::move(path),
                   .size = *size,
                   .vocabulary = info.vocabulary,
                   .licence = info.licence,
                   .source = info.source};
  absl::StatusOr<int64_t> licence = IntegerField(record, "license", -1);
  if (licence.ok() && !file.licence(*licence).empty()) sample.licence = file.licence(*licence);
  for (const char* field : url_fields) {
    absl::StatusOr<std::string> url = TextField(record, field, "");
    if (url.ok() && !url->empty()) sample.source = *std::move(url);
  }
  return sample;
}

}  // namespace semsam
