#include "server/cache/sha256.h"

#include <openssl/sha.h>

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "model/base/errors.h"

namespace semsam {

std::string Sha256Hex(std::string_view bytes) {
  std::string digest(SHA256_DIGEST_LENGTH, '\0');
  SHA256(reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size(),
         reinterpret_cast<unsigned char*>(digest.data()));
  return absl::BytesToHexString(digest);
}

absl::StatusOr<std::string> CleanSha256(std::string hex, std::string_view field) {
  constexpr size_t kDigits = 2 * SHA256_DIGEST_LENGTH;
  if (hex.size() != kDigits || !std::all_of(hex.begin(), hex.end(), absl::ascii_isxdigit)) {
    return InvalidField(field, "must be 64 hexadecimal digits");
  }
  absl::AsciiStrToLower(&hex);
  return hex;
}

}  // namespace semsam
