#include "model/data/json_fields.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "model/base/errors.h"
#include "model/base/status_macros.h"
#include "model/image/mask_codec.h"
#include "model/image/polygon_mask.h"
#include "model/image/run_length_sets.h"

namespace semsam {
namespace {

using Json = nlohmann::json;

constexpr int kMaxDepth = 64;

// How deep brackets nest; a bound, not a parse.
int DepthOf(std::string_view text) {
  int depth = 0, deepest = 0;
  bool in_string = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string) {
      if (c == '\\') ++i;
      if (c == '"') in_string = false;
    } else if (c == '"') {
      in_string = true;
    } else if (c == '{' || c == '[') {
      deepest = std::max(deepest, ++depth);
    } else if (c == '}' || c == ']') {
      --depth;
    }
  }
  return deepest;
}

absl::Status BadField(const char* key, absl::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat("\"", key, "\": ", what));
}

absl::StatusOr<int64_t> ToInteger(const Json& value, const char* key) {
  if (value.is_number_unsigned() &&
      value.get<uint64_t>() > static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) {
    return BadField(key, "the number is too large");
  }
  if (value.is_number_integer()) return value.get<int64_t>();
  // Some tools write every number as a fraction.
  if (value.is_number_float()) {
    const double number = value.get<double>();
    if (std::abs(number) < 0x1p53 && number == std::floor(number)) {
      return static_cast<int64_t>(number);
    }
  }
  return BadField(key, "must be a whole number");
}

absl::StatusOr<RunLengths> UnionOfPolygons(const Json& polygons, ImageSize size) {
  RunLengths mask = EmptyMask(size);
  for (size_t i = 0; i < polygons.size(); ++i) {
    absl::StatusOr<std::vector<double>> xy = Numbers(polygons[i]);
    if (!xy.ok()) return Annotate(xy.status(), absl::StrCat("polygon ", i));
    absl::StatusOr<RunLengths> one = FillPolygon(*xy, size);
    if (!one.ok()) return Annotate(one.status(), absl::StrCat("polygon ", i));
    mask = i == 0 ? *std::move(one) : UnionOf(mask, *one);
  }
  return mask;
}

absl::StatusOr<RunLengths> MaskOfRuns(const Json& segmentation, ImageSize size) {
  const Json* stated = FindField(segmentation, "size");
  const Json* counts = FindField(segmentation, "counts");
  if (stated == nullptr || counts == nullptr) {
    return absl::InvalidArgumentError("run lengths need \"size\" and \"counts\"");
  }
  SEMSAM_ASSIGN_OR_RETURN(const std::vector<double> sides, Numbers(*stated));
  if (sides.size() != 2 || sides[0] != size.height || sides[1] != size.width) {
    return absl::InvalidArgumentError(absl::StrCat("run lengths: their size is not the picture's [",
                                                   size.height, ", ", size.width, "]"));
  }
  if (counts->is_string()) {
    SEMSAM_ASSIGN_OR_RETURN(const RunLengths runs,
                            DecodeCocoString(counts->get_ref<const std::string&>(), size));
    // What others write may hold empty runs.
    return UnionOf(runs, EmptyMask(size));
  }
  if (!counts->is_array())
    return absl::InvalidArgumentError("\"counts\": neither text nor numbers");
  std::vector<int64_t> numbers;
  numbers.reserve(counts->size());
  for (const Json& count : *counts) {
    SEMSAM_ASSIGN_OR_RETURN(const int64_t number, ToInteger(count, "counts"));
    numbers.push_back(number);
  }
  return CheckedRunLengths(numbers, size);
}

}  // namespace

absl::StatusOr<Json> ParseJson(std::string_view text) {
  if (DepthOf(text) > kMaxDepth) return absl::InvalidArgumentError("JSON nested too deep");
  Json json = Json::parse(text.begin(), text.end(), nullptr, /*allow_exceptions=*/false);
  if (json.is_discarded()) return absl::InvalidArgumentError("broken JSON");
  return json;
}

const Json* FindField(const Json& object, const char* key) {
  if (!object.is_object()) return nullptr;
  const auto found = object.find(key);
  return found == object.end() || found->is_null() ? nullptr : &*found;
}

absl::StatusOr<int64_t> IntegerField(const Json& object, const char* key) {
  const Json* field = FindField(object, key);
  if (field == nullptr) return BadField(key, "is missing");
  return ToInteger(*field, key);
}

