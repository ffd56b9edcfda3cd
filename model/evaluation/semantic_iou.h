// Mean intersection over union of a labelling of every pixel.
//
// An accumulator takes one picture at a time and keeps three numbers a class. Merging
// and order do not change the result. Not thread-safe.
#ifndef SEMSAM_MODEL_EVALUATION_SEMANTIC_IOU_H_
#define SEMSAM_MODEL_EVALUATION_SEMANTIC_IOU_H_

#include <cstdint>
#include <span>
#include <vector>

#include "absl/status/status.h"
#include "model/base/types.h"
#include "model/evaluation/exact_mean.h"

namespace semsam {

struct SemanticIouOptions {
  int classes = 0;         // labels are 0 to classes - 1; at most kMaxSemanticClasses
  int ignore_label = 255;  // true pixels that do not count; not a class

  absl::Status Validate() const;
};

inline constexpr int kMaxSemanticClasses = 65535;  // what 16 bits name beside the ignored one

struct SemanticScores {
  Figure iou;       // count: px that are of the class or called so
  Figure accuracy;  // px found of those that are of the class; count: these
};

// A class counts in the means where the truth has a pixel of it.
struct SemanticResult {
  Figure mean_iou;                      // count: classes
  Figure mean_accuracy;                 // count: classes
  Figure weighted_iou;                  // by true px; count: px
  Figure pixel_accuracy;                // count: px
  std::vector<SemanticScores> classes;  // by label
  int64_t pictures = 0;
};

class SemanticAccumulator {
 public:
  // `options` are valid.
  explicit SemanticAccumulator(const SemanticIouOptions& options);

  // One picture, both row-major [H, W]. Errors, after which nothing of the picture is
  // counted: INVALID_ARGUMENT where the sizes differ, a true label is neither a class
  // nor the one to ignore, or a predicted one is no class where the truth counts.
  absl::Status Add(std::span<const uint16_t> truth, std::span<const uint16_t> prediction);

  // Errors: INVALID_ARGUMENT where options differ; then nothing is merged.
  absl::Status Merge(const SemanticAccumulator& other);

  SemanticResult Result() const;

 private:
  struct Tally {
    int64_t shared = 0;     // px
    int64_t truth = 0;      // px
    int64_t predicted = 0;  // px
  };

  SemanticIouOptions options_;
  std::vector<Tally> classes_;
  int64_t pictures_ = 0;
};

}  // namespace semsam

#endif  // SEMSAM_MODEL_EVALUATION_SEMANTIC_IOU_H_
