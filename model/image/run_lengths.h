// Operations on run-length coded masks, none of which unpacks them; and the way
// from and to plain masks.
//
// Thread-safe: free functions without state. A RunLengthBuilder belongs to one
// thread.
#ifndef SEMSAM_MODEL_IMAGE_RUN_LENGTHS_H_
#define SEMSAM_MODEL_IMAGE_RUN_LENGTHS_H_

#include <cstdint>
#include <span>
#include <vector>

#include "model/base/types.h"

namespace semsam {

// Top left pixel, and how many pixels wide and high; all zero for an empty mask.
struct PixelBox {
  int x = 0;
  int y = 0;
  int width = 0;
  int height = 0;

  friend bool operator==(const PixelBox&, const PixelBox&) = default;
};

// Run lengths of a mask whose rows come one by one, top to bottom. Holds two rows
// and the changes between rows, never the mask.
class RunLengthBuilder {
 public:
  // `size` is not empty.
  explicit RunLengthBuilder(ImageSize size);

  // The next row: pixel x is bit x % 64 of word x / 64; bits beyond the width are 0.
  // Called size.height times.
  void AddRow(std::span<const uint64_t> row);

  // Once, after the last row.
  RunLengths Finish();

 private:
  // A pixel that differs from the one above it.
  struct Change {
    uint32_t x;
    uint32_t y;
  };

  ImageSize size_;
  int rows_ = 0;
  std::vector<uint64_t> first_row_;
  std::vector<uint64_t> previous_row_;
  std::vector<Change> changes_;      // in the order of rows
  std::vector<uint32_t> in_column_;  // changes a column
};

// 64-bit words that hold a row of `width` bits.
inline size_t RowWords(int width) { return (static_cast<size_t>(width) + 63) / 64; }

RunLengths EncodeRunLengths(const BinaryMask& mask);

// `runs` are sound: they add up to the area.
BinaryMask DecodeRunLengths(const RunLengths& runs);

// The pixels of `window`, which lies in the mask and is not empty.
BinaryMask DecodeWindow(const RunLengths& runs, const PixelBox& window);

// A mask of `size` that is `pixels`, of the window's size, in `window` and empty
// elsewhere.
RunLengths EncodeWindow(const BinaryMask& pixels, const PixelBox& window, ImageSize size);

int64_t MaskArea(const RunLengths& runs);
PixelBox BoundingBox(const RunLengths& runs);

// Pixels that both masks hold. Masks of equal size.
int64_t SharedArea(const RunLengths& a, const RunLengths& b);

// Intersection over union, 0 where both are empty. Masks of equal size.
double MaskIou(const RunLengths& a, const RunLengths& b);

}  // namespace semsam

#endif  // SEMSAM_MODEL_IMAGE_RUN_LENGTHS_H_
