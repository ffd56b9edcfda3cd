// How full the memory is that something runs in.
#ifndef SEMSAM_MODEL_BASE_MEMORY_USE_H_
#define SEMSAM_MODEL_BASE_MEMORY_USE_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"

namespace semsam {

struct MemoryUse {
  int64_t used_bytes = 0;
  int64_t total_bytes = 0;

  friend bool operator==(const MemoryUse&, const MemoryUse&) = default;
};

// Where Linux says so; `root` is for tests.
struct MemoryFiles {
  std::string root;

  std::string process() const { return root + "/proc/self/statm"; }
  std::string group() const { return root + "/sys/fs/cgroup/memory.max"; }
  std::string old_group() const { return root + "/sys/fs/cgroup/memory/memory.limit_in_bytes"; }
};

// What this process has in physical memory, of what the machine has or, where that is
// less, its control group may take. UNIMPLEMENTED where the system does not tell.
// Thread-safe.
absl::StatusOr<MemoryUse> ProcessMemory(const MemoryFiles& files = {});

}  // namespace semsam

#endif  // SEMSAM_MODEL_BASE_MEMORY_USE_H_
