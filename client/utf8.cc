#include "client/utf8.h"

#include <cstdint>

namespace semsam::client {
namespace {

// Code points that need exactly so many bytes.
constexpr uint32_t kFirstOfLength[] = {0, 0, 0x80, 0x800, 0x10000};
constexpr uint32_t kLast = 0x10ffff;

}  // namespace

size_t Utf8Length(std::string_view text) {
  if (text.empty()) return 0;
  const uint8_t lead = static_cast<uint8_t>(text[0]);
  if (lead < 0x80) return 1;
  const size_t length = (lead >> 5) == 0x6    ? 2
                        : (lead >> 4) == 0xe  ? 3
                        : (lead >> 3) == 0x1e ? 4
                                              : 0;
  if (length == 0 || text.size() < length) return 0;
  uint32_t point = lead & (0x7f >> length);
  for (size_t i = 1; i < length; ++i) {
    const uint8_t byte = static_cast<uint8_t>(text[i]);
    if ((byte >> 6) != 0x2) return 0;
    point = (point << 6) | (byte & 0x3f);
  }
  const bool surrogate = point >= 0xd800 && point <= 0xdfff;
  return point < kFirstOfLength[length] || point > kLast || surrogate ? 0 : length;
}

bool IsUtf8(std::string_view text) {
  while (!text.empty()) {
    const size_t length = Utf8Length(text);
    if (length == 0) return false;
    text.remove_prefix(length);
  }
  return true;
}

}  // namespace semsam::client
