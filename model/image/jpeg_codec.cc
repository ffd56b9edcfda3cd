#include "model/image/jpeg_codec.h"

#include <csetjmp>
#include <cstddef>
#include <cstdio>
#include <vector>

// jpeglib.h uses size_t and FILE without including their headers.
// clang-format off
#include <jpeglib.h>
#include <jerror.h>
// clang-format on

#include "absl/strings/str_cat.h"
#include "model/image/undecodable.h"

namespace semsam {
namespace {

// A progressive file may hold any number of scans, each a pass over the whole
// image: a small file could keep a core busy for minutes. Cameras and encoders
// write about ten.
constexpr int kMaxScans = 200;

struct ErrorManager {
  jpeg_error_mgr base;  // first member: libjpeg hands back a pointer to it
  std::jmp_buf jump;
  char message[JMSG_LENGTH_MAX];
};

[[noreturn]] void OnError(j_common_ptr info) {
  auto* manager = reinterpret_cast<ErrorManager*>(info->err);
  manager->base.format_message(info, manager->message);
  std::longjmp(manager->jump, 1);
}

// Warnings that mean "pixels are missing" are errors here; others, such as stray
// bytes between segments, are harmless and common.
void OnMessage(j_common_ptr info, int level) {
  if (level >= 0) return;
  const int code = info->err->msg_code;
  if (code == JWRN_JPEG_EOF || code == JWRN_HIT_MARKER) OnError(info);
}

void OnProgress(j_common_ptr info) {
  if (reinterpret_cast<j_decompress_ptr>(info)->input_scan_number <= kMaxScans) return;
  auto* manager = reinterpret_cast<ErrorManager*>(info->err);
  std::snprintf(manager->message, sizeof(manager->message), "too many scans");
  std::longjmp(manager->jump, 1);
}

// Adobe writes CMYK inverted, so 255 is no ink; the rounding is PIL's.
void InvertedCmykToRgb(const uint8_t* cmyk, int count, uint8_t* rgb) {
  for (int i = 0; i < count; ++i, cmyk += 4, rgb += 3) {
    const int white = cmyk[3];  // 255 - K
    for (int c = 0; c < 3; ++c) {
      const int ink = (255 - cmyk[c]) * white + 128;
      const int value = white - (((ink >> 8) + ink) >> 8);
      rgb[c] = static_cast<uint8_t>(value < 0 ? 0 : value);
    }
  }
}

// Holds no C++ object of its own: longjmp must not skip a destructor.
bool DecodeInto(std::span<const uint8_t> bytes, const ImageHeader& header, uint8_t* pixels,
                uint8_t* cmyk_row, ErrorManager& manager) {
  jpeg_decompress_struct info = {};
  info.err = jpeg_std_error(&manager.base);
  manager.base.error_exit = OnError;
  manager.base.emit_message = OnMessage;
  manager.message[0] = '\0';
  jpeg_progress_mgr progress = {};
  progress.progress_monitor = OnProgress;
  if (setjmp(manager.jump) != 0) {
    jpeg_destroy_decompress(&info);
    return false;
  }
  jpeg_create_decompress(&info);
  info.progress = &progress;
  jpeg_mem_src(&info, bytes.data(), bytes.size());
  jpeg_read_header(&info, TRUE);
  // Buffers are made for `header`, limits were checked for it: libjpeg must have
  // found the same frame.
  if (info.num_components != header.channels ||
      info.image_width != static_cast<JDIMENSION>(header.size.width) ||
      info.image_height != static_cast<JDIMENSION>(header.size.height)) {
    std::snprintf(manager.message, sizeof(manager.message), "contradictory frame headers");
    std::longjmp(manager.jump, 1);
  }
  const bool cmyk = info.num_components == 4;
  info.out_color_space = cmyk ? JCS_CMYK : JCS_RGB;
  jpeg_start_decompress(&info);
  const size_t row_bytes = size_t{3} * info.output_width;
  while (info.output_scanline < info.output_height) {
    uint8_t* row = pixels + info.output_scanline * row_bytes;
    JSAMPROW target = cmyk ? cmyk_row : row;
    jpeg_read_scanlines(&info, &target, 1);
    if (cmyk) InvertedCmykToRgb(cmyk_row, static_cast<int>(info.output_width), row);
  }
  jpeg_finish_decompress(&info);
  jpeg_destroy_decompress(&info);
  return true;
}

}  // namespace

absl::StatusOr<Rgb8Image> DecodeJpeg(std::span<const uint8_t> bytes, const ImageHeader& header) {
  if (header.channels != 1 && header.channels != 3 && header.channels != 4) {
    return Undecodable(absl::StrCat("JPEG: ", header.channels, " components are not supported"));
  }
  Rgb8Image image;
  image.size = header.size;
  image.pixels.resize(static_cast<size_t>(header.size.area()) * 3);
  std::vector<uint8_t> cmyk_row(header.channels == 4 ? size_t{4} * header.size.width : 0);
  ErrorManager manager;
  if (!DecodeInto(bytes, header, image.pixels.data(), cmyk_row.data(), manager)) {
    return Undecodable(absl::StrCat("JPEG: ", manager.message));
  }
  return image;
}

}  // namespace semsam
