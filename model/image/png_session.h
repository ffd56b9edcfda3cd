// What every reader and writer of PNG files gives libpng. The library reports errors
// by longjmp, so a session lives in the caller of the function that holds the setjmp.
// Thread-safe: no state but the session's.
#ifndef SEMSAM_MODEL_IMAGE_PNG_SESSION_H_
#define SEMSAM_MODEL_IMAGE_PNG_SESSION_H_

#include <png.h>

#include <cstddef>
#include <cstdint>
#include <span>

namespace semsam {

// libpng's error and input pointers; a session that holds more derives from it.
struct PngSession {
  std::span<const uint8_t> in;  // what is still to be read
  char message[128] = "";       // of the error, if one happened
};

[[noreturn]] void OnPngError(png_structp png, png_const_charp message);
void OnPngWarning(png_structp png, png_const_charp message);
void OnPngRead(png_structp png, png_bytep to, size_t count);

// Colour profiles and texts are not used, and a small one can inflate to much.
void SkipUnusedPngChunks(png_structp png);

}  // namespace semsam

#endif  // SEMSAM_MODEL_IMAGE_PNG_SESSION_H_
