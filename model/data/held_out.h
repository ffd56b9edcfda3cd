// The one rule by which samples of a data set are kept from training: whoever trains
// and whoever evaluates asks here.
//
// Thread-safe: free functions without state.
#ifndef SEMSAM_MODEL_DATA_HELD_OUT_H_
#define SEMSAM_MODEL_DATA_HELD_OUT_H_

#include <cstddef>
#include <vector>

namespace semsam {

// Every tenth sample.
inline constexpr size_t kHeldOutEvery = 10;

// Indices of samples, rising. As data sets sort their samples by name (bytes), the
// split does not depend on the file system or on the order in a JSON file.
struct Split {
  std::vector<size_t> train;
  std::vector<size_t> held_out;
};

// Whether the sample at `index` is the last of its `every`: with ten the 10th, the
// 20th and so on are held out, never trained on. `every` is not 0; with 1 all are.
inline bool IsHeldOut(size_t index, size_t every = kHeldOutEvery) {
  return index % every == every - 1;
}

// `size` samples apart by IsHeldOut; 0 holds nothing out.
Split SplitHeldOut(size_t size, size_t every = kHeldOutEvery);

// `count` of `indices`, evenly spread and in order, so that a few stand for all: by
// name the first are often of one kind. All where there are no more.
std::vector<size_t> SpreadOver(const std::vector<size_t>& indices, size_t count);

}  // namespace semsam

#endif  // SEMSAM_MODEL_DATA_HELD_OUT_H_
