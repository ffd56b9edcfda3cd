// The common case of the mask tail, four output pixels a grid step each way:
// thresholds the bilinear upsampling without computing it where that cannot matter.
#ifndef SEMSAM_MODEL_IMAGE_QUAD_MASK_H_
#define SEMSAM_MODEL_IMAGE_QUAD_MASK_H_

#include <cstdint>
#include <functional>
#include <span>

#include "model/base/types.h"

namespace semsam {

// Receives row y of a mask: pixel x is bit x % 64 of word x / 64, bits beyond the
// width are 0. The words are valid during the call.
using MaskRowSink = std::function<void(int y, std::span<const uint64_t> row)>;

// Calls `sink` for the rows [0, size.height) of `upsampled > threshold`, where
// `upsampled` is the bilinear upsampling of `logits` by 4, cut to `size`; equal in
// every pixel to thresholding BilinearRows.
//
// A bilinear value lies between its four corners, so a cell whose corners all lie
// on one side of the threshold needs no interpolation: nine cells of ten.
void ForEachQuadMaskRow(LogitsView logits, ImageSize size, float threshold,
                        const MaskRowSink& sink);

}  // namespace semsam

#endif  // SEMSAM_MODEL_IMAGE_QUAD_MASK_H_
