// Multi-scale deformable attention (Deformable DETR, equation 3).
//
// Two forms of one operator: over values projected beforehand (the pixel
// decoder, where every token of the memory is a query; hundreds of queries on one
// image), and over raw memory (a click is six queries: projecting the whole memory
// for them is 99 % waste).
//
// `projections` is the output of one linear layer, both halves side by side:
// [..., heads * levels * points * 2] sampling offsets (head, level, point, xy),
// then [..., heads * levels * points] attention logits.
#ifndef SEMSAM_MODEL_OPS_DEFORMABLE_ATTENTION_H_
#define SEMSAM_MODEL_OPS_DEFORMABLE_ATTENTION_H_

#include <vector>

#include "absl/types/span.h"
#include "model/base/types.h"
#include "model/ops/level_sampling.h"
#include "model/ops/linear.h"
#include "model/ops/path.h"
#include "model/torch/torch.h"

namespace semsam::ops {

// values [B, T, C], C = heads * head_dim, T = the pixels of `levels` in order;
// projections [B, Q, heads*L*P*3]; references [Q, 2] (x, y in 0..1, shared by the
// batch and by all levels). An offset of 1 moves by one pixel of its level.
// -> [B, Q, C].
at::Tensor DeformableAttention(const SamplingShape& shape, const at::Tensor& values,
                               const std::vector<ImageSize>& levels, const at::Tensor& projections,
                               const at::Tensor& references, Path path);

// Memory of one image with its pyramid.
struct PyramidMemory {
  at::Tensor memory;              // [T, C]
  std::vector<ImageSize> levels;  // in the order of the rows
  // ValueProjection::full of the memory, [T, C], where somebody has projected it
  // for the layer at hand; undefined where not.
  at::Tensor values;
};

// The value projection of a decoder layer, in both forms.
struct ValueProjection {
  Linear full;           // [C, C]
  HeadProjection heads;  // native path only
};
ValueProjection PrepareValueProjection(const at::Tensor& weight, const at::Tensor& bias,
                                       const SamplingShape& shape, Path path);

// Queries of several images in one call. `images` are the distinct memories, all
// with the same number of levels; query q looks at images[image_of_query[q]]: at
// its values where it has them, at its raw memory otherwise (the same up to
// rounding). projections [Q, heads*L*P*3]; references [Q, 4] (cx, cy, w, h in
// 0..1); an offset of `points` moves by half the box. -> [Q, C], value projection
// applied. Native path: a row depends on its query and image alone, bit for bit.
at::Tensor BoxDeformableAttention(const SamplingShape& shape, const ValueProjection& values,
                                  absl::Span<const PyramidMemory> images,
                                  absl::Span<const int> image_of_query,
                                  const at::Tensor& projections, const at::Tensor& references,
                                  Path path);

}  // namespace semsam::ops

#endif  // SEMSAM_MODEL_OPS_DEFORMABLE_ATTENTION_H_
