// What it costs to call a predicted mask by the name of a true one, as the published
// many-to-many matcher counts it: 5 BCE + 5 dice over random points of the logits,
// 5 L1 + 2 (-GIoU) of the boxes.
//
// Everything lies in the frame of the padded picture, which the model sees: points and
// boxes are relative to it, a grid of logits covers it.
//
// Thread-safe: free functions without state.
#ifndef SEMSAM_MODEL_EVALUATION_MATCH_COSTS_H_
#define SEMSAM_MODEL_EVALUATION_MATCH_COSTS_H_

#include <cstdint>
#include <span>
#include <vector>

#include "model/base/types.h"

namespace semsam {

struct MatchWeights {
  double bce = 5;
  double dice = 5;
  double l1 = 5;
  double giou = 2;
};

inline constexpr int kMatchPoints = 12544;

struct MatchPoint {
  float x = 0;  // [0, 1)
  float y = 0;
};

// Independent points of the unit square, the same for the same seed on every machine.
std::vector<MatchPoint> MakeMatchPoints(uint64_t seed, int count = kMatchPoints);

// Bilinear values at the points; 0 outside. `logits` is not empty.
std::vector<float> SampleLogits(LogitsView logits, std::span<const MatchPoint> points);

// The same of a mask in original pixels, geometry.original in size.
std::vector<float> SampleMask(const BinaryMask& mask, const ImageGeometry& geometry,
                              std::span<const MatchPoint> points);

// The bounding box of a mask in original pixels. Zero in size where the mask is empty.
CenterBox MaskCenterBox(const RunLengths& mask, const ImageGeometry& geometry);

struct MatchSide {
  std::vector<float> samples;  // of logits, or of a mask
  CenterBox box;
};

// The parts of a cost, not weighted.
struct MatchCost {
  double bce = 0;
  double dice = 0;
  double l1 = 0;
  double giou = 0;  // higher is better

  double Total(const MatchWeights& weights) const {
    return weights.bce * bce + weights.dice * dice + weights.l1 * l1 - weights.giou * giou;
  }
};

// Costs [predictions, truths], row-major. All have as many samples, at least one.
std::vector<MatchCost> MatchCosts(std::span<const MatchSide> predictions,
                                  std::span<const MatchSide> truths);

}  // namespace semsam

#endif  // SEMSAM_MODEL_EVALUATION_MATCH_COSTS_H_
