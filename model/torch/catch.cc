#include "model/torch/catch.h"

#include <string>

#include "absl/strings/str_cat.h"

namespace semsam {

absl::Status StatusFromTorch(const std::exception& error) {
  if (dynamic_cast<const c10::OutOfMemoryError*>(&error) != nullptr ||
      dynamic_cast<const std::bad_alloc*>(&error) != nullptr) {
    return absl::ResourceExhaustedError(absl::StrCat("out of memory: ", error.what()));
  }
  if (const auto* torch_error = dynamic_cast<const c10::Error*>(&error)) {
    return absl::InternalError(torch_error->what_without_backtrace());
  }
  return absl::InternalError(error.what());
}

}  // namespace semsam
