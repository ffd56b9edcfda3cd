// The first directory of a TIFF file, and the check that all it points at lies
// within the file.
#ifndef SEMSAM_MODEL_IMAGE_TIFF_HEADER_H_
#define SEMSAM_MODEL_IMAGE_TIFF_HEADER_H_

#include <cstdint>
#include <span>
#include <vector>

#include "absl/status/statusor.h"
#include "model/image/image_header.h"

namespace semsam {

struct TiffHeader {
  ImageHeader image;
  // Where the file holds two values that the decoder must not act upon, as
  // offsets of 16-bit numbers; 0 = not in the file.
  uint64_t orientation_offset = 0;
  uint64_t extra_samples_offset = 0;
  bool big_endian = false;
  // Pixels of the largest strip or tile.
  int64_t block_pixels = 0;
};

// Errors: see ReadImageHeader.
absl::StatusOr<TiffHeader> ReadTiffHeader(std::span<const uint8_t> bytes);

// A copy of the file without orientation (the caller applies it, libtiff would do
// half of it) and with extra samples of no stated meaning (libtiff would
// multiply the colours by an alpha).
std::vector<uint8_t> NeutralTiff(std::span<const uint8_t> bytes, const TiffHeader& header);

}  // namespace semsam

#endif  // SEMSAM_MODEL_IMAGE_TIFF_HEADER_H_
