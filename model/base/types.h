// Plain structs shared by every layer: images, prompts, masks. Each field says
// its frame and unit; nothing here depends on OpenCV, Torch or protobuf.
//
// Coordinate frames
//   original  pixels of the image as the user sees it (EXIF orientation
//             applied), origin top left, pixel centres at +0.5
//   network   pixels of the resized image that the model sees, unpadded
//   padded    `network`, padded right and bottom to a multiple of the model's
//             size divisor (32)
//   relative  [0, 1] of the unpadded image; the same numbers in `original` and
//             `network`, up to the rounding of the resize
#ifndef SEMSAM_MODEL_BASE_TYPES_H_
#define SEMSAM_MODEL_BASE_TYPES_H_

#include <cstddef>
#include <cstdint>
#include <vector>

namespace semsam {

struct ImageSize {
  int height = 0;  // px
  int width = 0;   // px

  int64_t area() const { return int64_t{height} * width; }
  friend bool operator==(const ImageSize&, const ImageSize&) = default;
};

// 8-bit RGB, row-major interleaved [H, W, 3], no row padding.
struct Rgb8Image {
  ImageSize size;
  std::vector<uint8_t> pixels;

  const uint8_t* row(int y) const {
    return pixels.data() + static_cast<size_t>(y) * size.width * 3;
  }
};

// The three sizes that take a mask from the model's grid back to the picture.
struct ImageGeometry {
  ImageSize original;  // px
  ImageSize network;   // px, unpadded
  ImageSize padded;    // px

  friend bool operator==(const ImageGeometry&, const ImageGeometry&) = default;
};

// One prompt as the model sees it (parity notes, section 1): a point is a box
// of the model's fixed click size.
struct Prompt {
  float cx = 0;  // relative, centre
  float cy = 0;  // relative, centre
  float w = 0;   // relative
  float h = 0;   // relative
  // Row of the model's point-or-box embedding. Clicks use 0, as the authors'
  // own inference does.
  int point_or_box = 0;

  friend bool operator==(const Prompt&, const Prompt&) = default;
};

// How a word becomes a text embedding.
enum class TextMode {
  // The mean over prompt templates ("a photo of a {}."), as the published
  // evaluation does it.
  kEnsemble,
  // The word as it is: one text instead of 81.
  kPlain,
};

// Which of the two decoupled class heads (paper, section 3.3).
enum class LabelHead { kObject, kPart };

// Axis-aligned box, centre form.
struct CenterBox {
  float cx = 0;
  float cy = 0;
  float w = 0;
  float h = 0;
};

// Binary mask, one byte a pixel (0 or 1), row-major [H, W].
struct BinaryMask {
  ImageSize size;
  std::vector<uint8_t> pixels;
};

// COCO run lengths: column-major, alternating runs that start with zeros. The
// counts always add up to size.area().
struct RunLengths {
  ImageSize size;
  std::vector<uint32_t> counts;

  friend bool operator==(const RunLengths&, const RunLengths&) = default;
};

// A read-only view of mask logits [H, W], row-major; the owner outlives it.
struct LogitsView {
  ImageSize size;
  const float* data = nullptr;

  float at(int y, int x) const { return data[static_cast<size_t>(y) * size.width + x]; }
};

}  // namespace semsam

#endif  // SEMSAM_MODEL_BASE_TYPES_H_
