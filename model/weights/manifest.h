// Manifests: tab-separated tables of tensor names, shapes and fill parameters,
// from which formula.h makes a whole model.
//
// Thread-safety: free functions.
#ifndef SEMSAM_MODEL_WEIGHTS_MANIFEST_H_
#define SEMSAM_MODEL_WEIGHTS_MANIFEST_H_

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "model/weights/weight_table.h"

namespace semsam {

// Columns name, shape ("96,3,4,4", "scalar"), dtype, numel, seed_name, kind,
// offset, scale, fnv1a64_seed; the first line names them, further columns are
// ignored. INVALID_ARGUMENT with the line number where a row is malformed or
// its numel or seed disagrees with its shape or seed_name.
absl::StatusOr<std::vector<WeightSpec>> ParseManifest(std::string_view text);

// The rows of several files, in order; a row of a later file takes the place of the
// row of the same name in an earlier one, so that a file can hold differences alone.
absl::StatusOr<std::vector<WeightSpec>> ReadManifests(std::span<const std::string> paths);

}  // namespace semsam

#endif  // SEMSAM_MODEL_WEIGHTS_MANIFEST_H_
