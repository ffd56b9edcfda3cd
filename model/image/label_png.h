// PNG files whose pixels are numbers, not colours: label maps and panoptic ids.
//
// Thread-safe: free functions without state.
#ifndef SEMSAM_MODEL_IMAGE_LABEL_PNG_H_
#define SEMSAM_MODEL_IMAGE_LABEL_PNG_H_

#include <cstdint>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "model/base/types.h"
#include "model/image/decode_image.h"

namespace semsam {

// Row-major [H, W].
struct LabelImage {
  ImageSize size;
  std::vector<uint32_t> values;
};

// Grey: the stored number (1, 2, 4, 8 or 16 bit). Palette: the index, whatever
// colour it has. Colour, 8 bit: R + 256 G + 65536 B, as COCO's panoptic files. Alpha
// is dropped. Nothing is allocated before the stated size has passed `limits`.
// Errors: as DecodeImage; 16-bit colour is an unsupported variant.
absl::StatusOr<LabelImage> DecodeLabelPng(std::string_view bytes, const DecodeLimits& limits);

}  // namespace semsam

#endif  // SEMSAM_MODEL_IMAGE_LABEL_PNG_H_
