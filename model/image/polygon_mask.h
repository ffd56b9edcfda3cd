// Polygons of COCO files to masks, pixel for pixel as pycocotools fills them: what
// average precision is computed from must not depend on who filled the outline.
//
// Thread-safe: free functions without state.
#ifndef SEMSAM_MODEL_IMAGE_POLYGON_MASK_H_
#define SEMSAM_MODEL_IMAGE_POLYGON_MASK_H_

#include <span>

#include "absl/status/statusor.h"
#include "model/base/types.h"

namespace semsam {

// `xy` is x0, y0, x1, y1, ... in pixels, the corner of the image at (0, 0); the
// outline closes by itself and may leave the image. The result equals pycocotools'
// frPyObjects up to run lengths of zero, which are left out here.
// Errors: INVALID_ARGUMENT for an odd count, fewer than three points, a coordinate
// that is not finite or lies more than kMaxPolygonCoordinate outside, or an outline
// of more than kMaxPolygonSteps fifths of a pixel.
inline constexpr double kMaxPolygonCoordinate = 1e6;
inline constexpr int64_t kMaxPolygonSteps = int64_t{1} << 26;
absl::StatusOr<RunLengths> FillPolygon(std::span<const double> xy, ImageSize size);

}  // namespace semsam

#endif  // SEMSAM_MODEL_IMAGE_POLYGON_MASK_H_
