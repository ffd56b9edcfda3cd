#include "server/cache/tier_file.h"

#include <zlib.h>

#include "absl/status/status.h"
#include "model/base/status_macros.h"
#include "server/cache/sha256.h"

namespace semsam {
namespace {

// The digit is the version of the layout.
constexpr std::string_view kMagic = "SEMSEMB1";

absl::Status Broken() { return absl::DataLossError("not a whole file of a stored embedding"); }

template <typename Unsigned>
void Append(Unsigned value, std::string& out) {
  for (size_t i = 0; i < sizeof(Unsigned); ++i) {
    out.push_back(static_cast<char>(static_cast<unsigned char>(value >> (8 * i))));
  }
}

void AppendText(std::string_view text, std::string& out) {
  Append(static_cast<uint32_t>(text.size()), out);
  out.append(text);
}

void AppendKey(const EmbeddingKey& key, std::string& out) {
  AppendText(key.tenant.name, out);
  AppendText(key.model_digest, out);
  AppendText(key.preprocessing, out);
  AppendText(key.image_sha256, out);
  Append(static_cast<uint32_t>(key.network_size.height), out);
  Append(static_cast<uint32_t>(key.network_size.width), out);
}

// Takes values off the front.
class Reader {
 public:
  explicit Reader(std::string_view bytes) : bytes_(bytes) {}

  template <typename Unsigned>
  absl::Status Read(Unsigned& value) {
    if (bytes_.size() < sizeof(Unsigned)) return Broken();
    value = 0;
    for (size_t i = 0; i < sizeof(Unsigned); ++i) {
      value |= static_cast<Unsigned>(static_cast<unsigned char>(bytes_[i])) << (8 * i);
    }
    bytes_.remove_prefix(sizeof(Unsigned));
    return absl::OkStatus();
  }
  absl::Status Read(int& value) {
    uint32_t bits = 0;
    SEMSAM_RETURN_IF_ERROR(Read(bits));
    value = static_cast<int>(bits);
    return absl::OkStatus();
  }
  absl::Status Read(std::string& text) {
    uint32_t size = 0;
    SEMSAM_RETURN_IF_ERROR(Read(size));
    if (bytes_.size() < size) return Broken();
    text = std::string(bytes_.substr(0, size));
    bytes_.remove_prefix(size);
    return absl::OkStatus();
  }
  bool AtEnd() const { return bytes_.empty(); }

 private:
  std::string_view bytes_;
};

absl::StatusOr<TierFileHeader> DecodeFields(std::string_view fields) {
  Reader reader(fields);
  TierFileHeader header;
  uint32_t format = 0;
  SEMSAM_RETURN_IF_ERROR(reader.Read(header.key.tenant.name));
  SEMSAM_RETURN_IF_ERROR(reader.Read(header.key.model_digest));
  SEMSAM_RETURN_IF_ERROR(reader.Read(header.key.preprocessing));
  SEMSAM_RETURN_IF_ERROR(reader.Read(header.key.image_sha256));
  SEMSAM_RETURN_IF_ERROR(reader.Read(header.key.network_size.height));
  SEMSAM_RETURN_IF_ERROR(reader.Read(header.key.network_size.width));
  SEMSAM_RETURN_IF_ERROR(reader.Read(format));
  SEMSAM_RETURN_IF_ERROR(reader.Read(header.payload_bytes));
  SEMSAM_RETURN_IF_ERROR(reader.Read(header.payload_crc));
  if (!reader.AtEnd() || format > static_cast<uint32_t>(StorageFormat::kInt8)) return Broken();
  header.format = static_cast<StorageFormat>(format);
  return header;
}

}  // namespace

uint32_t Crc32(std::string_view bytes) {
  return static_cast<uint32_t>(
      crc32_z(0, reinterpret_cast<const Bytef*>(bytes.data()), bytes.size()));
}

std::string TierFileName(const EmbeddingKey& key) {
  std::string text;
  AppendKey(key, text);
  return Sha256Hex(text);
}

absl::StatusOr<std::string> EncodeTierFileHeader(const TierFileHeader& header) {
  std::string fields;
  AppendKey(header.key, fields);
  Append(static_cast<uint32_t>(header.format), fields);
  Append(header.payload_bytes, fields);
  Append(header.payload_crc, fields);
  if (fields.size() > kMaxTierFileHeaderBytes - kTierFilePrefixBytes) {
    return absl::InvalidArgumentError("the key of an embedding is too long to be stored");
  }
  std::string bytes(kMagic);
  Append(static_cast<uint32_t>(fields.size()), bytes);
  Append(Crc32(fields), bytes);
  return bytes + fields;
}

absl::StatusOr<size_t> TierFileHeaderBytes(std::string_view prefix) {
  if (prefix.size() < kTierFilePrefixBytes || prefix.substr(0, kMagic.size()) != kMagic) {
    return Broken();
  }
  uint32_t size = 0;
  SEMSAM_RETURN_IF_ERROR(Reader(prefix.substr(kMagic.size())).Read(size));
  if (size > kMaxTierFileHeaderBytes - kTierFilePrefixBytes) return Broken();
  return kTierFilePrefixBytes + size;
}

absl::StatusOr<TierFileHeader> DecodeTierFileHeader(std::string_view bytes) {
  SEMSAM_ASSIGN_OR_RETURN(const size_t size, TierFileHeaderBytes(bytes));
  if (bytes.size() != size) return Broken();
  uint32_t crc = 0;
  SEMSAM_RETURN_IF_ERROR(Reader(bytes.substr(kMagic.size() + sizeof(uint32_t))).Read(crc));
  const std::string_view fields = bytes.substr(kTierFilePrefixBytes);
  if (Crc32(fields) != crc) return Broken();
  return DecodeFields(fields);
}

}  // namespace semsam
