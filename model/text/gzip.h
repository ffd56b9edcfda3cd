// Unpacks a gzip file in memory. Thread-safe.
#ifndef SEMSAM_MODEL_TEXT_GZIP_H_
#define SEMSAM_MODEL_TEXT_GZIP_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace semsam {

// DATA_LOSS if `packed` is no whole gzip file of one member or would grow beyond
// `max_bytes`.
absl::StatusOr<std::string> Gunzip(std::string_view packed, int64_t max_bytes);

}  // namespace semsam

#endif  // SEMSAM_MODEL_TEXT_GZIP_H_
