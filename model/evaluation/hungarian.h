// The linear sum assignment problem: which rows go with which columns so that the
// sum of the costs is least.
//
// Thread-safe: free functions without state.
#ifndef SEMSAM_MODEL_EVALUATION_HUNGARIAN_H_
#define SEMSAM_MODEL_EVALUATION_HUNGARIAN_H_

#include <span>
#include <vector>

#include "absl/status/statusor.h"

namespace semsam {

// `cost` is [rows, cols], row-major. Returns for each row its column, or -1: the
// smaller side is assigned in full. Shortest augmenting paths after Jonker and
// Volgenant, in doubles, at most O(min^2 max) steps; of several best assignments
// always the same one.
//
// +infinity forbids a pair. Errors: INVALID_ARGUMENT where the size of `cost` is not
// rows * cols, a cost is NaN or -infinity; FAILED_PRECONDITION where the forbidden
// pairs leave no assignment.
absl::StatusOr<std::vector<int>> SolveAssignment(std::span<const double> cost, int rows, int cols);

}  // namespace semsam

#endif  // SEMSAM_MODEL_EVALUATION_HUNGARIAN_H_
