// JPEG decoding by libjpeg, with what OpenCV's reader hides: a file that is cut
// is an error, and CMYK is converted as the published preprocessing does.
#ifndef SEMSAM_MODEL_IMAGE_JPEG_CODEC_H_
#define SEMSAM_MODEL_IMAGE_JPEG_CODEC_H_

#include <cstdint>
#include <span>

#include "absl/status/statusor.h"
#include "model/image/image_header.h"

namespace semsam {

// The pixels as stored (orientation not applied). `header` comes from
// ReadImageHeader and has passed the caller's limits. Errors: see DecodeImage.
absl::StatusOr<Rgb8Image> DecodeJpeg(std::span<const uint8_t> bytes, const ImageHeader& header);

}  // namespace semsam

#endif  // SEMSAM_MODEL_IMAGE_JPEG_CODEC_H_
