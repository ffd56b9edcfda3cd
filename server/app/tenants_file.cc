#include "server/app/tenants_file.h"

#include <fstream>

#include "absl/strings/str_cat.h"
#include "model/base/errors.h"

namespace semsam {
namespace {

constexpr char kField[] = "tenants_file";
constexpr size_t kMaxBytes = size_t{4} << 20;

}  // namespace

absl::StatusOr<TenantTable> ReadTenantsFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::string text(kMaxBytes + 1, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  // Read to its end, or to where it is too large.
  if (!file.is_open() || file.bad() || (file.fail() && !file.eof())) {
    return InvalidField(kField, absl::StrCat("cannot read ", path));
  }
  text.resize(static_cast<size_t>(file.gcount()));
  if (text.size() > kMaxBytes) {
    return InvalidField(kField, absl::StrCat(path, " is larger than ", kMaxBytes, " bytes"));
  }
  absl::StatusOr<TenantTable> table = TenantTable::Parse(text);
  if (table.ok()) return table;
  return InvalidField(kField, absl::StrCat(path, ": ", table.status().message()));
}

}  // namespace semsam
