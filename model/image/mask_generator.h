// The post-processing of everything-mode: candidates of a grid of clicks in, masks
// worth keeping out, as the published automatic mask generator does it.
//
// Candidates come chunk by chunk; each is judged by its predicted IoU before
// anything is upsampled, then by its stability, and only those that pass stay, as
// run lengths. Thresholds, boxes and overlaps are those of the network resolution,
// whatever resolution the masks are answered in.
#ifndef SEMSAM_MODEL_IMAGE_MASK_GENERATOR_H_
#define SEMSAM_MODEL_IMAGE_MASK_GENERATOR_H_

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "model/base/types.h"
#include "model/image/mask_filter.h"
#include "model/image/mask_tail.h"

namespace semsam {

struct MaskGeneratorOptions {
  float pred_iou_thresh = 0.88f;         // kept if above; 0 or less: all are
  float stability_score_thresh = 0.92f;  // kept if not below; 0 or less: all are
  float stability_score_offset = 1.0f;   // logits
  double box_nms_thresh = 0.7;           // IoU
  double crop_nms_thresh = 0.7;          // IoU, the least for the pass after the clean-up
  int64_t min_mask_region_area = 10;     // px at network resolution; 0: no clean-up
  // Of the masks answered, as published by default. Clean-up at the original
  // resolution scales min_mask_region_area with the area of the image.
  MaskResolution resolution = MaskResolution::kNetwork;
  // Masks held before the final selection, and the bytes of their run lengths; more
  // is an error.
  int64_t max_candidates = 20000;
  int64_t max_mask_bytes = int64_t{512} << 20;
};

// OK, or INVALID_ARGUMENT that names the member.
absl::Status Validate(const MaskGeneratorOptions& options);

// The clicks of everything-mode: n x n points, each in the middle of its cell, row by
// row from the top left, `click_size` (ModelConfig) wide and high. `points_per_side`
// is positive.
std::vector<Prompt> PointGrid(int points_per_side, float click_size);

struct MaskCandidate {
  Prompt point;
  // What the caller wants to know it by: the point's place in the grid, and where its
  // query embedding stands.
  int point_index = 0;
  int64_t query = 0;
  int level = 0;            // granularity level, 1-based
  float predicted_iou = 0;  // as the model's head gives it
  LogitsView logits;        // on the model's grid
};

struct MaskRecord {
  RunLengths mask;   // MaskGeneratorOptions::resolution
  int64_t area = 0;  // px of `mask`
  // Extreme pixels at network resolution; the published `bbox` is x0, y0, x1 - x0,
  // y1 - y0.
  CornerBox box;
  float predicted_iou = 0;    // of the mask before its clean-up
  float stability_score = 0;  // likewise
  Prompt point;
  int point_index = 0;
  int64_t query = 0;
  int level = 0;
};

// Belongs to one thread.
class MaskGenerator {
 public:
  // `options` are valid; `geometry` is the image's.
  MaskGenerator(const MaskGeneratorOptions& options, const ImageGeometry& geometry);

  // Judges a candidate in the published order: clicks in order, the levels of a
  // click together. The logits are not kept. Errors: INTERNAL for logits that do
  // not fit the geometry, RESOURCE_EXHAUSTED beyond max_candidates or max_mask_bytes.
  absl::Status Add(const MaskCandidate& candidate);

  // Candidates judged since the construction, and those that passed and wait for
  // Finish. Who keeps something beside a candidate keeps it if `held` has grown.
  int64_t judged() const { return judged_; }
  int64_t held() const { return static_cast<int64_t>(held_.size()); }

  // Removes overlaps, cleans up, and returns what remains: masks that the clean-up
  // left alone first, then the others, each by descending predicted IoU. The
  // generator holds nothing afterwards. Errors: INTERNAL; CANCELLED if `cancelled`
  // (may be null; asked a mask) says so.
  absl::StatusOr<std::vector<MaskRecord>> Finish(const std::function<bool()>& cancelled = nullptr);

 private:
  struct Held {
    MaskRecord record;  // with its mask at network resolution
    RunLengths answer;  // the mask at the other one, if that is asked for
  };

  bool AnswersOriginal() const;
  static std::vector<Held> Suppress(std::vector<Held> held, std::span<const float> scores,
                                    double iou_threshold);
  absl::Status CleanUp(std::vector<Held>& held, const std::function<bool()>& cancelled) const;

  MaskGeneratorOptions options_;
  ImageGeometry geometry_;
  std::vector<Held> held_;
  int64_t held_bytes_ = 0;
  int64_t judged_ = 0;
};

}  // namespace semsam

#endif  // SEMSAM_MODEL_IMAGE_MASK_GENERATOR_H_
