// Which mask lies in which: the tree that takes a person from the scene to an
// object and to its parts.
//
// Thread-safe: free functions without state.
#ifndef SEMSAM_MODEL_IMAGE_CONTAINMENT_H_
#define SEMSAM_MODEL_IMAGE_CONTAINMENT_H_

#include <functional>
#include <span>
#include <vector>

#include "absl/status/statusor.h"
#include "model/base/types.h"

namespace semsam {

// The parent of each of `masks`, as an index into them, or -1. The parent of a mask
// is the smallest one by area (the first of equals) of strictly larger area that
// holds at least `share` of its pixels. So parents never form a circle; an empty mask
// has none and is none's.
//
// Masks are borrowed, of one size and sound (counts add up to the area). Errors:
// INVALID_ARGUMENT, field `share`, unless above 0 and at most 1; INTERNAL for masks
// of different sizes; CANCELLED if `cancelled` (may be null; asked a mask) says so.
//
// No mask is unpacked. With N masks of R runs: at most N * (N - 1) / 2 pairs are
// compared, smallest candidates first until one holds the mask; a pair costs O(1)
// where the boxes overlap too little to hold the share, O(R) otherwise.
absl::StatusOr<std::vector<int>> FindParents(std::span<const RunLengths* const> masks, double share,
                                             const std::function<bool()>& cancelled = nullptr);

}  // namespace semsam

#endif  // SEMSAM_MODEL_IMAGE_CONTAINMENT_H_
