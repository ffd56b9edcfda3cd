// From mask logits on the model's grid (a quarter of the padded size) to masks, as
// published: bilinear to the padded size, cut to the network size, then, where the
// picture had another size, antialiased bicubic to that; a pixel is in the mask
// where the logit is above 0.
//
// One mask at a time, row by row: the upsampled map is never held. Cells whose
// corners agree on the answer are not interpolated at all. The bilinear part
// rounds as PyTorch's CPU kernel does, so its masks are equal in every pixel; the
// bicubic part is equal up to the rounding of sums next to 0.
//
// Logits are finite. Thread-safe: free functions without state.
#ifndef SEMSAM_MODEL_IMAGE_MASK_TAIL_H_
#define SEMSAM_MODEL_IMAGE_MASK_TAIL_H_

#include <vector>

#include "absl/status/status.h"
#include "model/base/types.h"

namespace semsam {

// The pixels of a mask.
enum class MaskResolution {
  kOriginal,  // the picture as uploaded
  kNetwork,   // what the model saw, unpadded, as the published everything-mode
};

// OK where the functions below accept logits of size `grid` with this geometry: no
// side is empty, `network` lies in `padded`, and the grid is not finer than
// `padded`. A grid as large as `padded` means that the logits are upsampled
// already. INTERNAL otherwise.
absl::Status ValidateGeometry(const ImageGeometry& geometry, ImageSize grid);

ImageSize MaskSize(const ImageGeometry& geometry, MaskResolution resolution);

// Preconditions of all three: ValidateGeometry(geometry, logits.size) is OK.
RunLengths LogitsToRunLengths(LogitsView logits, const ImageGeometry& geometry,
                              MaskResolution resolution);
BinaryMask LogitsToMask(LogitsView logits, const ImageGeometry& geometry,
                        MaskResolution resolution);

// Area at logit > offset over area at logit > -offset, network resolution; 0 where
// the latter is empty.
float StabilityScore(LogitsView logits, const ImageGeometry& geometry, float offset = 1.0f);

// The upsampled map itself [network.height, network.width], for tools and tests.
std::vector<float> UpsampleLogits(LogitsView logits, const ImageGeometry& geometry);

}  // namespace semsam

#endif  // SEMSAM_MODEL_IMAGE_MASK_TAIL_H_
