// Everything-mode of semsam-bench: a grid of clicks on one image, decoder and heads,
// without the post-processing.
#ifndef SEMSAM_MODEL_TOOLS_BENCH_EVERYTHING_H_
#define SEMSAM_MODEL_TOOLS_BENCH_EVERYTHING_H_

#include <functional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "model/tools/bench/measure.h"

namespace semsam::bench {

struct EverythingOptions {
  std::string weights;
  int size = 640;            // px, of the square image
  int points_per_side = 32;  // as published
  int blocks = 5;
};

// Calls `done` with each comparison:
//   isolated  as the service does it, values projected once a layer an image, against
//             lazily a click
//   joint     200 points attend to each other, against the published order of work on
//             LibTorch's operators: values projected a layer a chunk, masks after
//             each of the layers
// INTERNAL if the two sides do not give the same masks.
absl::StatusOr<std::vector<Comparison>> RunEverything(
    const EverythingOptions& options, const std::function<void(const Comparison&)>& done);

}  // namespace semsam::bench

#endif  // SEMSAM_MODEL_TOOLS_BENCH_EVERYTHING_H_
