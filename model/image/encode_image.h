// RGB pixels to files.
//
// Thread-safe: free functions without state.
#ifndef SEMSAM_MODEL_IMAGE_ENCODE_IMAGE_H_
#define SEMSAM_MODEL_IMAGE_ENCODE_IMAGE_H_

#include <string>

#include "absl/status/statusor.h"
#include "model/base/types.h"

namespace semsam {

// Lossless, 8-bit RGB. Errors: INTERNAL.
absl::StatusOr<std::string> EncodePng(const Rgb8Image& image);

// `quality` 1 to 100. Errors: INTERNAL.
absl::StatusOr<std::string> EncodeJpeg(const Rgb8Image& image, int quality);

}  // namespace semsam

#endif  // SEMSAM_MODEL_IMAGE_ENCODE_IMAGE_H_
