#include "model/image/exif_orientation.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "model/image/byte_reader.h"

namespace semsam {
namespace {

constexpr uint16_t kOrientationTag = 274;
constexpr uint16_t kTypeShort = 3;

// Where output pixel (x, y) comes from: base + x * step_x + y * step_y, in
// pixels of the stored image.
struct Walk {
  ptrdiff_t base;
  ptrdiff_t step_x;
  ptrdiff_t step_y;
};

Walk WalkOf(ImageSize stored, int orientation) {
  const ptrdiff_t width = stored.width;
  const ptrdiff_t right = stored.width - 1;
  const ptrdiff_t bottom = (stored.height - 1) * width;
  switch (orientation) {
    case 2:  // mirrored
      return {right, -1, width};
    case 3:  // rotated by 180 degrees
      return {bottom + right, -1, -width};
    case 4:  // upside down
      return {bottom, 1, -width};
    case 5:  // transposed
      return {0, width, 1};
    case 6:  // to be turned clockwise
      return {bottom, -width, 1};
    case 7:  // transposed along the other diagonal
      return {bottom + right, -width, -1};
    case 8:  // to be turned counter-clockwise
      return {right, width, -1};
    default:
      return {0, 1, width};
  }
}

}  // namespace

int ExifOrientation(std::span<const uint8_t> exif) {
  if (ByteReader(exif, true).StartsWith(0, std::string_view("Exif\0\0", 6))) {
    exif = exif.subspan(6);
  }
  const bool big_endian = ByteReader(exif, true).StartsWith(0, "MM");
  const ByteReader reader(exif, big_endian);
  if (!big_endian && !reader.StartsWith(0, "II")) return 1;
  const uint64_t directory = reader.U32(4).value_or(0);
  const int entries = reader.U16(directory).value_or(0);
  for (int i = 0; i < entries; ++i) {
    const uint64_t entry = directory + 2 + uint64_t{12} * i;
    if (reader.U16(entry).value_or(0) != kOrientationTag) continue;
    if (reader.U16(entry + 2).value_or(0) != kTypeShort) return 1;
    const int value = reader.U16(entry + 8).value_or(1);
    return value >= 1 && value <= 8 ? value : 1;
  }
  return 1;
}

Rgb8Image ApplyOrientation(Rgb8Image image, int orientation) {
  if (orientation < 2 || orientation > 8) return image;
  const Walk walk = WalkOf(image.size, orientation);
  Rgb8Image out;
  out.size = orientation >= 5 ? ImageSize{image.size.width, image.size.height} : image.size;
  out.pixels.resize(image.pixels.size());

  // In tiles: a transposing walk strides through memory, and a tile of the
  // source stays in the cache.
  constexpr int kTile = 64;
  for (int y0 = 0; y0 < out.size.height; y0 += kTile) {
    const int y1 = std::min(y0 + kTile, out.size.height);
    for (int x0 = 0; x0 < out.size.width; x0 += kTile) {
      const int x1 = std::min(x0 + kTile, out.size.width);
      for (int y = y0; y < y1; ++y) {
        const uint8_t* from =
            image.pixels.data() + 3 * (walk.base + x0 * walk.step_x + y * walk.step_y);
        uint8_t* to = out.pixels.data() + 3 * (static_cast<size_t>(y) * out.size.width + x0);
        for (int x = x0; x < x1; ++x, from += 3 * walk.step_x, to += 3) std::memcpy(to, from, 3);
      }
    }
  }
  return out;
}

}  // namespace semsam
