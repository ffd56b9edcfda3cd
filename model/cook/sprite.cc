#include "model/cook/sprite.h"

#include <algorithm>
#include <cmath>

#include "model/image/resize.h"
#include "model/image/run_lengths.h"

namespace semsam {

RunLengths Coverage(const Rgba8Image& image) {
  BinaryMask mask{.size = image.size};
  mask.pixels.resize(image.pixels.size() / 4);
  for (size_t i = 0; i < mask.pixels.size(); ++i) {
    mask.pixels[i] = image.pixels[4 * i + 3] >= kOpaqueAlpha;
  }
  return EncodeRunLengths(mask);
}

Rgba8Image ResizeRgba(const Rgba8Image& image, int side_px) {
  const double scale = static_cast<double>(side_px) / std::max(image.size.height, image.size.width);
  const ImageSize size{
      .height = std::max(1, static_cast<int>(std::lround(image.size.height * scale))),
      .width = std::max(1, static_cast<int>(std::lround(image.size.width * scale)))};
  // The resize knows three channels: once the colours multiplied by alpha, so that
  // what cannot be seen does not bleed into the edges, once alpha thrice.
  const size_t pixels = image.pixels.size() / 4;
  Rgb8Image colour{.size = image.size}, alpha{.size = image.size};
  colour.pixels.resize(pixels * 3);
  alpha.pixels.resize(pixels * 3);
  for (size_t i = 0; i < pixels; ++i) {
    const int a = image.pixels[4 * i + 3];
    for (int c = 0; c < 3; ++c) {
      colour.pixels[3 * i + c] = static_cast<uint8_t>((image.pixels[4 * i + c] * a + 127) / 255);
      alpha.pixels[3 * i + c] = static_cast<uint8_t>(a);
    }
  }
  colour = ResizeBicubic(colour, size);
  alpha = ResizeBicubic(alpha, size);
  Rgba8Image resized{.size = size};
  resized.pixels.assign(static_cast<size_t>(size.area()) * 4, 0);
  for (size_t i = 0; i < resized.pixels.size() / 4; ++i) {
    const int a = alpha.pixels[3 * i];
    if (a == 0) continue;
    for (int c = 0; c < 3; ++c) {
      resized.pixels[4 * i + c] =
          static_cast<uint8_t>(std::min(255, (colour.pixels[3 * i + c] * 255 + a / 2) / a));
    }
    resized.pixels[4 * i + 3] = static_cast<uint8_t>(a);
  }
  return resized;
}

}  // namespace semsam
