// What the client needs to know of UTF-8. Internal: not installed.
//
// Thread-safe: free functions without state.
#ifndef SEMSAM_CLIENT_UTF8_H_
#define SEMSAM_CLIENT_UTF8_H_

#include <cstddef>
#include <string_view>

namespace semsam::client {

// Bytes of the well-formed code point that `text` starts with (no overlong form,
// no surrogate, at most U+10FFFF), 1 to 4; 0 if there is none.
size_t Utf8Length(std::string_view text);

bool IsUtf8(std::string_view text);

}  // namespace semsam::client

#endif  // SEMSAM_CLIENT_UTF8_H_
