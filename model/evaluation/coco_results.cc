#include "model/evaluation/coco_results.h"

#include <array>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "model/base/errors.h"
#include "model/base/status_macros.h"
#include "model/image/mask_codec.h"
#include "model/image/run_lengths.h"

namespace semsam {
namespace {

using nlohmann::json;

absl::StatusOr<int64_t> GetId(const json& object, const char* key) {
  const auto it = object.find(key);
  if (it == object.end()) return InvalidField(key, "is missing");
  if (!it->is_number_integer()) return InvalidField(key, "is not an integer");
  if (it->is_number_unsigned() && it->get<uint64_t>() > INT64_MAX) {
    return InvalidField(key, "is out of range");
  }
  return it->get<int64_t>();
}

absl::StatusOr<ApBox> GetBox(const json& value) {
  if (!value.is_array() || value.size() != 4) return InvalidField("bbox", "is not four numbers");
  std::array<double, 4> numbers = {};
  for (size_t i = 0; i < numbers.size(); ++i) {
    if (!value[i].is_number()) return InvalidField("bbox", "is not four numbers");
    numbers[i] = value[i].get<double>();
  }
  return ApBox{.x = numbers[0], .y = numbers[1], .width = numbers[2], .height = numbers[3]};
}

absl::StatusOr<ImageSize> GetSize(const json& segmentation, const CocoResultLimits& limits) {
  const auto it = segmentation.find("size");
  if (it == segmentation.end() || !it->is_array() || it->size() != 2) {
    return InvalidField("segmentation.size", "is not [height, width]");
  }
  std::array<int, 2> sides = {};
  for (size_t i = 0; i < sides.size(); ++i) {
    const json& side = (*it)[i];
    if (!side.is_number_unsigned() || side.get<uint64_t>() < 1 ||
        side.get<uint64_t>() > static_cast<uint64_t>(limits.max_side_px)) {
      return InvalidField("segmentation.size",
                          absl::StrCat("must be two numbers of 1 to ", limits.max_side_px));
    }
    sides[i] = side.get<int>();
  }
  return ImageSize{.height = sides[0], .width = sides[1]};
}

absl::StatusOr<RunLengths> GetMask(const json& segmentation, const CocoResultLimits& limits) {
  if (!segmentation.is_object()) {
    return InvalidField("segmentation", "is not run lengths ({size, counts})");
  }
  SEMSAM_ASSIGN_OR_RETURN(const ImageSize size, GetSize(segmentation, limits));
  const auto counts = segmentation.find("counts");
  if (counts == segmentation.end()) return InvalidField("segmentation.counts", "is missing");
  if (counts->is_string()) {
    absl::StatusOr<RunLengths> mask = DecodeCocoString(counts->get_ref<const std::string&>(), size);
    if (!mask.ok())
      return InvalidField("segmentation.counts", std::string(mask.status().message()));
    return mask;
  }
  if (!counts->is_array()) return InvalidField("segmentation.counts", "is neither text nor list");
  RunLengths mask{.size = size};
  int64_t pixels = 0;
  for (const json& count : *counts) {
    if (!count.is_number_unsigned() ||
        count.get<uint64_t>() > static_cast<uint64_t>(size.area() - pixels)) {
      return InvalidField("segmentation.counts", "do not fill the size");
    }
    mask.counts.push_back(count.get<uint32_t>());
    pixels += mask.counts.back();
  }
  if (pixels != size.area()) return InvalidField("segmentation.counts", "do not fill the size");
  return mask;
}

// Turns one detection after another from JSON.
class ResultReader {
 public:
  ResultReader(ApKind kind, const CocoResultLimits& limits) : kind_(kind), limits_(limits) {}

  absl::Status Add(const json& object) {
    const int64_t index = seen_++;
    if (seen_ > limits_.max_detections) {
      return absl::ResourceExhaustedError(
          absl::StrCat("more than ", limits_.max_detections, " detections"));
    }
    const absl::Status status = Read(object);
    return status.ok() ? status : Annotate(status, absl::StrCat("detection ", index));
  }

