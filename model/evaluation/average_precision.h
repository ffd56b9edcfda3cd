// COCO's average precision and recall of masks or boxes: ten IoU thresholds, 101
// points of recall, four ranges of area, three numbers of detections. The numbers
// are those of pycocotools.COCOeval on the same input.
//
// An accumulator takes one picture at a time and keeps some 50 bytes for each
// detection that can count, no pictures and no masks. Several workers may each fill
// their own and merge them: the result does not depend on who saw what, nor on the
// order.
//
// Not thread-safe.
#ifndef SEMSAM_MODEL_EVALUATION_AVERAGE_PRECISION_H_
#define SEMSAM_MODEL_EVALUATION_AVERAGE_PRECISION_H_

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <vector>

#include "absl/status/status.h"
#include "model/base/types.h"
#include "model/evaluation/exact_mean.h"

namespace semsam {

inline constexpr int kApThresholds = 10;  // 0.50, 0.55, ..., 0.95
inline constexpr int kApAreas = 4;        // all, below 32^2 px, 32^2 to 96^2, above
inline constexpr int kApLimits = 3;       // numbers of detections

// The IoU thresholds, to the last bit of COCO's: an IoU of exactly 3/5 is a matter of
// that bit.
std::array<double, kApThresholds> ApIouThresholds();

// px, top left corner and extent, as COCO's bbox.
struct ApBox {
  double x = 0;
  double y = 0;
  double width = 0;
  double height = 0;
};

struct ApTruth {
  int64_t category = 0;
  RunLengths mask;  // read where masks are compared
  ApBox box;        // read where boxes are compared
  // px; decides the range of area. Annotation files state it; nullopt: that of the
  // mask or the box.
  std::optional<double> area;
  // A region of many objects: never missed, and what lies in it is no false alarm.
  bool crowd = false;
  // The annotation's id is 0, by which pycocotools marks "no match": it takes what is
  // matched with it for a false alarm, and to agree with it so does this.
  bool id_is_zero = false;
};

struct ApDetection {
  int64_t category = 0;
  double score = 0;  // finite
  RunLengths mask;
  ApBox box;
  std::optional<double> area;  // px; nullopt: that of the mask or the box
};

enum class ApKind { kMask, kBox };

struct ApOptions {
  ApKind kind = ApKind::kMask;
  // Categories are not looked at, as for proposals: the result has one, -1.
  bool class_agnostic = false;
  // Detections of one picture and category that count, best first; ascending. Average
  // precision is that at the last.
  std::array<int, kApLimits> limits = {1, 10, 100};

  absl::Status Validate() const;
};

template <typename T>
using ApGrid = std::array<std::array<std::array<T, kApLimits>, kApAreas>, kApThresholds>;

struct CategoryAp {
  int64_t category = 0;
  std::array<int64_t, kApAreas> truths = {};  // that count in each range of area
  int64_t detections = 0;
  // By threshold, range of area and limit; NaN where no truth counts.
  ApGrid<double> precision;  // mean over the points of recall
  ApGrid<double> recall;     // the highest reached

  double ap() const;    // mean over thresholds, all areas, last limit
  double ap50() const;  // at IoU 0.5
  double ap75() const;
};

// Means over the categories that have a truth in that range. The count of a figure is
// that of those truths.
struct ApResult {
  Figure ap, ap50, ap75;
  Figure ap_small, ap_medium, ap_large;
  std::array<Figure, kApLimits> ar;  // average recall at each limit
  Figure ar_small, ar_medium, ar_large;
  std::vector<CategoryAp> categories;  // by id
  int64_t pictures = 0;
  int64_t detections = 0;  // that were given
};

class ApAccumulator {
 public:
  // `options` are valid.
  explicit ApAccumulator(ApOptions options = {});

  // One picture. Among equal scores the earlier detection, and across pictures the
  // lower `image_id`, comes first. Errors, after which nothing of the picture is
  // counted: ALREADY_EXISTS for a picture seen before; INVALID_ARGUMENT where a score
  // or box is not finite, a box has a negative side, run lengths do not fill their
  // size, or masks of one picture differ in size.
  absl::Status Add(int64_t image_id, std::span<const ApTruth> truths,
                   std::span<const ApDetection> detections);

  // Errors: INVALID_ARGUMENT where options differ, ALREADY_EXISTS where both saw the
  // same picture; then nothing is merged.
  absl::Status Merge(const ApAccumulator& other);

  ApResult Result() const;

 private:
  // What one picture made of a detection. Bit t stands for threshold t.
  struct Outcome {
    double score = 0;
    int64_t image_id = 0;
    int32_t rank = 0;  // by score, among those of its picture and category
    std::array<uint16_t, kApAreas> matched = {};
    std::array<uint16_t, kApAreas> ignored = {};
  };
  struct Category {
    std::vector<Outcome> outcomes;
    std::array<int64_t, kApAreas> truths = {};
  };

  static void MatchPicture(const ApOptions& options, int64_t image_id,
                           std::span<const ApTruth* const> truths,
                           std::span<const ApDetection* const> detections, Category& category);
  CategoryAp Summarize(int64_t id, const Category& category) const;

  const ApOptions options_;
  std::map<int64_t, Category> categories_;
  std::set<int64_t> pictures_;
  int64_t detections_ = 0;
};

}  // namespace semsam

#endif  // SEMSAM_MODEL_EVALUATION_AVERAGE_PRECISION_H_
