// Encoded bytes to RGB pixels, as the published preprocessing sees them:
// PIL's Image.convert('RGB') with the EXIF orientation applied.
//
//   JPEG   grey, RGB, CMYK and YCCK, 8 bit, baseline and progressive
//   PNG    all kinds; the first picture of an animation. 16-bit colour keeps its
//          high byte; 16-bit grey is clipped to 255, as PIL does
//   WebP   lossy and lossless, with and without alpha; no animations
//   BMP    uncompressed 1, 4, 8, 24 and 32 bit
//   TIFF   the first page: grey and two-tone, palette, RGB, RGBA (8 bit), RGB and
//          grey (16 bit), YCbCr (JPEG); strips and tiles. No CMYK, float, BigTIFF
//
// Alpha is dropped, never blended. Colour profiles are ignored.
#ifndef SEMSAM_MODEL_IMAGE_DECODE_IMAGE_H_
#define SEMSAM_MODEL_IMAGE_DECODE_IMAGE_H_

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "model/base/types.h"

namespace semsam {

struct DecodeLimits {
  int64_t max_encoded_bytes = 64 << 20;
  int64_t max_pixels = 64 * 1000 * 1000;
  int max_side_px = 65500;  // what libjpeg can hold
};

// OK, or INVALID_ARGUMENT that names the member.
absl::Status Validate(const DecodeLimits& limits);

// The format is told by the first bytes. Nothing is allocated for the pixels
// before the stated size has passed `limits`; then at most about 10 bytes a pixel
// are held, 3 of them in the result.
// Errors, all INVALID_ARGUMENT with field "image": IMAGE_TOO_LARGE beyond the
// limits, IMAGE_UNDECODABLE for bytes that are no image, an unsupported variant, or
// a file that is cut or broken. A corrupt entropy-coded stream may, as in any
// reader, also decode to wrong pixels.
// Thread-safe.
absl::StatusOr<Rgb8Image> DecodeImage(std::span<const uint8_t> bytes, const DecodeLimits& limits);
absl::StatusOr<Rgb8Image> DecodeImage(std::string_view bytes, const DecodeLimits& limits);

// 8-bit RGB with coverage, row-major interleaved [H, W, 4], no row padding. Colours are
// not multiplied by alpha; 255 is opaque.
struct Rgba8Image {
  ImageSize size;
  std::vector<uint8_t> pixels;
};

// A PNG or WebP of 8 bits with its alpha; opaque where it has none. Sizes are bounded
// as those of DecodeImage; no orientation is applied. Errors: as DecodeImage, and
// INVALID_ARGUMENT for another format.
absl::StatusOr<Rgba8Image> DecodeRgba(std::string_view bytes, const DecodeLimits& limits);

}  // namespace semsam

#endif  // SEMSAM_MODEL_IMAGE_DECODE_IMAGE_H_
