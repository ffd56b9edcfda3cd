#ifndef SEMSAM_SERVER_PIPELINE_SHA256_H_
#define SEMSAM_SERVER_PIPELINE_SHA256_H_

#include <string>
#include <string_view>

namespace semsam {

// SHA-256 of `bytes` as 64 lower-case hex digits. Thread-safe.
std::string Sha256Hex(std::string_view bytes);

}  // namespace semsam

#endif  // SEMSAM_SERVER_PIPELINE_SHA256_H_
