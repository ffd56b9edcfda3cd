// Small holes and islands of a mask, removed as the published everything-mode and
// predictor do.
//
// Thread-safe: free functions without state.
#ifndef SEMSAM_MODEL_IMAGE_MASK_CLEANUP_H_
#define SEMSAM_MODEL_IMAGE_MASK_CLEANUP_H_

#include <cstdint>

#include "absl/status/statusor.h"
#include "model/base/types.h"

namespace semsam {

// Fills background components (8-connected, also those at the border) of fewer than
// `min_area` pixels. True if anything changed. Errors: INTERNAL.
absl::StatusOr<bool> FillHoles(BinaryMask& mask, int64_t min_area);

// Clears foreground components (8-connected) of fewer than `min_area` pixels; if all
// are that small the largest stays (the first of equals). True if there was such a
// component, as published: also where the only one stays. Errors: INTERNAL.
absl::StatusOr<bool> RemoveIslands(BinaryMask& mask, int64_t min_area);

// FillHoles, then RemoveIslands, on run lengths: the same result, but only the part
// of the mask around its pixels is unpacked. True if either changed anything.
// Errors: INTERNAL.
absl::StatusOr<bool> CleanUpMask(RunLengths& mask, int64_t min_area);

}  // namespace semsam

#endif  // SEMSAM_MODEL_IMAGE_MASK_CLEANUP_H_
