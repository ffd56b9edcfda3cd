// Deterministic weights from a name: the same everywhere, without a file. They
// stand in for trained ones in tests and demonstrations.
//
// Element i of a tensor is offset + scale * u_i with u_i in [-1, 1) from a
// SplitMix64 stream that starts at the FNV-1a hash of the tensor's name. The
// product and the sum are rounded to float32 one after the other, never fused.
//
// Thread-safety: free functions.
#ifndef SEMSAM_MODEL_WEIGHTS_FORMULA_H_
#define SEMSAM_MODEL_WEIGHTS_FORMULA_H_

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "model/weights/tensor_view.h"
#include "model/weights/weight_table.h"

namespace semsam {

uint64_t Fnv1a64(std::string_view text);

// Elements first, first + 1, ... of the tensor with this seed.
void FillFormula(uint64_t seed, float offset, float scale, int64_t first, std::span<float> out);

// Swin's table of relative positions in a window, [window^2, window^2]
// row-major: the row of the bias table for query i and key j.
std::vector<int64_t> RelativePositionIndex(int window);

// All tensors of a table or manifest; those of one seed_name share their
// memory. INVALID_ARGUMENT for a table of more than 2^29 elements, a spec that
// is neither float32 nor a computed index, or aliases that differ;
// RESOURCE_EXHAUSTED where the memory is not to be had.
absl::StatusOr<TensorSet> FormulaTensors(std::span<const WeightSpec> specs);

}  // namespace semsam

#endif  // SEMSAM_MODEL_WEIGHTS_FORMULA_H_
