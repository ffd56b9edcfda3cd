// The connected pieces of a mask.
//
// Thread-safe: free functions without state.
#ifndef SEMSAM_MODEL_IMAGE_COMPONENTS_H_
#define SEMSAM_MODEL_IMAGE_COMPONENTS_H_

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "model/base/types.h"

namespace semsam {

// 8-connected components of at least `min_area_px` pixels, in the order in which
// their first pixels are met column by column. Errors: INTERNAL.
absl::StatusOr<std::vector<RunLengths>> ConnectedComponents(const RunLengths& mask,
                                                            int64_t min_area_px);

}  // namespace semsam

#endif  // SEMSAM_MODEL_IMAGE_COMPONENTS_H_
