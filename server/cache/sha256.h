#ifndef SEMSAM_SERVER_CACHE_SHA256_H_
#define SEMSAM_SERVER_CACHE_SHA256_H_

#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace semsam {

// SHA-256 of `bytes` as 64 lower-case hex digits. Thread-safe.
std::string Sha256Hex(std::string_view bytes);

// `hex` in lower case. INVALID_ARGUMENT that names `field` unless it is 64 hexadecimal
// digits.
absl::StatusOr<std::string> CleanSha256(std::string hex, std::string_view field);

}  // namespace semsam

#endif  // SEMSAM_SERVER_CACHE_SHA256_H_
