#include "model/base/memory_use.h"

#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <optional>

#include "absl/status/status.h"

namespace semsam {
namespace {

// The number that stands at `index` in a file, from 0; absent where none does, as in
// "max".
std::optional<int64_t> NumberIn(const std::string& path, int index) {
  std::ifstream file(path);
  int64_t number = 0;
  for (int i = 0; i <= index; ++i) file >> number;
  if (!file) return std::nullopt;
  return number;
}

}  // namespace

absl::StatusOr<MemoryUse> ProcessMemory(const MemoryFiles& files) {
  const std::optional<int64_t> resident_pages = NumberIn(files.process(), 1);
  const int64_t page_bytes = sysconf(_SC_PAGESIZE);
  const int64_t pages = sysconf(_SC_PHYS_PAGES);
  if (!resident_pages.has_value() || page_bytes <= 0 || pages <= 0) {
    return absl::UnimplementedError("the system does not tell how much memory a process has");
  }
  MemoryUse use{.used_bytes = *resident_pages * page_bytes, .total_bytes = pages * page_bytes};
  for (const std::string& path : {files.group(), files.old_group()}) {
    use.total_bytes = std::min(use.total_bytes, NumberIn(path, 0).value_or(use.total_bytes));
  }
  return use;
}

}  // namespace semsam
