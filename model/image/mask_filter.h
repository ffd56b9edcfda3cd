// Which of several masks to keep: duplicates, overlapping boxes, order.
//
// All functions return indices into their input and copy no mask. Thread-safe:
// free functions without state.
#ifndef SEMSAM_MODEL_IMAGE_MASK_FILTER_H_
#define SEMSAM_MODEL_IMAGE_MASK_FILTER_H_

#include <cstddef>
#include <span>
#include <vector>

#include "model/base/types.h"
#include "model/image/run_lengths.h"

namespace semsam {

// Corners as the published code counts them: the extreme pixels themselves, so a
// box of one pixel has no area. All zero for an empty mask.
struct CornerBox {
  float x0 = 0;
  float y0 = 0;
  float x1 = 0;
  float y1 = 0;

  friend bool operator==(const CornerBox&, const CornerBox&) = default;
};

CornerBox ToCornerBox(const PixelBox& box);

// Greedy non-maximum suppression: boxes by descending score (equal scores in input
// order); one whose IoU with a kept box exceeds `iou_threshold` goes. The arithmetic
// is torchvision's (32-bit floats); boxes without area suppress nothing.
// Returns the kept indices by descending score.
std::vector<size_t> BoxNms(std::span<const CornerBox> boxes, std::span<const float> scores,
                           double iou_threshold);

// Masks of one prompt without near copies: by descending predicted IoU (equals in
// input order), a mask whose IoU with a kept one exceeds `iou_threshold` goes.
// Returns the kept indices in that order.
std::vector<size_t> RemoveDuplicates(std::span<const RunLengths> masks,
                                     std::span<const float> predicted_ious, double iou_threshold);

// The published predictor's choice among the masks of one click: as
// RemoveDuplicates, but masks whose predicted IoU, rounded to two decimals, is below
// `min_predicted_iou` are passed over; if that leaves none, the worst one is taken.
// Returns the kept indices by ascending area (equals in the order of acceptance).
std::vector<size_t> SelectPredictorMasks(std::span<const RunLengths> masks,
                                         std::span<const float> predicted_ious,
                                         double min_predicted_iou = 0.5,
                                         double iou_threshold = 0.95);

// Indices by ascending level, equal levels in input order.
std::vector<size_t> OrderByLevel(std::span<const int> levels);

}  // namespace semsam

#endif  // SEMSAM_MODEL_IMAGE_MASK_FILTER_H_
