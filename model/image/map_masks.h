// From a map of labels to a mask a label.
//
// Thread-safe: free functions without state.
#ifndef SEMSAM_MODEL_IMAGE_MAP_MASKS_H_
#define SEMSAM_MODEL_IMAGE_MAP_MASKS_H_

#include <cstdint>
#include <span>
#include <vector>

#include "absl/status/statusor.h"
#include "model/base/types.h"

namespace semsam {

struct LabelMask {
  int label = 0;
  RunLengths mask;
  int64_t area = 0;  // px, at least 1
};

// The masks of the labels [first_label, end_label) of `map` [H, W], row-major, by
// rising label; pixels with another value belong to none, labels without pixels have
// no mask. One pass over the map, nothing of its size is allocated. Errors: INTERNAL
// where the map does not fill `size`.
absl::StatusOr<std::vector<LabelMask>> MasksOfMap(std::span<const int32_t> map, ImageSize size,
                                                  int first_label, int end_label);

}  // namespace semsam

#endif  // SEMSAM_MODEL_IMAGE_MAP_MASKS_H_
