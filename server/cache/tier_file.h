// The file of a stored embedding: a header that says all about it, then its bytes.
//
// Little endian: the magic number; the length of the rest of the header and the CRC-32
// of that rest; tenant, model, preprocessing and digest of the image (each a length and
// the text); height and width; format; length and CRC-32 of the bytes. Nothing else is
// in the file. A header that reads is whole and says what was written.
#ifndef SEMSAM_SERVER_CACHE_TIER_FILE_H_
#define SEMSAM_SERVER_CACHE_TIER_FILE_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "model/segmenter.h"
#include "server/cache/embedding_key.h"

namespace semsam {

// What is in front of every header.
inline constexpr size_t kTierFilePrefixBytes = 16;
// No header is longer, the prefix included.
inline constexpr size_t kMaxTierFileHeaderBytes = size_t{64} << 10;

struct TierFileHeader {
  EmbeddingKey key;
  StorageFormat format = StorageFormat::kFp32;
  uint64_t payload_bytes = 0;
  uint32_t payload_crc = 0;
};

// CRC-32 as zlib counts it.
uint32_t Crc32(std::string_view bytes);

// The name under which `key` is kept: 64 hex digits that say nothing about it.
std::string TierFileName(const EmbeddingKey& key);

// Prefix and header; INVALID_ARGUMENT if they are longer than allowed.
absl::StatusOr<std::string> EncodeTierFileHeader(const TierFileHeader& header);

// How many bytes prefix and header have, read from the prefix. DATA_LOSS if it is none.
absl::StatusOr<size_t> TierFileHeaderBytes(std::string_view prefix);

// Reads exactly what EncodeTierFileHeader wrote; else DATA_LOSS.
absl::StatusOr<TierFileHeader> DecodeTierFileHeader(std::string_view bytes);

}  // namespace semsam

#endif  // SEMSAM_SERVER_CACHE_TIER_FILE_H_
