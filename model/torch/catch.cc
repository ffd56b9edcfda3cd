#include "model/torch/catch.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "model/base/errors.h"

namespace semsam {
namespace {

// Those of cudaError after which every call of the process fails (driver_types.h, "must be
// terminated and relaunched"): uncorrectable ECC and NVLink, illegal address, timeout,
// assert, hardware stack, illegal instruction, misaligned address, address space, program
// counter, launch failure, and the unknown.
constexpr std::array<int32_t, 12> kFatalCodes = {214, 220, 700, 702, 710, 714,
                                                 715, 716, 717, 718, 719, 999};

// Their texts: what throws a plain c10::Error gives no number.
constexpr std::array<const char*, 9> kFatalTexts = {
    "illegal memory access", "unspecified launch failure", "device-side assert",
    "uncorrectable",         "launch timed out",           "hardware stack error",
    "illegal instruction",   "misaligned address",         "unknown error"};

bool IsFatal(const c10::Error& error) {
  if (const auto* device = dynamic_cast<const c10::AcceleratorError*>(&error)) {
    return std::count(kFatalCodes.begin(), kFatalCodes.end(), device->get_error_code()) > 0;
  }
  const std::string text = error.what_without_backtrace();
  return absl::StrContains(text, "CUDA error:") &&
         std::any_of(kFatalTexts.begin(), kFatalTexts.end(),
                     [&text](const char* fatal) { return absl::StrContains(text, fatal); });
}

}  // namespace

absl::Status StatusFromTorch(const std::exception& error) {
  if (dynamic_cast<const c10::OutOfMemoryError*>(&error) != nullptr ||
      dynamic_cast<const std::bad_alloc*>(&error) != nullptr) {
    return absl::ResourceExhaustedError(absl::StrCat("out of memory: ", error.what()));
  }
  if (const auto* torch_error = dynamic_cast<const c10::Error*>(&error)) {
    if (IsFatal(*torch_error)) return DeviceFault(torch_error->what_without_backtrace());
    return absl::InternalError(torch_error->what_without_backtrace());
  }
  return absl::InternalError(error.what());
}

}  // namespace semsam
