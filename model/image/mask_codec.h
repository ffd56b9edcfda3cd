// The encodings in which masks travel: COCO compressed run lengths, PNG, packed
// bits, polygons.
//
// Thread-safe: free functions without state.
#ifndef SEMSAM_MODEL_IMAGE_MASK_CODEC_H_
#define SEMSAM_MODEL_IMAGE_MASK_CODEC_H_

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "model/base/types.h"

namespace semsam {

// The string that pycocotools calls `counts`, byte for byte: ASCII, about 2 bytes a
// run.
std::string EncodeCocoString(const RunLengths& runs);

// Reads what EncodeCocoString (or pycocotools) wrote, from a source that is not
// trusted. Errors: INVALID_ARGUMENT for foreign characters, a number cut short,
// negative runs, or runs that do not add up to size.area().
absl::StatusOr<RunLengths> DecodeCocoString(std::string_view text, ImageSize size);

// 8-bit grey PNG, 0 and 255. Errors: INTERNAL.
absl::StatusOr<std::string> EncodeMaskPng(const BinaryMask& mask);

// One bit a pixel, row-major, most significant bit first; each row starts on a byte.
std::vector<uint8_t> PackBits(const BinaryMask& mask);

// Errors: INVALID_ARGUMENT where the bytes do not fit the size. Padding bits are
// ignored.
absl::StatusOr<BinaryMask> UnpackBits(std::span<const uint8_t> bits, ImageSize size);

// An outline through the centres of border pixels, in pixels with the origin at the
// top left corner of the image: the centre of the first pixel is (0.5, 0.5).
struct MaskPolygon {
  std::vector<float> xy;  // x0, y0, x1, y1, ...; closed implicitly
  bool hole = false;      // bounds a hole of the last polygon before it that is none

  friend bool operator==(const MaskPolygon&, const MaskPolygon&) = default;
};

// Outlines of all components (8-connected), each followed by its holes. Lossy: the
// outlines run through pixel centres. Errors: INTERNAL.
absl::StatusOr<std::vector<MaskPolygon>> MaskPolygons(const BinaryMask& mask);

}  // namespace semsam

#endif  // SEMSAM_MODEL_IMAGE_MASK_CODEC_H_
