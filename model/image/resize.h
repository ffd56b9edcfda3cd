// Sizes of the network's input, and the resize that makes it: PIL's bicubic,
// bit for bit, because the published preprocessing is PIL's.
//
// Thread-safe: free functions without state.
#ifndef SEMSAM_MODEL_IMAGE_RESIZE_H_
#define SEMSAM_MODEL_IMAGE_RESIZE_H_

#include <cstdint>

#include "absl/status/statusor.h"
#include "model/base/types.h"

namespace semsam {

// Short edge to `short_edge_px`, long edge to int(short_edge_px * long / short), as
// torchvision's Resize. `original` and `short_edge_px` are positive; a side beyond
// INT_MAX is cut to it.
ImageSize NetworkSize(ImageSize original, int short_edge_px);

// The same, refused where the result has more than `max_pixels`: an image of 1 x
// 60,000 pixels would become one of 640 x 38 million.
// Errors: INVALID_ARGUMENT, field "image", reason IMAGE_TOO_LARGE.
absl::StatusOr<ImageSize> CheckedNetworkSize(ImageSize original, int short_edge_px,
                                             int64_t max_pixels);

// Bicubic (a = -0.5) resize, antialiased when it makes smaller, in 8-bit fixed
// point, along x first: equal to PIL's Image.resize(size, BICUBIC) in every bit, as
// it was up to Pillow 12, which the published models used. (Pillow 13 takes the
// other axis first where the height shrinks more than the width.)
// `image` and `size` are not empty.
Rgb8Image ResizeBicubic(const Rgb8Image& image, ImageSize size);

}  // namespace semsam

#endif  // SEMSAM_MODEL_IMAGE_RESIZE_H_
