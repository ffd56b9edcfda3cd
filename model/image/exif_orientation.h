// EXIF orientation: reading the tag and turning the picture.
//
// Thread-safe: free functions without state.
#ifndef SEMSAM_MODEL_IMAGE_EXIF_ORIENTATION_H_
#define SEMSAM_MODEL_IMAGE_EXIF_ORIENTATION_H_

#include <cstdint>
#include <span>

#include "model/base/types.h"

namespace semsam {

// Orientation of an EXIF block (a TIFF structure, with or without the leading
// "Exif\0\0"): 1 to 8, or 1 where it says nothing sensible.
int ExifOrientation(std::span<const uint8_t> exif);

// The picture as a viewer shows it. `orientation` in [1, 8].
Rgb8Image ApplyOrientation(Rgb8Image image, int orientation);

}  // namespace semsam

#endif  // SEMSAM_MODEL_IMAGE_EXIF_ORIENTATION_H_
