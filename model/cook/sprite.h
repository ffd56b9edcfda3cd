// A picture on a transparent ground with nested masks: what cooked scenes are put
// together from.
#ifndef SEMSAM_MODEL_COOK_SPRITE_H_
#define SEMSAM_MODEL_COOK_SPRITE_H_

#include <cstdint>
#include <string>
#include <vector>

#include "model/base/types.h"
#include "model/image/decode_image.h"

namespace semsam {

// The words of one mask, with Annotation's meaning.
struct SpriteMask {
  RunLengths mask;  // in the frame of the sprite; canonical, not empty
  std::string object_name;
  std::string part_name;
  int parent = -1;  // index of an earlier mask; -1: only of the whole
};

struct Sprite {
  Rgba8Image image;
  // The first is the whole: all others lie inside it.
  std::vector<SpriteMask> masks;
};

// From here on a pixel belongs to the sprite, not to what lies behind it.
inline constexpr uint8_t kOpaqueAlpha = 128;

// Pixels of at least kOpaqueAlpha. Thread-safe.
RunLengths Coverage(const Rgba8Image& image);

// Resized so that the longer side has `side_px`; alpha and colours bicubic, colours
// weighted by alpha. `image` is not empty. Thread-safe.
Rgba8Image ResizeRgba(const Rgba8Image& image, int side_px);

}  // namespace semsam

#endif  // SEMSAM_MODEL_COOK_SPRITE_H_
