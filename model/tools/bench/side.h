// What semsam-bench compares: the same weights and image on two paths.
#ifndef SEMSAM_MODEL_TOOLS_BENCH_SIDE_H_
#define SEMSAM_MODEL_TOOLS_BENCH_SIDE_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "model/net/load_model.h"

namespace semsam::bench {

// One side of the comparison.
struct Side {
  LoadedModel model;
  at::Tensor input;  // [1, 3, H, W]
  std::vector<ImageFeatures> features;
};

// A square image of `size` pixels, encoded.
absl::StatusOr<Side> MakeSide(const std::string& weights, int size, ops::Path path);

}  // namespace semsam::bench

#endif  // SEMSAM_MODEL_TOOLS_BENCH_SIDE_H_
