// The prompts that `semsam-inspect dump` runs.
#ifndef SEMSAM_MODEL_TOOLS_INSPECT_PROMPTS_JSON_H_
#define SEMSAM_MODEL_TOOLS_INSPECT_PROMPTS_JSON_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "model/base/types.h"

namespace semsam {

struct PromptGroup {
  std::string name;             // letters, digits, '_', '-' and '.': part of file names
  std::vector<Prompt> prompts;  // at least one
  bool joint = false;           // the prompts attend to each other
};

// {"prompts": {NAME: {"points_cxcywh": [[cx, cy, w, h], ...], "pb": [0, ...],
// "joint": false}}}, relative to the unpadded image. "pb" defaults to zeros,
// "joint" to false. In the order of the names.
// INVALID_ARGUMENT that names the member which does not fit.
absl::StatusOr<std::vector<PromptGroup>> ParsePrompts(const std::string& json);

}  // namespace semsam

#endif  // SEMSAM_MODEL_TOOLS_INSPECT_PROMPTS_JSON_H_
