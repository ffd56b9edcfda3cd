#include "model/torch/catch.h"

#include <gtest/gtest.h>

#include <stdexcept>
#include <string>

#include "model/base/errors.h"

namespace semsam {
namespace {

c10::SourceLocation Here() { return {__func__, __FILE__, static_cast<uint32_t>(__LINE__)}; }

absl::Status OfDevice(int32_t code, const std::string& text) {
  return StatusFromTorch(c10::AcceleratorError(Here(), code, text));
}

TEST(CatchTorch, WhatTheDeviceHasNoMemoryForIsNoFault) {
  const absl::Status status = StatusFromTorch(c10::OutOfMemoryError(Here(), "CUDA out of memory"));
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_FALSE(IsDeviceFault(status));
}

TEST(CatchTorch, WhatEndsTheDevicesContextIsAFault) {
  // Of cudaError: uncorrectable ECC, illegal address, timeout, assert, launch failure, unknown.
  for (const int code : {214, 700, 702, 710, 719, 999}) {
    EXPECT_TRUE(IsDeviceFault(OfDevice(code, "CUDA error: whatever it is called"))) << code;
  }
  for (const char* text : {"an illegal memory access was encountered", "unspecified launch failure",
                           "device-side assert triggered", "uncorrectable ECC error encountered"}) {
    // As older versions throw it.
    const absl::Status status =
        StatusFromTorch(c10::Error(Here(), std::string("CUDA error: ") + text));
    EXPECT_TRUE(IsDeviceFault(status)) << text;
    EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
    EXPECT_NE(status.message().find(text), absl::string_view::npos) << "for the log";
  }
}

TEST(CatchTorch, OtherErrorsAreNone) {
  EXPECT_FALSE(IsDeviceFault(OfDevice(1, "CUDA error: invalid argument")));
  for (const absl::Status& status :
       {StatusFromTorch(c10::Error(Here(), "CUDA error: invalid argument")),
        StatusFromTorch(c10::Error(Here(), "index is an illegal memory access of the caller")),
        StatusFromTorch(std::runtime_error("unspecified launch failure"))}) {
    EXPECT_EQ(status.code(), absl::StatusCode::kInternal) << status;
    EXPECT_FALSE(IsDeviceFault(status)) << status;
  }
}

}  // namespace
}  // namespace semsam
