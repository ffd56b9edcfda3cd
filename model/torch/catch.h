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

// RESOURCE_EXHAUSTED for out of memory, INTERNAL for anything else.
absl::Status StatusFromTorch(const std::exception& error);

// Runs `body` and returns its value, or the status of what it threw.
template <typename Body>
auto CatchTorch(Body&& body) -> absl::StatusOr<std::invoke_result_t<Body>> {
  try {
    return body();
  } catch (const std::exception& error) {
    return StatusFromTorch(error);
  }
}

}  // namespace semsam

#endif  // SEMSAM_MODEL_TORCH_CATCH_H_
