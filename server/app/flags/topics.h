// The flags of a server program by topic: each file of this folder defines the flags of
// one and reads them.
#ifndef SEMSAM_SERVER_APP_FLAGS_TOPICS_H_
#define SEMSAM_SERVER_APP_FLAGS_TOPICS_H_

#include <algorithm>
#include <cstdint>

#include "absl/flags/flag.h"
#include "server/app/server_options.h"

namespace semsam {

// Each sets what its flags say.
void ReadEdgeFlags(ServerOptions& options);
void ReadEngineFlags(ServerOptions& options);
void ReadCacheFlags(ServerOptions& options);
void ReadLimitFlags(ServerOptions& options);

// Bytes of a flag in MiB. Saturates, so that Validate sees a large number and not an
// overflown one.
inline int64_t MebibytesFlag(const absl::Flag<int64_t>& flag) {
  constexpr int64_t kMebibyte = int64_t{1} << 20;
  const int64_t value = absl::GetFlag(flag);
  return std::clamp(value, INT64_MIN / kMebibyte, INT64_MAX / kMebibyte) * kMebibyte;
}

}  // namespace semsam

#endif  // SEMSAM_SERVER_APP_FLAGS_TOPICS_H_
