// An SVG drawn: its picture, and the silhouette of every single shape, as the
// renderer sees it with its style, transformations and clips.
#ifndef SEMSAM_MODEL_COOK_SVG_PICTURE_H_
#define SEMSAM_MODEL_COOK_SVG_PICTURE_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "model/base/types.h"
#include "model/image/decode_image.h"

namespace semsam {

struct SvgGroup {
  int parent = -1;  // index of an earlier group; -1: the whole picture
  std::string id;   // as written; empty: it has none
};

struct SvgShape {
  // Pixels with at least half of the shape's strongest coverage, whatever is painted
  // over them; not empty.
  RunLengths silhouette;
  // Whether it hides what lies below it. Glass and highlights do not.
  bool opaque = true;
  int group = -1;  // index in SvgDrawing::groups; -1: of the whole picture alone
};

struct SvgDrawing {
  Rgba8Image image;
  std::vector<SvgGroup> groups;
  // In the order in which they are painted. Shapes that cannot be seen, and mere
  // shading (coverage that fades over most of their area), are not listed.
  std::vector<SvgShape> shapes;
};

struct SvgLimits {
  int64_t max_bytes = 1 << 20;
  int max_shapes = 160;  // single ones; more: the drawing is out of range
  int max_depth = 64;    // of nested groups
};
absl::Status Validate(const SvgLimits& limits);

// Draws what has ink, so that its longer side has `side_px` (16 to 2048), at least 8
// px the shorter. Nothing is loaded from outside the text.
// Errors: INVALID_ARGUMENT for what is no SVG, OUT_OF_RANGE for one beyond the limits
// or without ink. Thread-safe.
absl::StatusOr<SvgDrawing> DrawSvg(std::string_view text, int side_px,
                                   const SvgLimits& limits = {});

}  // namespace semsam

#endif  // SEMSAM_MODEL_COOK_SVG_PICTURE_H_
