// Numbers in 16 and 8 bits, in every instruction set that this processor runs.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include "model/ops/cpu/kernels.h"
#include "tests/model/ops/kernel_sets.h"

namespace semsam::ops::cpu {
namespace {

using StorageKernels = KernelSetTest;

constexpr double kLargestHalf = 65504;

// IEEE 754, without its exceptional numbers.
double ValueOfHalf(uint16_t half) {
  const int exponent = (half >> 10) & 31;
  const int fraction = half & 1023;
  const double magnitude =
      exponent == 0 ? std::ldexp(fraction, -24) : std::ldexp(1024 + fraction, exponent - 25);
  return (half & 0x8000) != 0 ? -magnitude : magnitude;
}

// The number of half precision next to x; even of two as near.
double NearestHalf(double x) {
  const int exponent = std::max(-14, std::ilogb(x));
  const double step = std::ldexp(1.0, exponent - 10);
  const double nearest = std::nearbyint(x / step) * step;
  return std::clamp(nearest, -kLargestHalf, kLargestHalf);
}

std::vector<uint16_t> FiniteHalves() {
  std::vector<uint16_t> halves;
  for (int half = 0; half < 65536; ++half) {
    if (((half >> 10) & 31) != 31) halves.push_back(static_cast<uint16_t>(half));
  }
  return halves;
}

TEST_P(StorageKernels, EveryHalfIsReadAndWrittenExactly) {
  const std::vector<uint16_t> halves = FiniteHalves();
  std::vector<float> values(halves.size(), NAN);
  kernels_->from_half(halves.data(), static_cast<int64_t>(halves.size()), values.data());
  for (size_t i = 0; i < halves.size(); ++i) {
    ASSERT_EQ(values[i], ValueOfHalf(halves[i])) << halves[i];
    ASSERT_EQ(std::signbit(values[i]), (halves[i] & 0x8000) != 0) << halves[i];
  }
  std::vector<uint16_t> back(halves.size());
  ASSERT_TRUE(kernels_->to_half(values.data(), static_cast<int64_t>(values.size()), back.data()));
  EXPECT_EQ(back, halves);
}

TEST_P(StorageKernels, BitsThatNobodyWroteAreFiniteNumbers) {
  std::vector<uint16_t> halves;
  for (int half = 0; half < 65536; ++half) halves.push_back(static_cast<uint16_t>(half));
  std::vector<float> values(halves.size(), NAN);
  kernels_->from_half(halves.data(), static_cast<int64_t>(halves.size()), values.data());
  for (const float value : values) ASSERT_TRUE(std::isfinite(value));
}

TEST_P(StorageKernels, HalvesAreRoundedToNearestEven) {
  std::vector<float> values = Random(50000, 3, 1);
  for (size_t i = 0; i < values.size(); ++i) {
    values[i] = std::ldexp(values[i], static_cast<int>(i % 50) - 32);
  }
  // Ties, and what lies beside them.
  for (const uint16_t half : FiniteHalves()) {
    const double next = ValueOfHalf(static_cast<uint16_t>(half + 1));
    if ((half & 0x7fff) == 0x7bff) continue;  // the largest
    const auto tie = static_cast<float>((ValueOfHalf(half) + next) / 2);
    values.insert(values.end(), {tie, std::nextafter(tie, 1e9f), std::nextafter(tie, -1e9f)});
  }
  for (const float large : {65504.0f, 65519.0f, 65520.0f, 1e9f, 3e38f}) {
    values.insert(values.end(), {large, -large});
  }
  std::vector<uint16_t> halves(values.size());
  ASSERT_TRUE(kernels_->to_half(values.data(), static_cast<int64_t>(values.size()), halves.data()));
  for (size_t i = 0; i < values.size(); ++i) {
    ASSERT_EQ(ValueOfHalf(halves[i]), values[i] == 0 ? 0 : NearestHalf(values[i])) << values[i];
  }
}

TEST_P(StorageKernels, ANumberThatIsNotFiniteIsSeenWhereverItStands) {
  constexpr int64_t kCount = 37;
  for (const float broken : {NAN, INFINITY, -INFINITY}) {
    for (int64_t at = 0; at < kCount; ++at) {
      std::vector<float> values = Random(kCount, 1, 2);
      values[at] = broken;
      std::vector<uint16_t> halves(kCount);
      EXPECT_FALSE(kernels_->to_half(values.data(), kCount, halves.data())) << at;
      for (const ChannelShape& shape : {ChannelShape{.channels = kCount, .inner = 1},
                                        ChannelShape{.channels = 1, .inner = kCount}}) {
        std::vector<float> low(kCount), high(kCount);
        EXPECT_FALSE(kernels_->channel_range(values.data(), 1, shape, low.data(), high.data()));
      }
    }
  }
}

// Rows of channels, and runs of a channel that fill vectors of every set or of none.
std::vector<ChannelShape> Shapes() {
  std::vector<ChannelShape> shapes;
  for (const int64_t inner : {1, 5, 8, 16, 32}) {
    for (const int64_t channels : {1, 3, 50, 64}) shapes.push_back({channels, inner});
  }
  return shapes;
}

constexpr int64_t kOuter = 11;

size_t Count(const ChannelShape& shape) {
  return static_cast<size_t>(kOuter * shape.channels * shape.inner);
}

int64_t ChannelOf(const ChannelShape& shape, size_t i) {
  return static_cast<int64_t>(i) / shape.inner % shape.channels;
}

TEST_P(StorageKernels, RangesAreThoseOfEachChannel) {
  for (const ChannelShape& shape : Shapes()) {
    const std::vector<float> values = Random(Count(shape), 5, 3);
    std::vector<float> expected_low(shape.channels, -0.25f), expected_high(shape.channels, 0.25f);
    std::vector<float> low = expected_low, high = expected_high;
    for (size_t i = 0; i < values.size(); ++i) {
      const int64_t c = ChannelOf(shape, i);
      expected_low[c] = std::min(expected_low[c], values[i]);
      expected_high[c] = std::max(expected_high[c], values[i]);
    }
    ASSERT_TRUE(kernels_->channel_range(values.data(), kOuter, shape, low.data(), high.data()));
    EXPECT_EQ(low, expected_low) << shape.channels << " " << shape.inner;
    EXPECT_EQ(high, expected_high) << shape.channels << " " << shape.inner;
  }
}

TEST_P(StorageKernels, BytesAreTheNearestSteps) {
  for (const ChannelShape& shape : Shapes()) {
    for (const bool is_signed : {true, false}) {
      std::vector<float> values = Random(Count(shape), 4, 4);
      if (!is_signed) {
        for (float& value : values) value = std::abs(value);
      }
      const float steps = is_signed ? 127 : 255;
      std::vector<float> factors, scales;
      for (int64_t c = 0; c < shape.channels; ++c) {
        const float bound = 4 + static_cast<float>(c);
        factors.push_back(steps / bound);
        scales.push_back(bound / steps);
      }
      std::vector<uint8_t> bytes(values.size());
      kernels_->to_bytes(values.data(), kOuter, shape, factors.data(), bytes.data());
      std::vector<float> back(values.size(), NAN);
      if (is_signed) {
        kernels_->from_signed_bytes(reinterpret_cast<const int8_t*>(bytes.data()), kOuter, shape,
                                    scales.data(), back.data());
      } else {
        kernels_->from_unsigned_bytes(bytes.data(), kOuter, shape, scales.data(), back.data());
      }
      for (size_t i = 0; i < values.size(); ++i) {
        const int64_t c = ChannelOf(shape, i);
        ASSERT_NEAR(back[i], values[i], scales[c] * 0.5001) << i;
        const float step = std::nearbyint(values[i] * factors[c]);
        ASSERT_EQ(back[i], step * scales[c]) << i;
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Sets, StorageKernels, ::testing::Range(0, 3));

}  // namespace
}  // namespace semsam::ops::cpu
