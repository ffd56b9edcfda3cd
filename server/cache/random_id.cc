#include "server/cache/random_id.h"

#include <sys/random.h>

#include <cerrno>

#include "absl/status/status.h"
#include "absl/strings/escaping.h"

namespace semsam {

absl::StatusOr<std::string> RandomHexId(int bits) {
  std::string bytes(static_cast<size_t>(bits) / 8, '\0');
  size_t filled = 0;
  while (filled < bytes.size()) {
    const ssize_t got = getrandom(bytes.data() + filled, bytes.size() - filled, /*flags=*/0);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return absl::ErrnoToStatus(errno, "getrandom");
    filled += static_cast<size_t>(got);
  }
  return absl::BytesToHexString(bytes);
}

}  // namespace semsam
