#include "model/image/image_header.h"

#include <algorithm>
#include <cstdlib>
#include <limits>

#include "model/base/status_macros.h"
#include "model/image/byte_reader.h"
#include "model/image/exif_orientation.h"
#include "model/image/tiff_header.h"
#include "model/image/undecodable.h"

namespace semsam {
namespace {

constexpr uint32_t kMaxSide = std::numeric_limits<int32_t>::max();

absl::StatusOr<ImageHeader> WithSize(ImageHeader header, uint64_t width, uint64_t height) {
  if (width == 0 || height == 0) return Undecodable("the image has no pixels");
  if (width > kMaxSide || height > kMaxSide) return ImageTooLarge("a side of the image overflows");
  header.size = {.height = static_cast<int>(height), .width = static_cast<int>(width)};
  return header;
}

bool IsStartOfFrame(uint8_t marker) {
  return marker >= 0xC0 && marker <= 0xCF && marker != 0xC4 && marker != 0xC8 && marker != 0xCC;
}

// Walks the marker segments up to the first scan.
absl::StatusOr<ImageHeader> ReadJpegHeader(const ByteReader& reader) {
  ImageHeader header{.format = ImageFormat::kJpeg, .channels = 0};
  uint64_t width = 0;
  uint64_t height = 0;
  for (uint64_t at = 2; reader.Has(at, 4);) {
    if (*reader.U8(at) != 0xFF) {
      ++at;  // padding that some writers leave between segments
      continue;
    }
    const uint8_t marker = *reader.U8(at + 1);
    if (marker == 0xFF || marker == 0x00 || marker == 0x01 || (marker & 0xF8) == 0xD0) {
      at += marker == 0xFF ? 1 : 2;  // fill byte, or a marker without a segment
      continue;
    }
    if (marker == 0xDA || marker == 0xD9) break;
    const uint64_t length = *reader.U16(at + 2);
    if (length < 2) return Undecodable("JPEG: broken marker segment");
    if (IsStartOfFrame(marker)) {
      if (!reader.Has(at + 4, 6)) break;
      header.bits_per_sample = *reader.U8(at + 4);
      height = *reader.U16(at + 5);
      width = *reader.U16(at + 7);
      header.channels = *reader.U8(at + 9);
    } else if (marker == 0xE1 && reader.StartsWith(at + 4, std::string_view("Exif\0\0", 6))) {
      header.orientation = ExifOrientation(reader.Slice(at + 4, length - 2));
    }
    at += 2 + length;
  }
  if (header.channels == 0) return Undecodable("JPEG: no frame header");
  return WithSize(header, width, height);
}

absl::StatusOr<ImageHeader> ReadPngHeader(const ByteReader& reader) {
  if (!reader.StartsWith(12, "IHDR") || !reader.Has(16, 17)) {
    return Undecodable("PNG: no header chunk");
  }
  ImageHeader header{.format = ImageFormat::kPng, .bits_per_sample = *reader.U8(24)};
  switch (*reader.U8(25)) {
    case 0:
      header.channels = 1;
      break;
    case 2:
      header.channels = 3;
      break;
    case 3:
      header.channels = 3;
      header.bits_per_sample = 8;
      break;
    case 4:
      header.channels = 2;
      break;
    case 6:
      header.channels = 4;
      break;
    default:
      return Undecodable("PNG: unknown colour type");
  }
  // eXIf may stand before or after the pixels.
  for (uint64_t at = 33; reader.Has(at, 8);) {
    const uint64_t length = *reader.U32(at);
    if (reader.StartsWith(at + 4, "eXIf")) {
      header.orientation = ExifOrientation(reader.Slice(at + 8, length));
    }
    at += 12 + length;
  }
  return WithSize(header, *reader.U32(16), *reader.U32(20));
}

absl::StatusOr<ImageHeader> ReadWebpHeader(const ByteReader& reader) {
  ImageHeader header{.format = ImageFormat::kWebp};
  if (!reader.Has(0, 30)) return Undecodable("WebP: the file is cut short");
  if (reader.size() < uint64_t{*reader.U32(4)} + 8) {
    return Undecodable("WebP: the file is cut short");
  }
  const auto u24 = [&reader](uint64_t at) -> uint64_t {
    return *reader.U16(at) | *reader.U8(at + 2) << 16;
  };
  if (reader.StartsWith(12, "VP8X")) {
    const uint8_t flags = *reader.U8(20);
    if (flags & 0x02) return Undecodable("WebP: animations are not supported");
    header.channels = flags & 0x10 ? 4 : 3;
    for (uint64_t at = 30; reader.Has(at, 8);) {
      const uint64_t length = *reader.U32(at + 4);
      if (reader.StartsWith(at, "EXIF")) {
        header.orientation = ExifOrientation(reader.Slice(at + 8, length));
      }
      at += 8 + length + (length & 1);
    }
    return WithSize(header, u24(24) + 1, u24(27) + 1);
  }
  if (reader.StartsWith(12, "VP8L")) {
    if (*reader.U8(20) != 0x2F) return Undecodable("WebP: broken lossless header");
    const uint32_t bits = *reader.U32(21);
    header.channels = bits >> 28 & 1 ? 4 : 3;
    return WithSize(header, (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1);
  }
  if (reader.StartsWith(12, "VP8 ")) {
    if (u24(23) != 0x2A019D) return Undecodable("WebP: broken lossy header");
    return WithSize(header, *reader.U16(26) & 0x3FFF, *reader.U16(28) & 0x3FFF);
  }
  return Undecodable("WebP: unknown chunk");
}

// What both kinds of BMP header say.
struct BmpInfo {
  int64_t width = 0;
  int64_t height = 0;  // rows; their order does not matter here
  int bits = 0;        // a pixel
  uint64_t palette_bytes = 0;
};

// The 12-byte header of OS/2.
BmpInfo ReadBmpCoreInfo(const ByteReader& reader) {
  BmpInfo info{.width = *reader.U16(18), .height = *reader.U16(20), .bits = *reader.U16(24)};
  if (info.bits <= 8) info.palette_bytes = uint64_t{3} << info.bits;
  return info;
}

// The headers of Windows, 40 bytes and more; the caller has checked that they are
// there.
absl::StatusOr<BmpInfo> ReadBmpWindowsInfo(const ByteReader& reader) {
  BmpInfo info{.width = static_cast<int32_t>(*reader.U32(18)),
               .height = std::abs(int64_t{static_cast<int32_t>(*reader.U32(22))}),
               .bits = *reader.U16(28)};
  const uint32_t compression = *reader.U32(30);
  const bool plain_masks = compression == 3 && info.bits == 32 && reader.U32(54) == 0xFF0000u &&
                           reader.U32(58) == 0xFF00u && reader.U32(62) == 0xFFu;
  if (compression != 0 && !plain_masks) {
    return Undecodable("BMP: compressed files and unusual bit fields are not supported");
  }
  const uint32_t colours = *reader.U32(46);
  if (info.bits <= 8 && colours > 256) return Undecodable("BMP: broken palette");
  if (info.bits <= 8) info.palette_bytes = uint64_t{4} * (colours ? colours : 1u << info.bits);
  return info;
}

// The layouts that every decoder reads alike: uncompressed 1, 4, 8, 24 and 32 bit.
absl::StatusOr<ImageHeader> ReadBmpHeader(const ByteReader& reader) {
  if (!reader.Has(0, 26)) return Undecodable("BMP: the file is cut short");
  const uint64_t pixels_at = *reader.U32(10);
  const uint64_t info_bytes = *reader.U32(14);
  BmpInfo info;
  if (info_bytes == 12) {
    info = ReadBmpCoreInfo(reader);
  } else if (info_bytes >= 40 && info_bytes <= 124 && reader.Has(14, info_bytes)) {
    SEMSAM_ASSIGN_OR_RETURN(info, ReadBmpWindowsInfo(reader));
  } else {
    return Undecodable("BMP: unknown header");
  }
  if (info.bits != 1 && info.bits != 4 && info.bits != 8 && info.bits != 24 && info.bits != 32) {
    return Undecodable("BMP: only 1, 4, 8, 24 and 32 bits a pixel are supported");
  }
  if (info.width <= 0 || info.height <= 0) return Undecodable("the image has no pixels");
  const uint64_t palette_end = 14 + info_bytes + info.palette_bytes;
  if (!reader.Has(0, palette_end) || pixels_at < palette_end) {
    return Undecodable("BMP: broken palette");
  }
  SEMSAM_ASSIGN_OR_RETURN(ImageHeader header, WithSize({.format = ImageFormat::kBmp,
                                                        .channels = info.bits == 32 ? 4 : 3},
                                                       info.width, info.height));
  const uint64_t row_bytes = (uint64_t(info.width) * info.bits + 31) / 32 * 4;  // below 2^34
  header.min_file_bytes = pixels_at + row_bytes * uint64_t(header.size.height);
  return header;
}

}  // namespace

absl::StatusOr<ImageHeader> ReadImageHeader(std::span<const uint8_t> bytes) {
  if (bytes.empty()) return Undecodable("the image is empty");
  const ByteReader big(bytes, /*big_endian=*/true);
  const ByteReader little(bytes, /*big_endian=*/false);
  if (big.StartsWith(0, "\xFF\xD8\xFF")) return ReadJpegHeader(big);
  if (big.StartsWith(0, "\x89PNG\r\n\x1A\n")) return ReadPngHeader(big);
  if (little.StartsWith(0, "RIFF") && little.StartsWith(8, "WEBP")) return ReadWebpHeader(little);
  if (little.StartsWith(0, "BM")) return ReadBmpHeader(little);
  if (little.StartsWith(0, "II") || big.StartsWith(0, "MM")) {
    SEMSAM_ASSIGN_OR_RETURN(const TiffHeader tiff, ReadTiffHeader(bytes));
    return tiff.image;
  }
  return Undecodable("not a JPEG, PNG, WebP, BMP or TIFF file");
}

}  // namespace semsam
