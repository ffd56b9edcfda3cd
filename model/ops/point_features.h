// The memory of an image at single points.
#ifndef SEMSAM_MODEL_OPS_POINT_FEATURES_H_
#define SEMSAM_MODEL_OPS_POINT_FEATURES_H_

#include "absl/types/span.h"
#include "model/ops/deformable_attention.h"
#include "model/ops/path.h"
#include "model/torch/torch.h"

namespace semsam::ops {

// points [P, 2] (x, y in 0..1 of the padded image); point p looks at
// images[image_of_point[p]] -> [P, L * C]: each level of that memory, in its order,
// sampled bilinearly with pixel centres at +0.5; beyond the outer centres the border
// goes on. Differentiable by the memories, not by the points. Native path: a row
// depends on its own point and image alone, bit for bit.
at::Tensor PointFeatures(absl::Span<const PyramidMemory> images,
                         absl::Span<const int> image_of_point, const at::Tensor& points, Path path);

}  // namespace semsam::ops

#endif  // SEMSAM_MODEL_OPS_POINT_FEATURES_H_
