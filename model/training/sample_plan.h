// Which sample a picture of a training is.
//
// An epoch takes from every source its share, each time another part of it: a source
// is gone through in a random order, and only then in another one. Sources are mixed
// within the epoch.
#ifndef SEMSAM_MODEL_TRAINING_SAMPLE_PLAN_H_
#define SEMSAM_MODEL_TRAINING_SAMPLE_PLAN_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"

namespace semsam {

struct PlannedSource {
  size_t size = 0;   // samples
  double share = 1;  // relative to the others
};

// One of the random orders of 0 .. size - 1: `index` -> its place. Needs no memory, so
// that any process and thread can ask for any place. Thread-safe.
uint64_t PermutedIndex(uint64_t index, uint64_t size, uint64_t seed);

// Thread-safe: nothing changes after Create. What At gives depends on the arguments of
// Create and the position alone.
class SamplePlan {
 public:
  struct Pick {
    size_t source = 0;
    size_t index = 0;  // in the source
  };

  // `epoch_pictures` 0: as many as the sources have. Errors: INVALID_ARGUMENT that
  // names a source which is empty or would get no picture.
  static absl::StatusOr<SamplePlan> Create(const std::vector<PlannedSource>& sources,
                                           int64_t epoch_pictures, uint64_t seed);

  int64_t epoch_pictures() const { return epoch_pictures_; }

  // The `position`-th picture of the training, from 0 on through all epochs.
  Pick At(int64_t position) const;

 private:
  SamplePlan() = default;

  std::vector<size_t> sizes_;
  std::vector<int64_t> ends_;  // of the sources' quotas in an epoch, rising
  int64_t epoch_pictures_ = 0;
  uint64_t seed_ = 0;
};

}  // namespace semsam

#endif  // SEMSAM_MODEL_TRAINING_SAMPLE_PLAN_H_
