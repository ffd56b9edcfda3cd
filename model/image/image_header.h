// What an encoded picture says of itself, read without decoding it: so that an
// image too large is refused before anything is allocated for it.
//
// Thread-safe: free functions without state.
#ifndef SEMSAM_MODEL_IMAGE_IMAGE_HEADER_H_
#define SEMSAM_MODEL_IMAGE_IMAGE_HEADER_H_

#include <cstdint>
#include <span>

#include "absl/status/statusor.h"
#include "model/base/types.h"

namespace semsam {

enum class ImageFormat { kJpeg, kPng, kWebp, kBmp, kTiff };

struct ImageHeader {
  ImageFormat format = ImageFormat::kJpeg;
  ImageSize size;           // px as stored, before the orientation is applied
  int channels = 3;         // of a pixel once a palette is looked up; alpha counts
  int bits_per_sample = 8;  // once a palette is looked up
  // EXIF orientation, 1 to 8; 1 = as stored. From JPEG APP1, PNG eXIf, WebP EXIF
  // or TIFF tag 274; a value outside 1 to 8 reads as 1.
  int orientation = 1;
  // Where the stated pixels end, for formats that say so (BMP, TIFF): a shorter
  // file is cut.
  uint64_t min_file_bytes = 0;

  // Size of the picture as a viewer shows it.
  ImageSize oriented_size() const {
    return orientation >= 5 ? ImageSize{size.width, size.height} : size;
  }
};

// Reads the header of a JPEG, PNG, WebP, BMP or TIFF file; the format is told by
// the first bytes. Allocates nothing that grows with the stated size.
// Errors: INVALID_ARGUMENT, field "image", reason IMAGE_UNDECODABLE, for
// anything that is not such a file, is cut within what was read, or is a variant
// that DecodeImage does not take (its comment lists them).
absl::StatusOr<ImageHeader> ReadImageHeader(std::span<const uint8_t> bytes);

}  // namespace semsam

#endif  // SEMSAM_MODEL_IMAGE_IMAGE_HEADER_H_
