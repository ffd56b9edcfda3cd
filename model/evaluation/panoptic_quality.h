// Panoptic quality: PQ, SQ and RQ of each class and their means over all classes,
// things and stuff. The numbers are those of panopticapi's pq_compute on the same
// files.
//
// A predicted and a true segment of one class match where their IoU is above 0.5,
// pixels that the truth leaves void not counted. True crowds are neither found nor
// missed; an unmatched prediction that lies by more than half in void and in a crowd
// of its class is no false alarm.
//
// An accumulator takes one picture at a time and keeps four numbers a class. Merging
// and order do not change the result. Not thread-safe.
#ifndef SEMSAM_MODEL_EVALUATION_PANOPTIC_QUALITY_H_
#define SEMSAM_MODEL_EVALUATION_PANOPTIC_QUALITY_H_

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <vector>

#include "absl/status/status.h"
#include "model/base/types.h"
#include "model/evaluation/exact_mean.h"

namespace semsam {

inline constexpr uint32_t kVoidSegment = 0;

struct PqSegment {
  uint32_t id = 0;  // in the map; not kVoidSegment
  int64_t category = 0;
  bool crowd = false;  // of truths only
  // Of truths only: px, as the annotation file states it, which the published code
  // believes; nullopt: counted in the map.
  std::optional<int64_t> area;
};

// One picture. `ids` is row-major [H, W], the segment of each pixel or kVoidSegment.
struct PanopticView {
  ImageSize size;
  std::span<const uint32_t> ids;
  std::span<const PqSegment> segments;
};

struct PanopticClass {
  int64_t id = 0;
  bool is_thing = false;
};

struct PanopticScores {
  int64_t category = 0;
  bool is_thing = false;
  int64_t true_positives = 0;
  int64_t false_positives = 0;
  int64_t false_negatives = 0;
  // The count of each is the segments behind it: TP + FP + FN. All NaN where there is
  // none (the published code writes 0, and leaves the class out of the means).
  Figure pq, sq, rq;
};

// Means over classes that have any segment; the count is that of the classes.
struct PanopticMeans {
  Figure pq, sq, rq;
};

struct PanopticResult {
  PanopticMeans all, things, stuff;
  std::vector<PanopticScores> classes;  // by id
  int64_t pictures = 0;
};

class PanopticAccumulator {
 public:
  explicit PanopticAccumulator(std::span<const PanopticClass> classes);

  // Errors, after which nothing of the picture is counted: INVALID_ARGUMENT where the
  // sizes differ or the maps do not fill them, a segment is listed twice, is of no
  // known class or has id kVoidSegment, a predicted map and its list do not name the
  // same segments, or a stated area is less than what of it was found. Pixels of
  // truths that are in no list are of no class.
  absl::Status Add(const PanopticView& truth, const PanopticView& prediction);

  // Errors: INVALID_ARGUMENT where the classes differ; then nothing is merged.
  absl::Status Merge(const PanopticAccumulator& other);

  PanopticResult Result() const;

 private:
  struct Tally {
    bool is_thing = false;
    ExactMean iou;  // of the true positives
    int64_t false_positives = 0;
    int64_t false_negatives = 0;
  };

  std::map<int64_t, Tally> classes_;
  int64_t pictures_ = 0;
};

}  // namespace semsam

#endif  // SEMSAM_MODEL_EVALUATION_PANOPTIC_QUALITY_H_
