// The tensors of a model, checked against its configuration.
#ifndef SEMSAM_MODEL_WEIGHTS_WEIGHT_MAP_H_
#define SEMSAM_MODEL_WEIGHTS_WEIGHT_MAP_H_

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "model/base/model_config.h"
#include "model/weights/tensor_view.h"

namespace semsam {

// Canonical name -> tensor, sorted by name. Holds views: the file or buffers
// behind them must outlive it.
//
// Thread-safe once built.
class WeightMap {
 public:
  using Tensors = std::map<std::string, TensorView, std::less<>>;

  WeightMap() = default;
  explicit WeightMap(Tensors tensors) : tensors_(std::move(tensors)) {}

  // Null: not there, which after ResolveWeights only an optional tensor can be.
  const TensorView* Find(std::string_view name) const;

  size_t size() const { return tensors_.size(); }
  Tensors::const_iterator begin() const { return tensors_.begin(); }
  Tensors::const_iterator end() const { return tensors_.end(); }

  int64_t parameters() const;  // elements of all tensors
  int64_t size_bytes() const;

 private:
  Tensors tensors_;
};

// Matches `tensors` (PublishedModelTensors names) with the table of `config`.
//
// After success every required tensor is there under its canonical name, in a
// floating-point type and with the right shape. Left out on purpose: aliases
// (checked to hold the values of the tensor they repeat; any one of them stands
// in for a missing canonical name), relative_position_index (checked against
// what the window size gives), leftovers of training (names that start with
// "criterion", and the buffers pixel_mean and pixel_std), and, where `config` has no
// text, the text encoder and the generic queries.
//
// Otherwise one INVALID_ARGUMENT names every entry that is missing, unknown, of
// another shape or type, or in conflict with another one (20 of each at most,
// with their number).
absl::StatusOr<WeightMap> ResolveWeights(const ModelConfig& config,
                                         std::vector<TensorView> tensors);

}  // namespace semsam

#endif  // SEMSAM_MODEL_WEIGHTS_WEIGHT_MAP_H_
