#include "client/mask_codec.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace semsam::client {
namespace {

// The compressed form: each count is a little-endian base-32 number in
// characters from '0' on; bit 5 says that more follows, and bit 4 of the last
// is its sign. From the fourth on, a count is the difference to the one two
// before.
constexpr int kCharBits = 5;
constexpr int kMaxCharsPerCount = 7;

absl::Status CheckSize(ImageSize size) {
  if (size.height < 0 || size.width < 0 || size.area() > kMaxMaskPixels) {
    return absl::DataLossError(
        absl::StrCat("a mask of ", size.width, " x ", size.height, " px is out of bounds"));
  }
  return absl::OkStatus();
}

// Reads one number at `position` and moves behind it; false if it is malformed.
bool ReadNumber(std::string_view text, size_t& position, int64_t& number) {
  number = 0;
  for (int i = 0; i < kMaxCharsPerCount; ++i) {
    if (position == text.size()) return false;
    const int c = text[position++] - '0';
    if (c < 0 || c > 0x3f) return false;
    number |= int64_t{c & 0x1f} << (kCharBits * i);
    if ((c & 0x20) == 0) {
      if ((c & 0x10) != 0) number -= int64_t{1} << (kCharBits * (i + 1));
      return true;
    }
  }
  return false;
}

absl::StatusOr<std::vector<int64_t>> ReadCounts(std::string_view text, int64_t area) {
  std::vector<int64_t> counts;  // never more than characters
  int64_t total = 0;
  for (size_t position = 0; position < text.size();) {
    int64_t count = 0;
    if (!ReadNumber(text, position, count)) {
      return absl::DataLossError(
          absl::StrCat("malformed run length near character ", position, " of a mask"));
    }
    if (counts.size() > 2) count += counts[counts.size() - 2];
    if (count < 0 || count > area - total) {
      return absl::DataLossError(absl::StrCat("run ", counts.size(), " of a mask has ", count,
                                              " px, ", area - total, " are left"));
    }
    total += count;
    counts.push_back(count);
  }
  if (total != area) {
    return absl::DataLossError(
        absl::StrCat("the runs of a mask hold ", total, " px, its size ", area));
  }
  return counts;
}

// Sets `length` pixels from `start` on, both counted column by column.
void FillColumnMajor(Bitmap& bitmap, int64_t start, int64_t length) {
  const int64_t height = bitmap.size.height;
  const int64_t width = bitmap.size.width;
  while (length > 0) {
    const int64_t x = start / height;
    const int64_t y = start % height;
    const int64_t rows = std::min(length, height - y);
    for (int64_t i = y; i < y + rows; ++i) bitmap.pixels[i * width + x] = 1;
    start += rows;
    length -= rows;
  }
}

// IEEE half precision; exact.
float HalfToFloat(uint8_t low, uint8_t high) {
  const int exponent = (high >> 2) & 0x1f;
  const int mantissa = (high & 3) << 8 | low;
  float magnitude = 0;
  if (exponent == 0x1f) {
    magnitude = mantissa == 0 ? std::numeric_limits<float>::infinity()
                              : std::numeric_limits<float>::quiet_NaN();
  } else if (exponent == 0) {
    magnitude = std::ldexp(static_cast<float>(mantissa), -24);
  } else {
    magnitude = std::ldexp(static_cast<float>(mantissa | 0x400), exponent - 25);
  }
  return (high & 0x80) != 0 ? -magnitude : magnitude;
}

}  // namespace

absl::StatusOr<Bitmap> DecodeCocoRle(std::string_view counts, ImageSize size) {
  if (absl::Status status = CheckSize(size); !status.ok()) return status;
  const auto runs = ReadCounts(counts, size.area());
  if (!runs.ok()) return runs.status();

  Bitmap bitmap{.size = size, .pixels = std::vector<uint8_t>(size.area())};
  int64_t start = 0;
  for (size_t i = 0; i < runs->size(); ++i) {
    if (i % 2 == 1) FillColumnMajor(bitmap, start, (*runs)[i]);
    start += (*runs)[i];
  }
  return bitmap;
}

absl::StatusOr<Bitmap> DecodePackedBits(std::string_view bits, ImageSize size) {
  if (absl::Status status = CheckSize(size); !status.ok()) return status;
  const int64_t row_bytes = (int64_t{size.width} + 7) / 8;
  if (static_cast<int64_t>(bits.size()) != row_bytes * size.height) {
    return absl::DataLossError(absl::StrCat("a packed mask of ", size.width, " x ", size.height,
                                            " px has ", bits.size(), " bytes, not ",
                                            row_bytes * size.height));
  }
  Bitmap bitmap{.size = size, .pixels = std::vector<uint8_t>(size.area())};
  for (int64_t y = 0; y < size.height; ++y) {
    const char* row = bits.data() + y * row_bytes;
    for (int64_t x = 0; x < size.width; ++x) {
      bitmap.pixels[y * size.width + x] = (row[x / 8] >> (7 - x % 8)) & 1;
    }
  }
  return bitmap;
}

absl::StatusOr<Bitmap> DecodeMask(const Mask& mask) {
  switch (mask.encoding) {
    case MaskEncoding::kCocoRle:
      return DecodeCocoRle(mask.data, mask.size);
    case MaskEncoding::kPackedBits:
      return DecodePackedBits(mask.data, mask.size);
    case MaskEncoding::kLogits:
      return absl::UnimplementedError("logits have no pixels; see DecodeLogits");
    case MaskEncoding::kPng:
    case MaskEncoding::kPolygons:
      break;
  }
  return absl::UnimplementedError(
      "only COCO RLE and packed masks decode here; PNG and polygons need an image library");
}

absl::StatusOr<std::vector<float>> DecodeLogits(const Mask& mask) {
  if (mask.encoding != MaskEncoding::kLogits) {
    return absl::InvalidArgumentError("the mask was not asked for as logits");
  }
  if (absl::Status status = CheckSize(mask.size); !status.ok()) return status;
  if (static_cast<int64_t>(mask.data.size()) != mask.size.area() * 2) {
    return absl::DataLossError(absl::StrCat("logits of ", mask.size.width, " x ", mask.size.height,
                                            " cells have ", mask.data.size(), " bytes, not ",
                                            mask.size.area() * 2));
  }
  std::vector<float> logits(mask.size.area());
  for (size_t i = 0; i < logits.size(); ++i) {
    logits[i] = HalfToFloat(static_cast<uint8_t>(mask.data[2 * i]),
                            static_cast<uint8_t>(mask.data[2 * i + 1]));
  }
  return logits;
}

}  // namespace semsam::client
