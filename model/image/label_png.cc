#include "model/image/label_png.h"

#include <png.h>

#include <csetjmp>
#include <span>

#include "absl/strings/str_cat.h"
#include "model/base/status_macros.h"
#include "model/image/image_header.h"
#include "model/image/png_session.h"
#include "model/image/undecodable.h"

namespace semsam {
namespace {

struct Session : PngSession {
  std::vector<uint8_t> pixels;  // [H, W, samples, bytes], as stored
  std::vector<png_bytep> rows;
  int samples = 0;
  int sample_bytes = 0;
};

// Sizes the buffers by what the rows will hold. False where that is not the picture
// that `size` was checked for.
bool Prepare(Session& session, png_structp png, png_infop info, ImageSize size) {
  const png_byte type = png_get_color_type(png, info);
  session.samples = png_get_channels(png, info);
  session.sample_bytes = png_get_bit_depth(png, info) == 16 ? 2 : 1;
  const bool colour = (type & PNG_COLOR_MASK_COLOR) != 0 && type != PNG_COLOR_TYPE_PALETTE;
  const size_t row_bytes = static_cast<size_t>(size.width) * session.samples * session.sample_bytes;
  if ((colour && session.sample_bytes == 2) || png_get_rowbytes(png, info) != row_bytes ||
      png_get_image_width(png, info) != static_cast<png_uint_32>(size.width) ||
      png_get_image_height(png, info) != static_cast<png_uint_32>(size.height)) {
    return false;
  }
  session.pixels.resize(row_bytes * size.height);
  session.rows.resize(size.height);
  for (int y = 0; y < size.height; ++y) session.rows[y] = session.pixels.data() + y * row_bytes;
  return true;
}

// Holds no C++ object of its own: longjmp must not skip a destructor.
bool DecodeInto(Session& session, ImageSize size) {
  PngSession* input = &session;  // what the callbacks take the pointer for
  png_structp png = png_create_read_struct(PNG_LIBPNG_VER_STRING, input, OnPngError, OnPngWarning);
  if (png == nullptr) return false;
  png_infop info = png_create_info_struct(png);
  if (info == nullptr || setjmp(png_jmpbuf(png)) != 0) {
    png_destroy_read_struct(&png, &info, nullptr);
    return false;
  }
  png_set_read_fn(png, input, OnPngRead);
  png_set_user_limits(png, 0x7FFFFFFF, 0x7FFFFFFF);  // the caller's limits hold
  SkipUnusedPngChunks(png);
  png_read_info(png, info);
  png_set_packing(png);  // one byte a sample, the number unchanged
  png_set_interlace_handling(png);
  png_read_update_info(png, info);
  if (!Prepare(session, png, info, size)) png_error(png, "not a label map: 16-bit colour");
  png_read_image(png, session.rows.data());
  png_read_end(png, nullptr);
  png_destroy_read_struct(&png, &info, nullptr);
  return true;
}

// The number of one pixel; `pixel` points at its first sample.
uint32_t ValueOf(const uint8_t* pixel, const Session& session) {
  if (session.sample_bytes == 2) return uint32_t{pixel[0]} << 8 | pixel[1];  // big-endian
  if (session.samples < 3) return pixel[0];
  return pixel[0] | uint32_t{pixel[1]} << 8 | uint32_t{pixel[2]} << 16;
}

}  // namespace

absl::StatusOr<LabelImage> DecodeLabelPng(std::string_view bytes, const DecodeLimits& limits) {
  SEMSAM_RETURN_IF_ERROR(Validate(limits));
  if (static_cast<int64_t>(bytes.size()) > limits.max_encoded_bytes) {
    return ImageTooLarge(absl::StrCat("the file has ", bytes.size(), " bytes"));
  }
  const std::span<const uint8_t> data(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size());
  SEMSAM_ASSIGN_OR_RETURN(const ImageHeader header, ReadImageHeader(data));
  if (header.format != ImageFormat::kPng) return Undecodable("a label map must be a PNG file");
  const ImageSize size = header.size;
  if (size.width > limits.max_side_px || size.height > limits.max_side_px ||
      size.area() > limits.max_pixels) {
    return ImageTooLarge(
        absl::StrCat("the label map has ", size.width, " x ", size.height, " pixels"));
  }
  Session session;
  session.in = data;
  if (!DecodeInto(session, size)) return Undecodable(absl::StrCat("PNG: ", session.message));
  LabelImage labels{.size = size};
  labels.values.resize(static_cast<size_t>(size.area()));
  const int stride = session.samples * session.sample_bytes;
  for (size_t i = 0; i < labels.values.size(); ++i) {
    labels.values[i] = ValueOf(session.pixels.data() + i * stride, session);
  }
  return labels;
}

}  // namespace semsam
