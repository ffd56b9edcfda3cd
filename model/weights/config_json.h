// A model's configuration as JSON, as weight files carry it.
//
// Thread-safety: free functions.
#ifndef SEMSAM_MODEL_WEIGHTS_CONFIG_JSON_H_
#define SEMSAM_MODEL_WEIGHTS_CONFIG_JSON_H_

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "model/base/model_config.h"

namespace semsam {

// Every field by name, on one line. Reading it back gives an equal
// configuration, floats included.
std::string ConfigToJson(const ModelConfig& config);

// INVALID_ARGUMENT naming the field (`backbone.depths`) where one is missing,
// unknown, of the wrong type or out of range. All fields must be there: a guess
// would give wrong masks without a word; but for decoder.additions, which older files
// do without. What is returned passes CheckConfig.
absl::StatusOr<ModelConfig> ConfigFromJson(std::string_view text);

// Validate, and bounds on every size and count: what an untrusted configuration
// must pass before anything is sized by it.
absl::Status CheckConfig(const ModelConfig& config);

}  // namespace semsam

#endif  // SEMSAM_MODEL_WEIGHTS_CONFIG_JSON_H_
