#include "model/image/png_codec.h"

#include <png.h>

#include <bit>
#include <csetjmp>
#include <cstdio>
#include <cstring>
#include <vector>

#include "absl/strings/str_cat.h"
#include "model/image/png_session.h"
#include "model/image/undecodable.h"

namespace semsam {
namespace {

void OnWrite(png_structp png, png_bytep from, size_t count) {
  auto* out = static_cast<std::string*>(png_get_io_ptr(png));
  out->append(reinterpret_cast<const char*>(from), count);
}

void OnFlush(png_structp) {}

// The conversions of PIL's convert('RGB'): palettes looked up, alpha dropped, the
// high byte of 16-bit colour. 16-bit grey stays as it is: see ClipGrey16.
void RequestRgb(png_structp png, png_infop info, bool grey16) {
  if (grey16) {
    if constexpr (std::endian::native == std::endian::little) png_set_swap(png);
    return;
  }
  const int type = png_get_color_type(png, info);
  if (type == PNG_COLOR_TYPE_PALETTE) png_set_palette_to_rgb(png);
  if (type == PNG_COLOR_TYPE_GRAY) png_set_expand_gray_1_2_4_to_8(png);
  if (type == PNG_COLOR_TYPE_GRAY || type == PNG_COLOR_TYPE_GRAY_ALPHA) png_set_gray_to_rgb(png);
  png_set_strip_16(png);
  png_set_strip_alpha(png);
}

// Holds no C++ object of its own: longjmp must not skip a destructor.
bool DecodeInto(PngSession& session, const ImageHeader& header, bool grey16, png_bytep* rows) {
  png_structp png =
      png_create_read_struct(PNG_LIBPNG_VER_STRING, &session, OnPngError, OnPngWarning);
  if (png == nullptr) return false;
  png_infop info = png_create_info_struct(png);
  if (info == nullptr || setjmp(png_jmpbuf(png)) != 0) {
    png_destroy_read_struct(&png, &info, nullptr);
    return false;
  }
  png_set_read_fn(png, &session, OnPngRead);
  png_set_user_limits(png, 0x7FFFFFFF, 0x7FFFFFFF);  // the caller's limits hold
  SkipUnusedPngChunks(png);
  png_read_info(png, info);
  RequestRgb(png, info, grey16);
  png_set_interlace_handling(png);
  png_read_update_info(png, info);
  const size_t row_bytes = static_cast<size_t>(header.size.width) * (grey16 ? 2 : 3);
  if (png_get_rowbytes(png, info) != row_bytes ||
      png_get_image_height(png, info) != static_cast<png_uint_32>(header.size.height)) {
    png_error(png, "unexpected layout");
  }
  png_read_image(png, rows);
  png_read_end(png, nullptr);
  png_destroy_read_struct(&png, &info, nullptr);
  return true;
}

// PIL reads 16-bit grey as numbers and clips them to 255, it does not scale.
void ClipGrey16(const std::vector<uint16_t>& grey, Rgb8Image& image) {
  for (size_t i = 0; i < grey.size(); ++i) {
    const uint8_t value = static_cast<uint8_t>(grey[i] > 255 ? 255 : grey[i]);
    std::memset(image.pixels.data() + 3 * i, value, 3);
  }
}

using RowSource = std::function<const uint8_t*(int y)>;

bool EncodeInto(PngSession& session, ImageSize size, int color_type, const RowSource& row,
                std::string& out) {
  png_structp png =
      png_create_write_struct(PNG_LIBPNG_VER_STRING, &session, OnPngError, OnPngWarning);
  if (png == nullptr) return false;
  png_infop info = png_create_info_struct(png);
  if (info == nullptr || setjmp(png_jmpbuf(png)) != 0) {
    png_destroy_write_struct(&png, &info);
    return false;
  }
  png_set_write_fn(png, &out, OnWrite, OnFlush);
  png_set_user_limits(png, 0x7FFFFFFF, 0x7FFFFFFF);
  // Masks are flat areas: differences to the row above are nearly all zero, and
  // the fastest level already gets almost all there is to gain.
  png_set_compression_level(png, 1);
  png_set_filter(png, PNG_FILTER_TYPE_BASE, PNG_FILTER_UP);
  png_set_IHDR(png, info, size.width, size.height, 8, color_type, PNG_INTERLACE_NONE,
               PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
  png_write_info(png, info);
  for (int y = 0; y < size.height; ++y) png_write_row(png, row(y));
  png_write_end(png, nullptr);
  png_destroy_write_struct(&png, &info);
  return true;
}

absl::StatusOr<std::string> Encode(ImageSize size, int color_type, const RowSource& row) {
  std::string out;
  PngSession session;
  if (!EncodeInto(session, size, color_type, row, out)) {
    return absl::InternalError(absl::StrCat("PNG: ", session.message));
  }
  return out;
}

}  // namespace

absl::StatusOr<Rgb8Image> DecodePng(std::span<const uint8_t> bytes, const ImageHeader& header) {
  const bool grey16 = header.channels == 1 && header.bits_per_sample == 16;
  const size_t width = header.size.width;
  Rgb8Image image;
  image.size = header.size;
  image.pixels.resize(static_cast<size_t>(header.size.area()) * 3);
  std::vector<uint16_t> grey(grey16 ? static_cast<size_t>(header.size.area()) : 0);
  std::vector<png_bytep> rows(header.size.height);
  for (size_t y = 0; y < rows.size(); ++y) {
    rows[y] = grey16 ? reinterpret_cast<png_bytep>(grey.data() + y * width)
                     : image.pixels.data() + y * width * 3;
  }
  PngSession session{.in = bytes};
  if (!DecodeInto(session, header, grey16, rows.data())) {
    return Undecodable(absl::StrCat("PNG: ", session.message));
  }
  if (grey16) ClipGrey16(grey, image);
  return image;
}

absl::StatusOr<std::string> EncodeGreyPng(std::span<const uint8_t> pixels, ImageSize size) {
  if (size.height <= 0 || size.width <= 0 || pixels.size() != static_cast<size_t>(size.area())) {
    return absl::InternalError("PNG: the pixels do not fill the image");
  }
  return Encode(size, PNG_COLOR_TYPE_GRAY,
                [&](int y) { return pixels.data() + static_cast<size_t>(y) * size.width; });
}

absl::StatusOr<std::string> EncodeRgbPng(ImageSize size,
                                         const std::function<const uint8_t*(int y)>& row) {
  if (size.height <= 0 || size.width <= 0) return absl::InternalError("PNG: the image is empty");
  return Encode(size, PNG_COLOR_TYPE_RGB, row);
}

}  // namespace semsam
