#include "model/data/scene_paint.h"

#include <algorithm>
#include <cmath>
#include <vector>

namespace semsam {
namespace {

uint8_t Clamped(int value) { return static_cast<uint8_t>(std::clamp(value, 0, 255)); }

bool Inside(const Shape& shape, double x, double y) {
  if (shape.kind == ShapeKind::kBox) return true;  // only pixels of the box are asked for
  const double u = (x - shape.x0) / (shape.x1 - shape.x0);
  const double v = (y - shape.y0) / (shape.y1 - shape.y0);
  if (shape.kind == ShapeKind::kTriangle) return std::abs(2 * u - 1) <= v;
  return (2 * u - 1) * (2 * u - 1) + (2 * v - 1) * (2 * v - 1) <= 1;
}

// Mixes the bits of a place: spots that do not repeat.
uint32_t Hash(uint32_t x, uint32_t y, uint32_t pattern) {
  uint32_t h = x * 0x9E3779B1u ^ y * 0x85EBCA77u ^ pattern;
  h = (h ^ (h >> 15)) * 0x2C1B3C6Du;
  h = (h ^ (h >> 12)) * 0x297A2D39u;
  return h ^ (h >> 15);
}

bool IsSecond(const Surface& surface, int x, int y) {
  const int period = surface.period_px;
  switch (surface.texture) {
    case Texture::kPlain:
      return false;
    case Texture::kStripes:
      return ((x + surface.slope * y + 65536 * period) / period) % 2 == 1;
    case Texture::kChecks:
      return (x / period + y / period) % 2 == 1;
    case Texture::kSpots:
      return Hash(x * 3 / period, y * 3 / period, surface.pattern) % 4 == 0;
  }
  return false;
}

// First pixel whose centre is not before `edge`, within [0, size].
int FirstPixel(double edge, int size) {
  return static_cast<int>(std::clamp(std::ceil(edge - 0.5), 0.0, static_cast<double>(size)));
}

}  // namespace

Surface RandomSurface(double texture_chance, Random& random) {
  Surface surface;
  for (int c = 0; c < 3; ++c) {
    surface.colour[c] = static_cast<uint8_t>(random.Below(256));
    const int change = 16 + static_cast<int>(random.Below(64));
    surface.second[c] = Clamped(surface.colour[c] + (random.Chance(0.5) ? change : -change));
  }
  if (!random.Chance(texture_chance)) return surface;
  surface.texture = static_cast<Texture>(1 + random.Below(3));
  surface.period_px = 2 + static_cast<int>(random.Below(12));
  surface.slope = static_cast<int>(random.Below(5)) - 2;
  surface.pattern = static_cast<uint32_t>(random.Next());
  return surface;
}

ScenePainter::ScenePainter(ImageSize size) {
  labels_.size = size;
  labels_.values.assign(static_cast<size_t>(size.area()), 0);
  picture_.size = size;
  picture_.pixels.assign(static_cast<size_t>(size.area()) * 3, 0);
}

void ScenePainter::Paint(const Shape& shape, uint32_t label, const Surface& surface) {
  const ImageSize size = labels_.size;
  const int left = FirstPixel(shape.x0, size.width), right = FirstPixel(shape.x1, size.width);
  const int top = FirstPixel(shape.y0, size.height), bottom = FirstPixel(shape.y1, size.height);
  for (int y = top; y < bottom; ++y) {
    for (int x = left; x < right; ++x) {
      if (!Inside(shape, x + 0.5, y + 0.5)) continue;
      const size_t at = static_cast<size_t>(y) * size.width + x;
      labels_.values[at] = label;
      const auto& colour = IsSecond(surface, x, y) ? surface.second : surface.colour;
      std::copy(colour.begin(), colour.end(), picture_.pixels.begin() + 3 * at);
    }
  }
}

void ScenePainter::Outline() {
  const int width = labels_.size.width;
  for (int y = 0; y + 1 < labels_.size.height; ++y) {
    for (int x = 0; x + 1 < width; ++x) {
      const size_t at = static_cast<size_t>(y) * width + x;
      const uint32_t label = labels_.values[at];
      if (labels_.values[at + 1] == label && labels_.values[at + width] == label) continue;
      for (int c = 0; c < 3; ++c) picture_.pixels[3 * at + c] /= 4;
    }
  }
}

void ScenePainter::Shade(Random& random) {
  const int height = labels_.size.height, width = labels_.size.width;
  // Brightness in 1/256 at the corners; between them it changes linearly.
  int corner[4];
  for (int& light : corner) light = 160 + static_cast<int>(random.Below(128));
  for (int y = 0; y < height; ++y) {
    const int left = corner[0] + (corner[1] - corner[0]) * y / height;
    const int right = corner[2] + (corner[3] - corner[2]) * y / height;
    for (int x = 0; x < width; ++x) {
      const int light = left + (right - left) * x / width;
      uint8_t* pixel = picture_.pixels.data() + 3 * (static_cast<size_t>(y) * width + x);
      for (int c = 0; c < 3; ++c) pixel[c] = Clamped(pixel[c] * light / 256);
    }
  }
}

void ScenePainter::Blur() {
  const int height = labels_.size.height, width = labels_.size.width;
  const std::vector<uint8_t> sharp = picture_.pixels;
  for (int y = 1; y + 1 < height; ++y) {
    for (int x = 1; x + 1 < width; ++x) {
      for (int c = 0; c < 3; ++c) {
        int sum = 0;
        for (int dy = -1; dy <= 1; ++dy) {
          const size_t row = static_cast<size_t>(y + dy) * width + x;
          sum += sharp[3 * (row - 1) + c] + sharp[3 * row + c] + sharp[3 * (row + 1) + c];
        }
        picture_.pixels[3 * (static_cast<size_t>(y) * width + x) + c] =
            static_cast<uint8_t>(sum / 9);
      }
    }
  }
}

void ScenePainter::AddNoise(int amplitude, Random& random) {
  if (amplitude == 0) return;
  const uint64_t range = 2 * static_cast<uint64_t>(amplitude) + 1;
  for (uint8_t& value : picture_.pixels) {
    value = Clamped(value + static_cast<int>(random.Below(range)) - amplitude);
  }
}

}  // namespace semsam
