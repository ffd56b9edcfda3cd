#include "model/image/tiff_header.h"

#include <algorithm>
#include <limits>
#include <optional>

#include "absl/strings/str_cat.h"
#include "model/base/status_macros.h"
#include "model/image/byte_reader.h"
#include "model/image/undecodable.h"

namespace semsam {
namespace {

enum Tag : uint16_t {
  kWidth = 256,
  kHeight = 257,
  kBitsPerSample = 258,
  kCompression = 259,
  kPhotometric = 262,
  kStripOffsets = 273,
  kOrientation = 274,
  kSamplesPerPixel = 277,
  kRowsPerStrip = 278,
  kStripByteCounts = 279,
  kPlanarConfiguration = 284,
  kTileWidth = 322,
  kTileHeight = 323,
  kTileOffsets = 324,
  kTileByteCounts = 325,
  kExtraSamples = 338,
  kSampleFormat = 339,
};

enum Photometric { kMinIsWhite = 0, kMinIsBlack = 1, kRgb = 2, kPalette = 3, kYcbcr = 6 };

constexpr uint32_t kJpegCompression = 7;

// One entry of the directory; its values are read on demand.
struct Entry {
  uint16_t type = 0;
  uint32_t count = 0;
  uint64_t values_at = 0;
};

// The first directory. Every lookup is checked against the file.
class Directory {
 public:
  Directory(const ByteReader& reader, uint64_t at)
      : reader_(reader), at_(at), entries_(reader.U16(at).value_or(0)) {}

  bool complete() const { return entries_ > 0 && reader_.Has(at_ + 2, uint64_t{12} * entries_); }

  std::optional<Entry> Find(uint16_t tag) const {
    for (int i = 0; i < entries_; ++i) {
      const uint64_t at = at_ + 2 + uint64_t{12} * i;
      if (reader_.U16(at) != tag) continue;
      Entry entry{.type = *reader_.U16(at + 2), .count = *reader_.U32(at + 4)};
      const uint64_t bytes = uint64_t{entry.count} * TypeBytes(entry.type);
      entry.values_at = bytes <= 4 ? at + 8 : *reader_.U32(at + 8);
      return entry;
    }
    return std::nullopt;
  }

  std::optional<uint32_t> Value(const Entry& entry, uint32_t index) const {
    if (index >= entry.count) return std::nullopt;
    const uint64_t at = entry.values_at + uint64_t{index} * TypeBytes(entry.type);
    switch (entry.type) {
      case 1:  // BYTE
        return reader_.U8(at);
      case 3:  // SHORT
        return reader_.U16(at);
      case 4:  // LONG
        return reader_.U32(at);
      default:
        return std::nullopt;
    }
  }

  // The first value of a tag, or `fallback` where the tag is absent.
  std::optional<uint32_t> First(uint16_t tag, std::optional<uint32_t> fallback) const {
    const std::optional<Entry> entry = Find(tag);
    return entry.has_value() ? Value(*entry, 0) : fallback;
  }

 private:
  static uint64_t TypeBytes(uint16_t type) {
    constexpr uint64_t kBytes[] = {1, 1, 1, 2, 4, 8, 1, 1, 2, 4, 8, 4, 8};
    return type < std::size(kBytes) ? kBytes[type] : 1;
  }

