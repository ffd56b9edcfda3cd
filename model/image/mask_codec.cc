#include "model/image/mask_codec.h"

#include <exception>
#include <limits>
#include <opencv2/core.hpp>
#include <opencv2/imgproc.hpp>
#include <utility>

#include "absl/strings/str_cat.h"
#include "model/image/png_codec.h"

namespace semsam {
namespace {

// A character holds 5 bits of a number and, as 0x20, whether more follow.
constexpr char kFirstCharacter = 48;
constexpr int kContinues = 0x20;
constexpr int kSign = 0x10;
// Differences of 32-bit numbers fit 33 bits and a sign: 7 characters.
constexpr int kMaxCharacters = 7;

// From the third run on, a run is stored as its difference to the one before the
// last.
int64_t Predecessor(const std::vector<uint32_t>& counts, size_t index) {
  return index > 2 ? counts[index - 2] : 0;
}

absl::Status BadString(std::string_view message) {
  return absl::InvalidArgumentError(
      absl::StrCat("run lengths: ", absl::string_view(message.data(), message.size())));
}

// The next number of the string; `at` moves behind it.
absl::StatusOr<int64_t> ReadNumber(std::string_view text, size_t& at) {
  int64_t value = 0;
  for (int i = 0; i < kMaxCharacters; ++i) {
    if (at >= text.size()) return BadString("a number is cut short");
    const int bits = text[at++] - kFirstCharacter;
    if (bits < 0 || bits > 0x3F) return BadString("foreign character");
    value |= int64_t{bits & 0x1F} << 5 * i;
    if (bits & kContinues) continue;
    if (bits & kSign) value |= ~int64_t{0} << 5 * (i + 1);
    return value;
  }
  return BadString("a number is too long");
}

MaskPolygon ToPolygon(const std::vector<cv::Point>& contour, bool hole) {
  MaskPolygon polygon{.hole = hole};
  polygon.xy.reserve(2 * contour.size());
  for (const cv::Point& point : contour) {
    polygon.xy.push_back(static_cast<float>(point.x) + 0.5f);
    polygon.xy.push_back(static_cast<float>(point.y) + 0.5f);
  }
  return polygon;
}

}  // namespace

std::string EncodeCocoString(const RunLengths& runs) {
  std::string text;
  text.reserve(runs.counts.size() * 2 + 8);
  for (size_t i = 0; i < runs.counts.size(); ++i) {
    int64_t value = int64_t{runs.counts[i]} - Predecessor(runs.counts, i);
    bool more = true;
    while (more) {
      int bits = static_cast<int>(value & 0x1F);
      value >>= 5;
      more = bits & kSign ? value != -1 : value != 0;
      text.push_back(static_cast<char>((more ? bits | kContinues : bits) + kFirstCharacter));
    }
  }
  return text;
}

absl::StatusOr<RunLengths> DecodeCocoString(std::string_view text, ImageSize size) {
  if (size.height < 1 || size.width < 1) return BadString("the mask is empty");
  if (size.area() > std::numeric_limits<uint32_t>::max()) return BadString("the mask is too large");
  RunLengths runs{.size = size};
  int64_t left = size.area();
  for (size_t at = 0; at < text.size();) {
    const absl::StatusOr<int64_t> number = ReadNumber(text, at);
    if (!number.ok()) return number.status();
    const int64_t count = *number + Predecessor(runs.counts, runs.counts.size());
    if (count < 0 || count > left) return BadString("the runs do not fit the size");
    left -= count;
    runs.counts.push_back(static_cast<uint32_t>(count));
  }
  if (left != 0) return BadString("the runs do not fill the size");
  return runs;
}

absl::StatusOr<std::string> EncodeMaskPng(const BinaryMask& mask) {
  std::vector<uint8_t> grey(mask.pixels.size());
  for (size_t i = 0; i < grey.size(); ++i) grey[i] = static_cast<uint8_t>(-mask.pixels[i]);
  return EncodeGreyPng(grey, mask.size);
}

std::vector<uint8_t> PackBits(const BinaryMask& mask) {
  const size_t row_bytes = (static_cast<size_t>(mask.size.width) + 7) / 8;
  std::vector<uint8_t> bits(row_bytes * mask.size.height);
  const uint8_t* pixel = mask.pixels.data();
  for (int y = 0; y < mask.size.height; ++y) {
    uint8_t* row = bits.data() + y * row_bytes;
    for (int x = 0; x < mask.size.width; ++x) row[x / 8] |= *pixel++ << (7 - x % 8);
  }
  return bits;
}

absl::StatusOr<BinaryMask> UnpackBits(std::span<const uint8_t> bits, ImageSize size) {
  if (size.height < 1 || size.width < 1) {
    return absl::InvalidArgumentError("packed bits: the mask is empty");
  }
  const size_t row_bytes = (static_cast<size_t>(size.width) + 7) / 8;
  if (bits.size() != row_bytes * size.height) {
    return absl::InvalidArgumentError(absl::StrCat("packed bits: ", bits.size(), " bytes for ",
                                                   size.width, " x ", size.height, " pixels"));
  }
  BinaryMask mask{.size = size};
  mask.pixels.resize(static_cast<size_t>(size.area()));
  uint8_t* pixel = mask.pixels.data();
  for (int y = 0; y < size.height; ++y) {
    const uint8_t* row = bits.data() + y * row_bytes;
    for (int x = 0; x < size.width; ++x) *pixel++ = row[x / 8] >> (7 - x % 8) & 1;
  }
  return mask;
}

absl::StatusOr<std::vector<MaskPolygon>> MaskPolygons(const BinaryMask& mask) {
  std::vector<MaskPolygon> polygons;
  try {
    const cv::Mat pixels(mask.size.height, mask.size.width, CV_8UC1,
                         const_cast<uint8_t*>(mask.pixels.data()));
    std::vector<std::vector<cv::Point>> contours;
    std::vector<cv::Vec4i> hierarchy;  // next, previous, first child, parent
    cv::findContours(pixels, contours, hierarchy, cv::RETR_CCOMP, cv::CHAIN_APPROX_SIMPLE);
    for (size_t i = 0; i < contours.size(); ++i) {
      if (hierarchy[i][3] >= 0) continue;
      polygons.push_back(ToPolygon(contours[i], /*hole=*/false));
      for (int hole = hierarchy[i][2]; hole >= 0; hole = hierarchy[hole][0]) {
        polygons.push_back(ToPolygon(contours[hole], /*hole=*/true));
      }
    }
  } catch (const std::exception& error) {
    return absl::InternalError(absl::StrCat("polygons: ", error.what()));
  }
  return polygons;
}

}  // namespace semsam
