// The post-processing of everything-mode: candidates of a grid of clicks in, masks
// worth keeping out, as the published automatic mask generator does it.
//
// Candidates come chunk by chunk; each is judged by its predicted IoU before
// anything is upsampled, then by its stability, and only those that pass stay, as
// run lengths. Masks have the network resolution.
#ifndef SEMSAM_MODEL_IMAGE_MASK_GENERATOR_H_
#define SEMSAM_MODEL_IMAGE_MASK_GENERATOR_H_

#include <cstdint>
#include <functional>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "model/base/types.h"
#include "model/image/mask_filter.h"

namespace semsam {

struct MaskGeneratorOptions {
  float pred_iou_thresh = 0.88f;         // kept if above; 0 or less: all are
  float stability_score_thresh = 0.92f;  // kept if not below; 0 or less: all are
  float stability_score_offset = 1.0f;   // logits
  double box_nms_thresh = 0.7;           // IoU
  double crop_nms_thresh = 0.7;          // IoU, the least for the pass after the clean-up
  int64_t min_mask_region_area = 10;     // px at network resolution; 0: no clean-up
  // Masks held before the final selection; more is an error.
  int64_t max_candidates = 20000;
};

// OK, or INVALID_ARGUMENT that names the member.
absl::Status Validate(const MaskGeneratorOptions& options);

struct MaskCandidate {
  Prompt point;
  int level = 0;            // granularity level, 1-based
  float predicted_iou = 0;  // as the model's head gives it
  LogitsView logits;        // on the model's grid
};

struct MaskRecord {
  RunLengths mask;  // network resolution
  int64_t area = 0;
  // Extreme pixels; the published `bbox` is x0, y0, x1 - x0, y1 - y0.
  CornerBox box;
  float predicted_iou = 0;    // of the mask before its clean-up
  float stability_score = 0;  // likewise
  Prompt point;
  int level = 0;
};

// Belongs to one thread.
class MaskGenerator {
 public:
  // `options` are valid; `geometry` is the image's.
  MaskGenerator(const MaskGeneratorOptions& options, const ImageGeometry& geometry);

  // Judges a candidate in the published order: clicks in order, the levels of a
  // click together. The logits are not kept. Errors: INTERNAL for logits that do
  // not fit the geometry, RESOURCE_EXHAUSTED beyond max_candidates.
  absl::Status Add(const MaskCandidate& candidate);

  // Removes overlaps, cleans up, and returns what remains: masks that the clean-up
  // left alone first, then the others, each by descending predicted IoU. The
  // generator is empty afterwards. Errors: INTERNAL; CANCELLED if `cancelled` (may be
  // null; asked a mask to clean up) says so.
  absl::StatusOr<std::vector<MaskRecord>> Finish(const std::function<bool()>& cancelled = nullptr);

 private:
  absl::StatusOr<std::vector<MaskRecord>> CleanUp(std::vector<MaskRecord> records,
                                                  const std::function<bool()>& cancelled) const;

  MaskGeneratorOptions options_;
  ImageGeometry geometry_;
  std::vector<MaskRecord> records_;
};

}  // namespace semsam

#endif  // SEMSAM_MODEL_IMAGE_MASK_GENERATOR_H_