  ByteReader reader_;
  uint64_t at_;
  int entries_;
};

struct Layout {
  uint32_t photometric = 0;
  uint32_t samples = 0;  // a pixel
  uint32_t bits = 0;     // a sample
  uint32_t planar = 0;   // 1 = interleaved, 2 = a plane a sample
  uint32_t compression = 0;
};

// The layouts for which libtiff and the published preprocessing agree.
bool IsSupported(const Layout& layout) {
  const auto [photometric, samples, bits, planar, compression] = layout;
  if (planar != 1 && planar != 2) return false;
  switch (photometric) {
    case kMinIsWhite:
      return samples == 1 && (bits == 1 || bits == 8);
    case kMinIsBlack:
      return samples == 1 && (bits == 1 || bits == 8 || bits == 16);
    case kRgb:
      return (samples == 3 && bits == 8) || (samples == 3 && bits == 16 && planar == 1) ||
             (samples == 4 && bits == 8);
    case kPalette:
      return samples == 1 && bits == 8;
    case kYcbcr:
      return samples == 3 && bits == 8 && compression == kJpegCompression;
    default:
      return false;
  }
}

// The common depth of all samples; nullopt where they differ.
std::optional<uint32_t> BitsPerSample(const Directory& directory, uint32_t samples) {
  const std::optional<Entry> entry = directory.Find(kBitsPerSample);
  if (!entry.has_value()) return 1;
  for (uint32_t i = 1; i < std::min(entry->count, samples); ++i) {
    if (directory.Value(*entry, i) != directory.Value(*entry, 0)) return std::nullopt;
  }
  return directory.Value(*entry, 0);
}

absl::Status CheckLayout(const Directory& directory, ImageHeader& image) {
  if (directory.First(kSampleFormat, 1) != 1u) {
    return Undecodable("TIFF: only unsigned integer samples are supported");
  }
  Layout layout{.photometric = directory.First(kPhotometric, std::nullopt).value_or(~0u),
                .samples = directory.First(kSamplesPerPixel, 1).value_or(0),
                .planar = directory.First(kPlanarConfiguration, 1).value_or(0),
                .compression = directory.First(kCompression, 1).value_or(0)};
  const std::optional<uint32_t> bits = BitsPerSample(directory, layout.samples);
  if (!bits.has_value()) {
    return Undecodable("TIFF: samples of unequal depth are not supported");
  }
  layout.bits = *bits;
  if (!IsSupported(layout)) {
    return Undecodable(absl::StrCat("TIFF: photometric ", layout.photometric, " with ",
                                    layout.samples, " samples of ", layout.bits,
                                    " bits is not supported"));
  }
  // Associated alpha is multiplied into the colours; undoing that is lossy.
  if (layout.samples == 4 && directory.First(kExtraSamples, 0) == 1u) {
    return Undecodable("TIFF: premultiplied alpha is not supported");
  }
  image.channels = layout.photometric == kPalette ? 3 : static_cast<int>(layout.samples);
  image.bits_per_sample = static_cast<int>(layout.bits);
  return absl::OkStatus();
}

// Strips or tiles: how many there must be, and where the last one ends.
absl::Status CheckBlocks(const Directory& directory, TiffHeader& header) {
  const ImageSize size = header.image.size;
  const bool tiled = directory.Find(kTileWidth).has_value();
  const uint32_t width =
      tiled ? directory.First(kTileWidth, 0).value_or(0) : static_cast<uint32_t>(size.width);
  uint32_t height = tiled ? directory.First(kTileHeight, 0).value_or(0)
                          : directory.First(kRowsPerStrip, size.height).value_or(0);
  if (width == 0 || height == 0) return Undecodable("TIFF: broken strips or tiles");
  if (!tiled) height = std::min<uint32_t>(height, size.height);
  const int64_t block_pixels = int64_t{width} * height;
  header.block_pixels =
      width > 1u << 24 || height > 1u << 24 ? std::numeric_limits<int64_t>::max() : block_pixels;

  const std::optional<Entry> offsets = directory.Find(tiled ? kTileOffsets : kStripOffsets);
  const std::optional<Entry> counts = directory.Find(tiled ? kTileByteCounts : kStripByteCounts);
  if (!offsets.has_value() || !counts.has_value()) {
    return Undecodable("TIFF: broken strips or tiles");
  }
  const uint64_t planes =
      directory.First(kPlanarConfiguration, 1) == 2u ? header.image.channels : 1;
  const uint64_t across = (uint64_t(size.width) + width - 1) / width;
  const uint64_t down = (uint64_t(size.height) + height - 1) / height;
  if (across * down > std::min(offsets->count, counts->count) / planes) {
    return Undecodable("TIFF: strips or tiles are missing");
  }
  const uint64_t blocks = across * down * planes;
  for (uint64_t i = 0; i < blocks; ++i) {
    const std::optional<uint32_t> offset = directory.Value(*offsets, static_cast<uint32_t>(i));
    const std::optional<uint32_t> bytes = directory.Value(*counts, static_cast<uint32_t>(i));
    if (!offset.has_value() || !bytes.has_value() || *bytes == 0) {
      return Undecodable("TIFF: strips or tiles are missing");
    }
    header.image.min_file_bytes = std::max(header.image.min_file_bytes, uint64_t{*offset} + *bytes);
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<TiffHeader> ReadTiffHeader(std::span<const uint8_t> bytes) {
  TiffHeader header;
  header.image.format = ImageFormat::kTiff;
  header.big_endian = !bytes.empty() && bytes[0] == 'M';
  const ByteReader reader(bytes, header.big_endian);
  if (reader.U16(2) == 43) return Undecodable("TIFF: BigTIFF is not supported");
  if (reader.U16(2) != 42) return Undecodable("TIFF: unknown version");
  const Directory directory(reader, reader.U32(4).value_or(0));
  if (!directory.complete()) return Undecodable("TIFF: the directory is cut short");

  const uint32_t width = directory.First(kWidth, 0).value_or(0);
  const uint32_t height = directory.First(kHeight, 0).value_or(0);
  if (width == 0 || height == 0) return Undecodable("the image has no pixels");
  if (width > 0x7FFFFFFF || height > 0x7FFFFFFF) {
    return ImageTooLarge("a side of the image overflows");
  }
  header.image.size = {.height = static_cast<int>(height), .width = static_cast<int>(width)};
  SEMSAM_RETURN_IF_ERROR(CheckLayout(directory, header.image));
  SEMSAM_RETURN_IF_ERROR(CheckBlocks(directory, header));

  if (const std::optional<Entry> entry = directory.Find(kOrientation)) {
    if (entry->type != 3 || entry->count != 1) return Undecodable("TIFF: broken orientation");
    const uint32_t value = directory.Value(*entry, 0).value_or(1);
    header.image.orientation = value >= 1 && value <= 8 ? static_cast<int>(value) : 1;
    header.orientation_offset = entry->values_at;
  }
  if (const std::optional<Entry> entry = directory.Find(kExtraSamples)) {
    if (entry->type != 3 || entry->count > 2) return Undecodable("TIFF: broken extra samples");
    header.extra_samples_offset = entry->values_at;
  }
  return header;
}

std::vector<uint8_t> NeutralTiff(std::span<const uint8_t> bytes, const TiffHeader& header) {
  std::vector<uint8_t> copy(bytes.begin(), bytes.end());
  const auto set_u16 = [&](uint64_t at, uint8_t value) {
    if (at == 0 || at + 2 > copy.size()) return;
    copy[at] = header.big_endian ? 0 : value;
    copy[at + 1] = header.big_endian ? value : 0;
  };
  set_u16(header.orientation_offset, 1);
  set_u16(header.extra_samples_offset, 0);
  return copy;
}

}  // namespace semsam
