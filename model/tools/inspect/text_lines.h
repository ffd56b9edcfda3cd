// Files of texts, one a line.
#ifndef SEMSAM_MODEL_TOOLS_INSPECT_TEXT_LINES_H_
#define SEMSAM_MODEL_TOOLS_INSPECT_TEXT_LINES_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace semsam {

// The lines of a file ("-": of the standard input), without their ends (\n or
// \r\n); what follows the last \n counts if it is not empty. NOT_FOUND, or
// RESOURCE_EXHAUSTED beyond 64 MiB.
absl::StatusOr<std::vector<std::string>> ReadLines(const std::string& path);

// The same without empty lines; INVALID_ARGUMENT if none is left.
absl::StatusOr<std::vector<std::string>> ReadNames(const std::string& path);

}  // namespace semsam

#endif  // SEMSAM_MODEL_TOOLS_INSPECT_TEXT_LINES_H_
