// Identifiers that nobody can guess.
#ifndef SEMSAM_SERVER_CACHE_RANDOM_ID_H_
#define SEMSAM_SERVER_CACHE_RANDOM_ID_H_

#include <string>

#include "absl/status/statusor.h"

namespace semsam {

// `bits` (a multiple of 8) from the kernel's random generator, as lower-case hex.
// INTERNAL if the kernel has none to give.
absl::StatusOr<std::string> RandomHexId(int bits);

}  // namespace semsam

#endif  // SEMSAM_SERVER_CACHE_RANDOM_ID_H_
