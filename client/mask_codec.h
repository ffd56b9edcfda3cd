// Masks as the wire carries them, turned into pixels.
//
// - Input comes from a server and is not trusted: sizes, run lengths and byte
//   counts are checked before anything is allocated, and DATA_LOSS says what is
//   wrong.
// - Thread-safe: free functions without state.
#ifndef SEMSAM_CLIENT_MASK_CODEC_H_
#define SEMSAM_CLIENT_MASK_CODEC_H_

#include <cstdint>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "client/types.h"

namespace semsam::client {

// One byte a pixel (0 or 1), row-major [H, W].
struct Bitmap {
  ImageSize size;
  std::vector<uint8_t> pixels;

  friend bool operator==(const Bitmap&, const Bitmap&) = default;
};

// Larger masks are refused: 16 times what a server takes by default.
inline constexpr int64_t kMaxMaskPixels = int64_t{1} << 30;

// COCO compressed run lengths (column-major), as pycocotools writes them.
absl::StatusOr<Bitmap> DecodeCocoRle(std::string_view counts, ImageSize size);

// One bit a pixel, row-major, most significant bit first, rows start on a byte.
absl::StatusOr<Bitmap> DecodePackedBits(std::string_view bits, ImageSize size);

// The pixels of a kCocoRle or kPackedBits mask. UNIMPLEMENTED for kPng and
// kPolygons, which need an image library: this one carries none. UNIMPLEMENTED for
// kLogits: whoever asks for them has a threshold and a size of his own.
absl::StatusOr<Bitmap> DecodeMask(const Mask& mask);

// The logits of a kLogits mask, row-major [H, W] of mask.size: row y and column x lie at
// ((x + 0.5) * mask.cell_width, (y + 0.5) * mask.cell_height) px of the asked resolution,
// and the mask is where they are above 0. INVALID_ARGUMENT for another encoding.
absl::StatusOr<std::vector<float>> DecodeLogits(const Mask& mask);

}  // namespace semsam::client

#endif  // SEMSAM_CLIENT_MASK_CODEC_H_
