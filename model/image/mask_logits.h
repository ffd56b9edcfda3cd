// The logits of a mask as they travel: the model's grid without its padding, in half
// precision.
//
// Thread-safe: free functions without state.
#ifndef SEMSAM_MODEL_IMAGE_MASK_LOGITS_H_
#define SEMSAM_MODEL_IMAGE_MASK_LOGITS_H_

#include <string>

#include "model/base/types.h"
#include "model/image/mask_tail.h"

namespace semsam {

// Row y and column x hold the logit at the point ((x + 0.5) * cell_width,
// (y + 0.5) * cell_height) of the mask.
struct PackedLogits {
  ImageSize size;         // cells; what covers the picture
  float cell_width = 0;   // px of the mask
  float cell_height = 0;  // px of the mask
  // Little-endian halves, row-major; what is beyond their range is their largest number.
  std::string halves;

  friend bool operator==(const PackedLogits&, const PackedLogits&) = default;
};

// Precondition: ValidateGeometry(geometry, logits.size) is OK.
PackedLogits PackLogits(LogitsView logits, const ImageGeometry& geometry,
                        MaskResolution resolution);

}  // namespace semsam

#endif  // SEMSAM_MODEL_IMAGE_MASK_LOGITS_H_
