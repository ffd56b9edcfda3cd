// Writes a pack: a folder of samples (model/data/folder_sample.h) that appears whole
// or not at all.
#ifndef SEMSAM_MODEL_COOK_PACK_H_
#define SEMSAM_MODEL_COOK_PACK_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "model/data/dataset.h"
#include "model/data/sample.h"

namespace semsam {

struct PackOptions {
  int threads = 2;
  int jpeg_quality = 92;  // 1 to 100
};
absl::Status Validate(const PackOptions& options);

struct PackCounts {
  size_t samples = 0;
  int64_t masks = 0;
};

// Makes sample `index`; called from several threads at once. An empty name becomes
// the pack's with the number.
using MakeSample = std::function<absl::StatusOr<LoadedSample>(size_t index)>;

// Fills PATH.partial with `count` samples and dataset.json, then renames it to PATH.
// What the samples are does not depend on the number of threads. On an error nothing
// is left behind. Errors: ALREADY_EXISTS where PATH is there, the first that `make`
// returned (by index), what the system says, with the file.
absl::StatusOr<PackCounts> WritePack(const std::string& path, const DatasetInfo& info, size_t count,
                                     const MakeSample& make, const PackOptions& options);

}  // namespace semsam

#endif  // SEMSAM_MODEL_COOK_PACK_H_
