// Bounds-checked reads from untrusted bytes, for the header parsers.
#ifndef SEMSAM_MODEL_IMAGE_BYTE_READER_H_
#define SEMSAM_MODEL_IMAGE_BYTE_READER_H_

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string_view>

namespace semsam {

// A view with a byte order. A read beyond the end gives nullopt; offsets are
// 64-bit and never wrap. Immutable; the bytes must outlive it.
class ByteReader {
 public:
  ByteReader(std::span<const uint8_t> bytes, bool big_endian)
      : bytes_(bytes), big_endian_(big_endian) {}

  uint64_t size() const { return bytes_.size(); }

  std::optional<uint8_t> U8(uint64_t offset) const {
    if (!Has(offset, 1)) return std::nullopt;
    return bytes_[offset];
  }
  std::optional<uint16_t> U16(uint64_t offset) const {
    if (!Has(offset, 2)) return std::nullopt;
    const uint8_t* p = bytes_.data() + offset;
    return static_cast<uint16_t>(big_endian_ ? p[0] << 8 | p[1] : p[1] << 8 | p[0]);
  }
  std::optional<uint32_t> U32(uint64_t offset) const {
    if (!Has(offset, 4)) return std::nullopt;
    const uint32_t first = *U16(offset);
    const uint32_t second = *U16(offset + 2);
    return big_endian_ ? first << 16 | second : second << 16 | first;
  }

  bool Has(uint64_t offset, uint64_t count) const {
    return offset <= bytes_.size() && count <= bytes_.size() - offset;
  }
  bool StartsWith(uint64_t offset, std::string_view text) const {
    return Has(offset, text.size()) &&
           std::memcmp(bytes_.data() + offset, text.data(), text.size()) == 0;
  }
  // The bytes [offset, offset + count), cut at the end.
  std::span<const uint8_t> Slice(uint64_t offset, uint64_t count) const {
    if (offset >= bytes_.size()) return {};
    const uint64_t left = bytes_.size() - offset;
    return bytes_.subspan(offset, count < left ? count : left);
  }

 private:
  std::span<const uint8_t> bytes_;
  bool big_endian_;
};

}  // namespace semsam

#endif  // SEMSAM_MODEL_IMAGE_BYTE_READER_H_
