// From masks to prompts: where a training or evaluation click goes, which masks it
// stands for, and how a box is made inexact (parity notes, sections 6 to 8).
//
// Clicks are pixels of the sample's frame, by index: the pixel (x, y) covers
// [x, x + 1) x [y, y + 1). Prompts are relative to a given size.
// Thread-safe: free functions without state but the generator they are given.
#ifndef SEMSAM_MODEL_DATA_CLICKS_H_
#define SEMSAM_MODEL_DATA_CLICKS_H_

#include <optional>
#include <vector>

#include "absl/types/span.h"
#include "model/base/types.h"
#include "model/data/random.h"

namespace semsam {

struct ClickPixel {
  int x = 0;
  int y = 0;

  friend bool operator==(const ClickPixel&, const ClickPixel&) = default;
};

// Every pixel of the mask is equally likely. Nothing for an empty mask.
std::optional<ClickPixel> UniformInteriorPixel(const RunLengths& mask, Random& random);

// The pixel that lies deepest inside, as the published evaluation clicks: the first
// maximum, row by row, of kornia's distance transform (h = 0.35, kernel 3) of the
// mask, the outside of the picture being outside of the mask. Nothing for an empty
// mask. Unpacks the mask; then takes time in proportion to the area of its box.
std::optional<ClickPixel> DeepestPixel(const RunLengths& mask);

// Indices of the masks that contain the click, rising; of more than `limit` a
// random choice, in random order, as the published training takes it.
std::vector<int> MasksAt(absl::Span<const RunLengths* const> masks, ClickPixel click, int limit,
                         Random& random);
// All of them.
std::vector<int> MasksAt(absl::Span<const RunLengths* const> masks, ClickPixel click);

// A click as the box (x - radius, y - radius, x + radius, y + radius), relative to
// `size`: the published code trains and evaluates with radius 3, and does not add
// half a pixel.
CenterBox ClickBox(ClickPixel click, ImageSize size, double radius_px = 3);

// Relative centre form of a box in pixels.
CenterBox RelativeBox(double x0, double y0, double x1, double y1, ImageSize size);

struct BoxNoise {
  double scale = 0.4;         // of half the box (centre) and of the whole (sides)
  double point_scale = 0.01;  // factor on that for points
};

// Moves centre and sides by U(-1, 1) * scale * (w / 2, h / 2, w, h) and clamps each
// to [0, 1]. Four draws.
CenterBox NoisyBox(CenterBox box, bool is_point, const BoxNoise& noise, Random& random);

// `count` indices below `size`: random permutations one after the other, cut. As
// the published training repeats the masks of a picture to a fixed number.
std::vector<int> RepeatedPermutation(int size, int count, Random& random);

}  // namespace semsam

#endif  // SEMSAM_MODEL_DATA_CLICKS_H_
