// Typed access to parsed JSON that is not trusted: every error names the field.
//
// Thread-safe: free functions without state.
#ifndef SEMSAM_MODEL_DATA_JSON_FIELDS_H_
#define SEMSAM_MODEL_DATA_JSON_FIELDS_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "model/base/types.h"
#include "model/data/sample.h"
#include "nlohmann/json.hpp"

namespace semsam {

// Errors: INVALID_ARGUMENT. Never throws, whatever the text; nested at most 64 deep.
absl::StatusOr<nlohmann::json> ParseJson(std::string_view text);

// Members of `object`. Where a fallback is given a missing member (or null) has it;
// one of the wrong type is an error all the same. A flag is true, false, 0 or 1.
absl::StatusOr<int64_t> IntegerField(const nlohmann::json& object, const char* key);
absl::StatusOr<int64_t> IntegerField(const nlohmann::json& object, const char* key,
                                     int64_t fallback);
absl::StatusOr<std::string> TextField(const nlohmann::json& object, const char* key);
absl::StatusOr<std::string> TextField(const nlohmann::json& object, const char* key,
                                      const std::string& fallback);
absl::StatusOr<bool> FlagField(const nlohmann::json& object, const char* key, bool fallback);
// Missing: empty.
absl::StatusOr<std::vector<std::string>> TextsField(const nlohmann::json& object, const char* key);
absl::StatusOr<std::vector<int64_t>> IntegersField(const nlohmann::json& object, const char* key);

// Nothing where the member is missing or null.
const nlohmann::json* FindField(const nlohmann::json& object, const char* key);

// The numbers of an array, all of them finite.
absl::StatusOr<std::vector<double>> Numbers(const nlohmann::json& array);

// COCO's [x, y, width, height], cut at the picture. Errors: not four finite numbers,
// negative sides. A box that lies outside or has no area comes back empty.
absl::StatusOr<BoxPx> CocoBox(const nlohmann::json& box, ImageSize size);

// "height" and "width" of a picture, within the bounds of DecodeLimits.
absl::StatusOr<ImageSize> SizeFields(const nlohmann::json& object);

// COCO's "segmentation": polygons, run lengths as numbers, or run lengths as a
// string (pycocotools). `size` is the picture's. Errors: INVALID_ARGUMENT for
// anything else, a foreign size, a polygon with an odd count of numbers. A mask may
// come back empty.
absl::StatusOr<RunLengths> CocoMask(const nlohmann::json& segmentation, ImageSize size);

}  // namespace semsam

#endif  // SEMSAM_MODEL_DATA_JSON_FIELDS_H_
