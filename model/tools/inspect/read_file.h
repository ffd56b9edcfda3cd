// Small files as a whole.
#ifndef SEMSAM_MODEL_TOOLS_INSPECT_READ_FILE_H_
#define SEMSAM_MODEL_TOOLS_INSPECT_READ_FILE_H_

#include <string>

#include "absl/status/statusor.h"

namespace semsam {

// NOT_FOUND that names the path where it cannot be opened.
absl::StatusOr<std::string> ReadFile(const std::string& path);

}  // namespace semsam

#endif  // SEMSAM_MODEL_TOOLS_INSPECT_READ_FILE_H_
