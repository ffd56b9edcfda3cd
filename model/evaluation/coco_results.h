// Reads COCO result files: a JSON list of detections with `image_id`, `category_id`,
// `score`, and `segmentation` (run lengths, compressed or not) or `bbox`.
//
// Thread-safe: free functions without state.
#ifndef SEMSAM_MODEL_EVALUATION_COCO_RESULTS_H_
#define SEMSAM_MODEL_EVALUATION_COCO_RESULTS_H_

#include <cstdint>
#include <istream>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "model/evaluation/average_precision.h"

namespace semsam {

struct CocoResultLimits {
  int64_t max_detections = 20'000'000;
  int max_side_px = 65'535;
};

// Detections by image id, in the order of the file, ready for ApAccumulator. As
// pycocotools reads them: where the first detection has a `bbox`, the area of each is
// that of its bbox, also when masks are compared, and otherwise that of its mask; boxes
// are compared without a `bbox` by the bounding boxes of masks.
//
// One detection is held as JSON at a time. Errors: INVALID_ARGUMENT naming the
// detection for JSON that is cut short or of another form, polygons, numbers out of
// range, run lengths that do not fill their size; RESOURCE_EXHAUSTED for more
// detections than `limits` allow.
absl::StatusOr<std::map<int64_t, std::vector<ApDetection>>> ParseCocoResults(
    std::istream& json, ApKind kind, const CocoResultLimits& limits = {});

// The same from a file; NOT_FOUND where it cannot be opened. Messages begin with the
// path.
absl::StatusOr<std::map<int64_t, std::vector<ApDetection>>> ReadCocoResults(
    const std::string& path, ApKind kind, const CocoResultLimits& limits = {});

}  // namespace semsam

#endif  // SEMSAM_MODEL_EVALUATION_COCO_RESULTS_H_
