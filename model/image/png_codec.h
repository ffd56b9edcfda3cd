// PNG by libpng: decoding for DecodeImage, encoding for masks.
#ifndef SEMSAM_MODEL_IMAGE_PNG_CODEC_H_
#define SEMSAM_MODEL_IMAGE_PNG_CODEC_H_

#include <cstdint>
#include <functional>
#include <span>
#include <string>

#include "absl/status/statusor.h"
#include "model/image/image_header.h"

namespace semsam {

// The pixels as stored (orientation not applied). `header` comes from
// ReadImageHeader and has passed the caller's limits. Errors: see DecodeImage.
absl::StatusOr<Rgb8Image> DecodePng(std::span<const uint8_t> bytes, const ImageHeader& header);

// An 8-bit grey PNG of `pixels` [H, W], row-major. Errors: INTERNAL.
absl::StatusOr<std::string> EncodeGreyPng(std::span<const uint8_t> pixels, ImageSize size);

// An 8-bit RGB PNG of rows [W, 3] that `row` gives from top to bottom, each valid
// until the next call. `row` does not throw. Errors: INTERNAL.
absl::StatusOr<std::string> EncodeRgbPng(ImageSize size,
                                         const std::function<const uint8_t*(int y)>& row);

}  // namespace semsam

#endif  // SEMSAM_MODEL_IMAGE_PNG_CODEC_H_
