// What a COCO-like JSON file holds and where: its images sorted by name, each with
// the places of its annotations.
#ifndef SEMSAM_MODEL_DATA_COCO_INDEX_H_
#define SEMSAM_MODEL_DATA_COCO_INDEX_H_

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "model/data/json_records.h"
#include "nlohmann/json.hpp"

namespace semsam {

struct CocoCategory {
  int64_t id = 0;
  std::string name;
  std::string supercategory;
  bool thing = true;
};

struct CocoImage {
  int64_t id = 0;
  std::string file_name;
  RecordPlace place;
  size_t first_annotation = 0;
};

struct CocoAnnotationPlace {
  int64_t image_id = 0;
  int64_t offset = 0;  // bytes
  int32_t length = 0;  // bytes
  int32_t index = 0;   // in the file
};

// Immutable; thread-safe.
class CocoIndex {
 public:
  // One pass over the file. Errors name file and record: broken JSON, an image
  // without id or name, an id that occurs twice, an annotation whose image_id names
  // no image.
  static absl::StatusOr<std::unique_ptr<CocoIndex>> Open(const std::string& path);

  const std::string& path() const { return file_->path(); }
  const std::vector<CocoCategory>& categories() const { return categories_; }
  // nullptr where there is no such category.
  const CocoCategory* category(int64_t id) const;
  // Empty where the file does not say.
  std::string licence(int64_t id) const;

  size_t size() const { return images_.size(); }
  const CocoImage& image(size_t index) const { return images_[index]; }
  absl::Span<const CocoAnnotationPlace> annotations(size_t image) const;

  // The parsed records. Errors name file and record.
  absl::StatusOr<nlohmann::json> ReadImage(size_t image) const;
  absl::StatusOr<nlohmann::json> ReadAnnotation(const CocoAnnotationPlace& place) const;

  // `status` with the file and the annotation put before it.
  absl::Status AtAnnotation(const absl::Status& status, const CocoAnnotationPlace& place,
                            const nlohmann::json& annotation) const;

 private:
  explicit CocoIndex(std::unique_ptr<JsonRecordFile> file) : file_(std::move(file)) {}

  absl::Status Add(const JsonRecord& record);
  absl::Status AddImage(const nlohmann::json& record, RecordPlace place);
  absl::Status AddCategory(const nlohmann::json& record);
  absl::Status Sort();

  const std::unique_ptr<JsonRecordFile> file_;
  std::vector<CocoCategory> categories_;
  std::map<int64_t, size_t> category_by_id_;
  std::map<int64_t, std::string> licences_;
  std::vector<CocoImage> images_;                 // by file name
  std::vector<CocoAnnotationPlace> annotations_;  // by image, then by place
};

}  // namespace semsam

#endif  // SEMSAM_MODEL_DATA_COCO_INDEX_H_
