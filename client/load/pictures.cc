#include "client/load/pictures.h"

#include <zlib.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <random>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include "model/base/errors.h"

namespace semsam::load {
namespace {

constexpr int kMaxSide = 8192;
constexpr size_t kMaxFileBytes = size_t{1} << 30;  // of all files
// Pictures with pixels of their own; more differ by a comment in the file, which
// is enough for the server to take them for others.
constexpr int kDrawn = 8;
constexpr int kDiscs = 12;
constexpr std::string_view kPngSignature("\x89PNG\r\n\x1a\n", 8);
constexpr std::string_view kPngEnd("\0\0\0\0IEND\xae\x42\x60\x82", 12);

void AppendBigEndian(std::string& out, uint32_t value) {
  for (int shift = 24; shift >= 0; shift -= 8) out.push_back(static_cast<char>(value >> shift));
}

void AppendChunk(std::string& png, std::string_view type, std::string_view data) {
  AppendBigEndian(png, data.size());
  const size_t checked = png.size();
  png.append(type).append(data);
  AppendBigEndian(
      png, crc32(0, reinterpret_cast<const Bytef*>(png.data() + checked), png.size() - checked));
}

// Rows with the byte in front of each that names PNG's filter (none).
class Canvas {
 public:
  Canvas(int width, int height)
      : width_(width), height_(height), rows_(height * (size_t{1} + 3 * width)) {}

  void Set(int x, int y, const uint8_t (&rgb)[3]) {
    std::copy_n(rgb, 3, rows_.begin() + y * (size_t{1} + 3 * width_) + 1 + 3 * x);
  }

  void FillGradient(std::mt19937_64& random) {
    const uint64_t from = random();
    for (int y = 0; y < height_; ++y) {
      for (int x = 0; x < width_; ++x) {
        Set(x, y,
            {static_cast<uint8_t>(from + 96 * x / width_),
             static_cast<uint8_t>((from >> 8) + 96 * y / height_),
             static_cast<uint8_t>(from >> 16)});
      }
    }
  }

  // With a ring and a core of other colours: something to see at every level.
  void FillDisc(std::mt19937_64& random) {
    const auto draw = [&random](int below) { return static_cast<int>(random() % below); };
    const int center_x = draw(width_);
    const int center_y = draw(height_);
    int radius = 2 + std::min(width_, height_) / 16 + draw(std::min(width_, height_) / 8 + 1);
    for (int ring = 0; ring < 3; ++ring, radius = radius * 3 / 5) {
      const uint64_t color = random();
      for (int y = std::max(0, center_y - radius); y < std::min(height_, center_y + radius); ++y) {
        for (int x = std::max(0, center_x - radius); x < std::min(width_, center_x + radius); ++x) {
          const int dx = x - center_x;
          const int dy = y - center_y;
          if (dx * dx + dy * dy < radius * radius) {
            Set(x, y,
                {static_cast<uint8_t>(color), static_cast<uint8_t>(color >> 8),
                 static_cast<uint8_t>(color >> 16)});
          }
        }
      }
    }
  }

  // Without the last chunk, so that a comment may follow.
  absl::StatusOr<std::string> EncodePng() const {
    uLongf size = compressBound(rows_.size());
    std::string packed(size, '\0');
    if (compress2(reinterpret_cast<Bytef*>(packed.data()), &size, rows_.data(), rows_.size(),
                  Z_BEST_SPEED) != Z_OK) {
      return absl::InternalError("zlib cannot compress a drawn picture");
    }
    packed.resize(size);
    std::string header;
    AppendBigEndian(header, width_);
    AppendBigEndian(header, height_);
    header.append({8, 2, 0, 0, 0});  // 8 bits, RGB, and the only method of each kind
    std::string png(kPngSignature);
    AppendChunk(png, "IHDR", header);
    AppendChunk(png, "IDAT", packed);
    return png;
  }

 private:
  const int width_;
  const int height_;
  std::vector<uint8_t> rows_;
};

absl::StatusOr<std::string> Draw(const PictureOptions& options, int number) {
  std::mt19937_64 random(options.seed + number);
  Canvas canvas(options.width_px, options.height_px);
  canvas.FillGradient(random);
  for (int i = 0; i < kDiscs; ++i) canvas.FillDisc(random);
  return canvas.EncodePng();
}

absl::StatusOr<std::string> ReadPicture(const std::string& path, size_t& bytes_left) {
  std::ifstream file(path, std::ios::binary | std::ios::ate);
  const auto size = file ? static_cast<std::streamoff>(file.tellg()) : std::streamoff{-1};
  if (size < 0) return absl::NotFoundError(absl::StrCat("cannot read the picture ", path));
  if (size == 0) return absl::InvalidArgumentError(absl::StrCat(path, " is empty"));
  if (static_cast<size_t>(size) > bytes_left) {
    return absl::InvalidArgumentError(
        absl::StrCat("the pictures up to ", path, " are more than ", kMaxFileBytes, " bytes"));
  }
  bytes_left -= size;
  std::string bytes(size, '\0');
  file.seekg(0);
  if (!file.read(bytes.data(), size)) {
    return absl::NotFoundError(absl::StrCat("cannot read the picture ", path));
  }
  return bytes;
}

}  // namespace

absl::Status PictureOptions::Validate() const {
  if (width_px < 1 || width_px > kMaxSide) {
    return InvalidField("width_px", absl::StrCat("must lie in [1, ", kMaxSide, "]"));
  }
  if (height_px < 1 || height_px > kMaxSide) {
    return InvalidField("height_px", absl::StrCat("must lie in [1, ", kMaxSide, "]"));
  }
  if (distinct < 0) return InvalidField("distinct", "must not be negative");
  return absl::OkStatus();
}

absl::StatusOr<PictureSet> PictureSet::Create(const PictureOptions& options) {
  if (absl::Status status = options.Validate(); !status.ok()) return status;
  std::vector<std::shared_ptr<const std::string>> encoded;
  size_t bytes_left = kMaxFileBytes;
  for (const std::string& path : options.files) {
    auto bytes = ReadPicture(path, bytes_left);
    if (!bytes.ok()) return bytes.status();
    encoded.push_back(std::make_shared<const std::string>(*std::move(bytes)));
  }
  if (!encoded.empty()) return PictureSet(options, std::move(encoded));
  const int drawn = options.distinct == 0 ? kDrawn : std::min(kDrawn, options.distinct);
  for (int number = 0; number < drawn; ++number) {
    auto bytes = Draw(options, number);
    if (!bytes.ok()) return bytes.status();
    encoded.push_back(std::make_shared<const std::string>(*std::move(bytes)));
  }
  return PictureSet(options, std::move(encoded));
}

std::shared_ptr<const std::string> PictureSet::Get(size_t index) const {
  if (!options_.files.empty()) return encoded_[index % encoded_.size()];
  if (options_.distinct > 0) index %= options_.distinct;
  std::string png = *encoded_[index % encoded_.size()];
  const std::string comment = absl::StrCat("picture ", index, " of seed ", options_.seed);
  std::string keyword("Comment");
  AppendChunk(png, "tEXt", keyword.append(1, '\0').append(comment));
  return std::make_shared<const std::string>(png.append(kPngEnd));
}

}  // namespace semsam::load
