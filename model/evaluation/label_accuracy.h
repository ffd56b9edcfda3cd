// How often the right name is the first, or among the first five, of those that a
// mask was given; objects and parts apart.
//
// Merging and order do not change the result. Not thread-safe.
#ifndef SEMSAM_MODEL_EVALUATION_LABEL_ACCURACY_H_
#define SEMSAM_MODEL_EVALUATION_LABEL_ACCURACY_H_

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "model/base/types.h"
#include "model/evaluation/exact_mean.h"

namespace semsam {

inline constexpr int kTopLabels = 5;

// The `count` (at most) best labels of a row of scores, best first; of equal scores
// the lower label. INVALID_ARGUMENT where a score is NaN.
absl::StatusOr<std::vector<int>> RankLabels(std::span<const float> scores, int count = kTopLabels);

struct LabelResult {
  Figure top1, top5;
};

class LabelAccumulator {
 public:
  // `ranked` holds the labels guessed, best first (none: a wrong guess); `truths`
  // those that are right, a name and its synonyms. INVALID_ARGUMENT without a truth,
  // or where a label among the first five is guessed twice.
  absl::Status Add(LabelHead head, std::span<const int> ranked, std::span<const int> truths);

  void Merge(const LabelAccumulator& other);

  LabelResult Result(LabelHead head) const;

 private:
  struct Tally {
    int64_t seen = 0;
    int64_t first = 0;
    int64_t among_five = 0;
  };

  std::array<Tally, 2> heads_;
};

}  // namespace semsam

#endif  // SEMSAM_MODEL_EVALUATION_LABEL_ACCURACY_H_
