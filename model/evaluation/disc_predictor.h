// A predictor that looks at nothing: six discs round the click. What it reaches is what
// a picture's objects give away by being round and of ordinary size; a model must do
// better.
//
// Thread-safe.
#ifndef SEMSAM_MODEL_EVALUATION_DISC_PREDICTOR_H_
#define SEMSAM_MODEL_EVALUATION_DISC_PREDICTOR_H_

#include <array>
#include <memory>

#include "absl/status/statusor.h"
#include "model/base/types.h"
#include "model/evaluation/protocol.h"

namespace semsam {

// Radii as shares of the picture's short edge. Of a few rows tried by deepest clicks on
// pets, cats and COCO pictures the one with the highest Oracle, so that the baseline is
// no easier to beat than it has to be.
inline constexpr std::array<double, 6> kDiscRadii = {0.02, 0.04, 0.08, 0.15, 0.26, 0.42};

// The pixels whose centres lie in the ellipse with this centre and these half axes (px),
// cut at the picture's edge.
RunLengths EllipseMask(ImageSize picture, double cx, double cy, double half_width,
                       double half_height);

// A click gets the six discs, the second largest surest and then by distance from it; a
// box gets the ellipse that it holds.
class DiscPredictor : public InteractivePredictor {
 public:
  PredictorTraits traits() const override {
    return {.name = "six discs", .takes_boxes = true, .thread_safe = true};
  }

  // INVALID_ARGUMENT for a picture without pixels.
  absl::StatusOr<std::unique_ptr<PictureSession>> Open(const Rgb8Image& picture) override;
};

}  // namespace semsam

#endif  // SEMSAM_MODEL_EVALUATION_DISC_PREDICTOR_H_