  std::map<int64_t, std::vector<ApDetection>> Take() { return std::move(detections_); }

 private:
  absl::Status Read(const json& object) {
    if (!object.is_object()) return absl::InvalidArgumentError("is not an object");
    const auto bbox = object.find("bbox");
    const bool has_box = bbox != object.end() && !bbox->empty();
    if (seen_ == 1) by_box_ = has_box;
    if (by_box_ && !has_box) {
      return InvalidField("bbox", "is missing, and the first detection has one");
    }
    ApDetection detection;
    SEMSAM_ASSIGN_OR_RETURN(const int64_t image_id, GetId(object, "image_id"));
    SEMSAM_ASSIGN_OR_RETURN(detection.category, GetId(object, "category_id"));
    const auto score = object.find("score");
    if (score == object.end() || !score->is_number()) {
      return InvalidField("score", "is not a number");
    }
    detection.score = score->get<double>();
    if (by_box_) {
      SEMSAM_ASSIGN_OR_RETURN(detection.box, GetBox(*bbox));
      detection.area = detection.box.width * detection.box.height;
    }
    if (kind_ == ApKind::kMask || !by_box_) {
      const auto segmentation = object.find("segmentation");
      if (segmentation == object.end()) return InvalidField("segmentation", "is missing");
      SEMSAM_ASSIGN_OR_RETURN(detection.mask, GetMask(*segmentation, limits_));
    }
    if (!by_box_) {
      detection.area = static_cast<double>(MaskArea(detection.mask));
      if (kind_ == ApKind::kBox) {
        const PixelBox box = BoundingBox(detection.mask);
        detection.box = {.x = static_cast<double>(box.x),
                         .y = static_cast<double>(box.y),
                         .width = static_cast<double>(box.width),
                         .height = static_cast<double>(box.height)};
        detection.mask = {};
      }
    }
    detections_[image_id].push_back(std::move(detection));
    return absl::OkStatus();
  }

  const ApKind kind_;
  const CocoResultLimits limits_;
  int64_t seen_ = 0;
  bool by_box_ = false;
  std::map<int64_t, std::vector<ApDetection>> detections_;
};

}  // namespace

absl::StatusOr<std::map<int64_t, std::vector<ApDetection>>> ParseCocoResults(
    std::istream& json_stream, ApKind kind, const CocoResultLimits& limits) {
  ResultReader reader(kind, limits);
  absl::Status status;
  bool is_list = false;
  const auto visit = [&](int depth, json::parse_event_t event, json& value) {
    if (depth == 0 && event == json::parse_event_t::array_start) is_list = true;
    if (!is_list) return false;
    const bool ends = event == json::parse_event_t::object_end ||
                      event == json::parse_event_t::array_end ||
                      event == json::parse_event_t::value;
    if (depth != 1 || !ends) return true;
    if (status.ok()) status = reader.Add(value);
    return false;  // read: the parser forgets it
  };
  const json rest = json::parse(json_stream, visit, /*allow_exceptions=*/false);
  SEMSAM_RETURN_IF_ERROR(status);
  if (!is_list) return absl::InvalidArgumentError("is not a JSON list of detections");
  if (rest.is_discarded()) return absl::InvalidArgumentError("is not whole JSON");
  return reader.Take();
}

absl::StatusOr<std::map<int64_t, std::vector<ApDetection>>> ReadCocoResults(
    const std::string& path, ApKind kind, const CocoResultLimits& limits) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return absl::NotFoundError(absl::StrCat(path, ": cannot be opened"));
  auto detections = ParseCocoResults(file, kind, limits);
  if (!detections.ok()) return Annotate(detections.status(), path);
  return detections;
}

}  // namespace semsam
