// kornia.contrib.distance_transform, rewritten as a peeling of layers. The original
// convolves the whole image once for every layer; only pixels that have just been
// reached change, so a list of them gives the same numbers in one pass.
#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include "model/data/clicks.h"
#include "model/image/run_lengths.h"

namespace semsam {
namespace {

constexpr float kSharpness = 0.35f;  // "h" of the original
constexpr int kKernel = 3;

struct Step {
  int dx;
  int dy;
};
// Row by row, in which order the original adds them up.
constexpr Step kNeighbours[] = {{-1, -1}, {0, -1}, {1, -1}, {-1, 0},
                                {1, 0},   {-1, 1}, {0, 1},  {1, 1}};

// The box of a mask with a border of two pixels, so that every neighbour exists.
class Field {
 public:
  Field(const RunLengths& mask, PixelBox box)
      : box_(box),
        width_(box.width + 4),
        reached_(static_cast<size_t>(width_) * (box.height + 4), 1) {
    const BinaryMask plain = DecodeRunLengths(mask);
    for (int y = 0; y < box.height; ++y) {
      for (int x = 0; x < box.width; ++x) {
        reached_[At(x, y)] =
            !plain.pixels[static_cast<size_t>(box.y + y) * mask.size.width + box.x + x];
      }
    }
  }

  size_t At(int x, int y) const { return static_cast<size_t>(y + 2) * width_ + x + 2; }
  ptrdiff_t Offset(Step step) const { return static_cast<ptrdiff_t>(step.dy) * width_ + step.dx; }
  ClickPixel PixelOf(size_t at) const {
    return {.x = box_.x + static_cast<int>(at % width_) - 2,
            .y = box_.y + static_cast<int>(at / width_) - 2};
  }

  const PixelBox& box() const { return box_; }
  // 1: outside, or reached by an earlier layer.
  std::vector<uint8_t>& reached() { return reached_; }

 private:
  const PixelBox box_;
  const size_t width_;
  std::vector<uint8_t> reached_;
};

// The pixels of the mask that touch its outside.
std::vector<size_t> FirstLayer(Field& field) {
  std::vector<size_t> layer;
  for (int y = 0; y < field.box().height; ++y) {
    for (int x = 0; x < field.box().width; ++x) {
      const size_t at = field.At(x, y);
      if (field.reached()[at]) continue;
      for (const Step step : kNeighbours) {
        if (!field.reached()[at + field.Offset(step)]) continue;
        layer.push_back(at);
        break;
      }
    }
  }
  return layer;
}

// What the layer touches and is not reached, each once.
std::vector<size_t> NextLayer(Field& field, const std::vector<size_t>& layer,
                              std::vector<uint8_t>& listed) {
  std::vector<size_t> next;
  for (const size_t at : layer) {
    for (const Step step : kNeighbours) {
      const size_t neighbour = at + field.Offset(step);
      if (field.reached()[neighbour] || listed[neighbour]) continue;
      listed[neighbour] = 1;
      next.push_back(neighbour);
    }
  }
  return next;
}

}  // namespace

std::optional<ClickPixel> DeepestPixel(const RunLengths& mask) {
  const PixelBox box = BoundingBox(mask);
  if (box.width == 0) return std::nullopt;
  Field field(mask, box);
  float weights[8];
  for (int i = 0; i < 8; ++i) {
    const Step step = kNeighbours[i];
    weights[i] = std::exp(std::sqrt(static_cast<float>(step.dx * step.dx + step.dy * step.dy)) /
                          -kSharpness);
  }
  float best = -1;
  size_t best_at = 0;
  std::vector<uint8_t> listed(field.reached().size(), 0);
  std::vector<size_t> layer = FirstLayer(field);
  for (int i = 0; !layer.empty(); ++i) {
    const int whole = i * kKernel / 2;  // whole numbers, as the original has it
    const float offset = static_cast<float>(whole);
    for (const size_t at : layer) {
      float sum = 0;
      for (int k = 0; k < 8; ++k) {
        if (field.reached()[at + field.Offset(kNeighbours[k])]) sum += weights[k];
      }
      const float depth = offset + -kSharpness * std::log(sum);
      // The list is in no order, the first maximum by rows is wanted.
      if (depth > best || (depth == best && at < best_at)) {
        best = depth;
        best_at = at;
      }
    }
    for (const size_t at : layer) field.reached()[at] = 1;
    layer = NextLayer(field, layer, listed);
  }
  return field.PixelOf(best_at);
}

}  // namespace semsam
