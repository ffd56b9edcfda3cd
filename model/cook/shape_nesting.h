// From the shapes of a drawing to nested masks, as a person would point at them: the
// whole, groups, a shape with all that is drawn upon it, neighbours of one colour, the
// bare shape, each of its pieces.
#ifndef SEMSAM_MODEL_COOK_SHAPE_NESTING_H_
#define SEMSAM_MODEL_COOK_SHAPE_NESTING_H_

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "model/cook/sprite.h"
#include "model/cook/svg_picture.h"

namespace semsam {

struct NestingOptions {
  int64_t min_area_px = 64;    // smaller masks are left out
  double max_iou = 0.9;        // of two masks more alike, one is left out
  double upon_share = 0.9;     // of a shape's silhouette on the one it is drawn upon
  double inside_share = 0.95;  // of a mask's pixels inside its parent
  // Between the mean colours (RGB, 0 to 255) of neighbours that also count as one.
  double max_colour_distance = 36;
  int max_masks = 48;  // the largest stay
};
absl::Status Validate(const NestingOptions& options);

// What each shape shows of itself: its silhouette without what is painted over it. In
// the order of `drawing.shapes`; may be empty.
std::vector<RunLengths> VisibleShapes(const SvgDrawing& drawing);

// Masks without names, by falling area, the whole first; a parent is the smallest mask
// that holds the child. Errors: OUT_OF_RANGE where the whole is below min_area_px.
// Thread-safe.
absl::StatusOr<std::vector<SpriteMask>> NestShapes(const SvgDrawing& drawing,
                                                   const NestingOptions& options = {});

// Sorts `masks` by falling area (the first stays), leaves out the small, the alike
// (the later of two) and the surplus, and sets the parents. Names stay.
std::vector<SpriteMask> NestMasks(std::vector<SpriteMask> masks, const NestingOptions& options);

}  // namespace semsam

#endif  // SEMSAM_MODEL_COOK_SHAPE_NESTING_H_
