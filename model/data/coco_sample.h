// What the readers of COCO-like files make of an image's record.
// Thread-safe: a free function without state.
#ifndef SEMSAM_MODEL_DATA_COCO_SAMPLE_H_
#define SEMSAM_MODEL_DATA_COCO_SAMPLE_H_

#include <cstddef>
#include <string>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "model/data/coco_index.h"
#include "model/data/dataset.h"
#include "model/data/sample.h"
#include "nlohmann/json.hpp"

namespace semsam {

// The sample of image `index`, without annotations. `record` is
// CocoIndex::ReadImage's, `images` the folder of the pictures. Vocabulary, licence
// and source are `info`'s unless the record names a licence of the file, or has one
// of the fields `url_fields`: the last that is there is the source. Errors name file
// and image.
absl::StatusOr<Sample> StartCocoSample(const CocoIndex& file, size_t index,
                                       const nlohmann::json& record, const std::string& images,
                                       const DatasetInfo& info,
                                       absl::Span<const char* const> url_fields);

}  // namespace semsam

#endif  // SEMSAM_MODEL_DATA_COCO_SAMPLE_H_
