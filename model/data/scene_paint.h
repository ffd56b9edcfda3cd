// Paints generated scenes: a picture and, beside it, whose every pixel is.
#ifndef SEMSAM_MODEL_DATA_SCENE_PAINT_H_
#define SEMSAM_MODEL_DATA_SCENE_PAINT_H_

#include <array>
#include <cstdint>
#include <utility>

#include "model/base/types.h"
#include "model/data/random.h"
#include "model/data/scene_templates.h"
#include "model/image/label_png.h"

namespace semsam {

// In pixels; may leave the picture.
struct Shape {
  ShapeKind kind = ShapeKind::kBox;
  double x0 = 0, y0 = 0, x1 = 0, y1 = 0;
};

enum class Texture { kPlain, kStripes, kChecks, kSpots };

struct Surface {
  std::array<uint8_t, 3> colour = {};
  std::array<uint8_t, 3> second = {};  // of the texture
  Texture texture = Texture::kPlain;
  int period_px = 8;
  int slope = 0;         // of stripes: columns a row
  uint32_t pattern = 0;  // of spots
};

Surface RandomSurface(double texture_chance, Random& random);

// Not thread-safe.
class ScenePainter {
 public:
  explicit ScenePainter(ImageSize size);

  // Pixels whose centre lies in the shape.
  void Paint(const Shape& shape, uint32_t label, const Surface& surface);

  void Outline();              // darkens what borders on another label
  void Shade(Random& random);  // light that falls off across the picture
  void Blur();                 // 3 x 3 mean
  void AddNoise(int amplitude, Random& random);

  const LabelImage& labels() const { return labels_; }
  Rgb8Image TakePicture() && { return std::move(picture_); }

 private:
  LabelImage labels_;
  Rgb8Image picture_;
};

}  // namespace semsam

#endif  // SEMSAM_MODEL_DATA_SCENE_PAINT_H_
