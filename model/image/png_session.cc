#include "model/image/png_session.h"

#include <cstdio>
#include <cstring>

namespace semsam {

void OnPngError(png_structp png, png_const_charp message) {
  auto* session = static_cast<PngSession*>(png_get_error_ptr(png));
  std::snprintf(session->message, sizeof(session->message), "%s", message);
  png_longjmp(png, 1);
}

void OnPngWarning(png_structp, png_const_charp) {}

void OnPngRead(png_structp png, png_bytep to, size_t count) {
  auto* session = static_cast<PngSession*>(png_get_io_ptr(png));
  if (count > session->in.size()) png_error(png, "the file is cut short");
  std::memcpy(to, session->in.data(), count);
  session->in = session->in.subspan(count);
}

void SkipUnusedPngChunks(png_structp png) {
  constexpr char kNames[] = "iCCP\0zTXt\0iTXt\0tEXt\0eXIf";
  png_set_keep_unknown_chunks(png, PNG_HANDLE_CHUNK_NEVER,
                              reinterpret_cast<png_const_bytep>(kNames), sizeof(kNames) / 5);
}

}  // namespace semsam
