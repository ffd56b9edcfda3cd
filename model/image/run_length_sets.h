// Masks as sets of pixels: union, intersection, difference, all on run lengths.
//
// Run lengths that come back are canonical: no empty run but, perhaps, the first.
// Where two masks are asked for, both are sound and of one size.
// Thread-safe: free functions without state.
#ifndef SEMSAM_MODEL_IMAGE_RUN_LENGTH_SETS_H_
#define SEMSAM_MODEL_IMAGE_RUN_LENGTH_SETS_H_

#include <cstdint>
#include <span>

#include "absl/status/statusor.h"
#include "model/base/types.h"
#include "model/image/run_lengths.h"

namespace semsam {

RunLengths EmptyMask(ImageSize size);
RunLengths FullMask(ImageSize size);

// The pixels of `box` that lie in the image.
RunLengths BoxMask(PixelBox box, ImageSize size);

RunLengths UnionOf(const RunLengths& a, const RunLengths& b);
RunLengths IntersectionOf(const RunLengths& a, const RunLengths& b);
// What is in `a` and not in `b`.
RunLengths DifferenceOf(const RunLengths& a, const RunLengths& b);
RunLengths ComplementOf(const RunLengths& a);

// Whether pixel (x, y) is in the mask; false outside the image.
bool Contains(const RunLengths& mask, int x, int y);

// Run lengths from a source that is not trusted, as COCO's uncompressed form holds
// them. Errors: INVALID_ARGUMENT where they do not add up to size.area().
absl::StatusOr<RunLengths> CheckedRunLengths(std::span<const int64_t> counts, ImageSize size);

// How a mask follows a resize, crop, flip or padding: pixel (x, y) of the result is
// the source pixel (columns[x], rows[y]), and 0 where either is negative. Entries
// lie below the source's size; those of `rows` that are not negative do not fall,
// and are neighbours of each other.
RunLengths SampleMask(const RunLengths& mask, std::span<const int> columns,
                      std::span<const int> rows);

}  // namespace semsam

#endif  // SEMSAM_MODEL_IMAGE_RUN_LENGTH_SETS_H_
