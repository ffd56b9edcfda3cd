// The table of tenants, from a file.
#ifndef SEMSAM_SERVER_APP_TENANTS_FILE_H_
#define SEMSAM_SERVER_APP_TENANTS_FILE_H_

#include <string>

#include "absl/status/statusor.h"
#include "server/batching/tenant_table.h"

namespace semsam {

// What the file at `path` says, as TenantTable::Parse reads it. INVALID_ARGUMENT
// (`tenants_file`) names the file, and the line where one is wrong; a file larger than
// 4 MiB is no table.
absl::StatusOr<TenantTable> ReadTenantsFile(const std::string& path);

}  // namespace semsam

#endif  // SEMSAM_SERVER_APP_TENANTS_FILE_H_
