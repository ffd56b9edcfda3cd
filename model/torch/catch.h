// Turns what LibTorch throws into absl::Status: the only place that does.
#ifndef SEMSAM_MODEL_TORCH_CATCH_H_
#define SEMSAM_MODEL_TORCH_CATCH_H_

#include <exception>
#include <new>
#include <type_traits>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "model/torch/torch.h"

namespace semsam {

// RESOURCE_EXHAUSTED for out of memory, DeviceFault for what leaves a device's context
// unusable, INTERNAL for anything else.
absl::Status StatusFromTorch(const std::exception& error);

namespace torch_internal {

template <typename T>
struct Outcome {
  using Type = absl::StatusOr<T>;
};
template <>
struct Outcome<absl::Status> {
  using Type = absl::Status;
};
template <typename T>
struct Outcome<absl::StatusOr<T>> {
  using Type = absl::StatusOr<T>;
};

}  // namespace torch_internal

// Runs `body` and returns its value, or the status of what it threw. A body that
// returns a Status or StatusOr itself is not wrapped once more.
template <typename Body>
auto CatchTorch(Body&& body) -> typename torch_internal::Outcome<std::invoke_result_t<Body>>::Type {
  try {
    return body();
  } catch (const std::exception& error) {
    return StatusFromTorch(error);
  }
}

}  // namespace semsam

#endif  // SEMSAM_MODEL_TORCH_CATCH_H_