absl::StatusOr<int64_t> IntegerField(const Json& object, const char* key, int64_t fallback) {
  const Json* field = FindField(object, key);
  if (field == nullptr) return fallback;
  return ToInteger(*field, key);
}

absl::StatusOr<std::string> TextField(const Json& object, const char* key) {
  const Json* field = FindField(object, key);
  if (field == nullptr) return BadField(key, "is missing");
  if (!field->is_string()) return BadField(key, "must be text");
  return field->get<std::string>();
}

absl::StatusOr<std::string> TextField(const Json& object, const char* key,
                                      const std::string& fallback) {
  if (FindField(object, key) == nullptr) return fallback;
  return TextField(object, key);
}

absl::StatusOr<bool> FlagField(const Json& object, const char* key, bool fallback) {
  const Json* field = FindField(object, key);
  if (field == nullptr) return fallback;
  if (field->is_boolean()) return field->get<bool>();
  absl::StatusOr<int64_t> number = ToInteger(*field, key);
  if (!number.ok() || *number < 0 || *number > 1) return BadField(key, "must be 0 or 1");
  return *number == 1;
}

absl::StatusOr<std::vector<std::string>> TextsField(const Json& object, const char* key) {
  std::vector<std::string> texts;
  const Json* field = FindField(object, key);
  if (field == nullptr) return texts;
  if (!field->is_array()) return BadField(key, "must be a list of texts");
  for (const Json& text : *field) {
    if (!text.is_string()) return BadField(key, "must be a list of texts");
    texts.push_back(text.get<std::string>());
  }
  return texts;
}

absl::StatusOr<std::vector<int64_t>> IntegersField(const Json& object, const char* key) {
  std::vector<int64_t> numbers;
  const Json* field = FindField(object, key);
  if (field == nullptr) return numbers;
  if (!field->is_array()) return BadField(key, "must be a list of whole numbers");
  for (const Json& item : *field) {
    SEMSAM_ASSIGN_OR_RETURN(const int64_t number, ToInteger(item, key));
    numbers.push_back(number);
  }
  return numbers;
}

absl::StatusOr<std::vector<double>> Numbers(const Json& array) {
  if (!array.is_array()) return absl::InvalidArgumentError("must be a list of numbers");
  std::vector<double> numbers;
  numbers.reserve(array.size());
  for (const Json& item : array) {
    if (!item.is_number()) return absl::InvalidArgumentError("must be a list of numbers");
    numbers.push_back(item.get<double>());
    if (!std::isfinite(numbers.back())) return absl::InvalidArgumentError("a number is too large");
  }
  return numbers;
}

absl::StatusOr<BoxPx> CocoBox(const Json& box, ImageSize size) {
  SEMSAM_ASSIGN_OR_RETURN(const std::vector<double> numbers, Numbers(box));
  if (numbers.size() != 4 || numbers[2] < 0 || numbers[3] < 0) {
    return absl::InvalidArgumentError("a box is [x, y, width, height]");
  }
  const BoxPx cut = {.x0 = std::clamp<double>(numbers[0], 0, size.width),
                     .y0 = std::clamp<double>(numbers[1], 0, size.height),
                     .x1 = std::clamp<double>(numbers[0] + numbers[2], 0, size.width),
                     .y1 = std::clamp<double>(numbers[1] + numbers[3], 0, size.height)};
  return cut.empty() ? BoxPx{} : cut;
}

absl::StatusOr<ImageSize> SizeFields(const Json& object) {
  SEMSAM_ASSIGN_OR_RETURN(const int64_t height, IntegerField(object, "height"));
  SEMSAM_ASSIGN_OR_RETURN(const int64_t width, IntegerField(object, "width"));
  const DecodeLimits limits;
  if (height < 1 || width < 1 || height > limits.max_side_px || width > limits.max_side_px ||
      height * width > limits.max_pixels) {
    return absl::InvalidArgumentError(
        absl::StrCat("a picture of ", width, " x ", height, " pixels is not accepted"));
  }
  return ImageSize{.height = static_cast<int>(height), .width = static_cast<int>(width)};
}

absl::StatusOr<RunLengths> CocoMask(const Json& segmentation, ImageSize size) {
  if (segmentation.is_object()) return MaskOfRuns(segmentation, size);
  if (!segmentation.is_array()) {
    return absl::InvalidArgumentError("\"segmentation\": neither polygons nor run lengths");
  }
  return UnionOfPolygons(segmentation, size);
}

}  // namespace semsam
