#include "model/weights/tensor_view.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <limits>

#include "tests/model/weights/test_files.h"

namespace semsam {
namespace {

TEST(TensorView, ReadsEveryTypeAsFloat) {
  EXPECT_EQ(Floats(ViewOf<float>("t", DType::kFloat32, {2}, {1.5f, -2})),
            (std::vector<float>{1.5f, -2}));
  EXPECT_EQ(Floats(ViewOf<uint16_t>("t", DType::kFloat16, {1}, {0x3e00})),
            (std::vector<float>{1.5f}));
  EXPECT_EQ(Floats(ViewOf<uint16_t>("t", DType::kBFloat16, {1}, {0x3fc0})),
            (std::vector<float>{1.5f}));
  EXPECT_EQ(Floats(ViewOf<double>("t", DType::kFloat64, {1}, {0.1})), (std::vector<float>{0.1f}));
  EXPECT_EQ(Floats(ViewOf<int64_t>("t", DType::kInt64, {1}, {-7})), (std::vector<float>{-7}));
  EXPECT_EQ(Floats(ViewOf<int32_t>("t", DType::kInt32, {1}, {-7})), (std::vector<float>{-7}));
  EXPECT_EQ(Floats(ViewOf<int16_t>("t", DType::kInt16, {1}, {-7})), (std::vector<float>{-7}));
  EXPECT_EQ(Floats(ViewOf<int8_t>("t", DType::kInt8, {1}, {-7})), (std::vector<float>{-7}));
  EXPECT_EQ(Floats(ViewOf<uint8_t>("t", DType::kUInt8, {1}, {200})), (std::vector<float>{200}));
  EXPECT_EQ(Floats(ViewOf<uint8_t>("t", DType::kBool, {2}, {1, 0})), (std::vector<float>{1, 0}));
}

TEST(TensorView, StridesAreFollowedInEveryDimension) {
  std::vector<float> values(24);
  for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i);
  TensorView tensor = ViewOf("t", DType::kFloat32, {2, 3, 4}, values);
  tensor.strides = {1, 8, 2};  // [i, j, k] -> i + 8 j + 2 k
  EXPECT_FALSE(IsContiguous(tensor));
  const std::vector<float> floats = Floats(tensor);
  for (int i = 0; i < 2; ++i) {
    for (int j = 0; j < 3; ++j) {
      for (int k = 0; k < 4; ++k) {
        EXPECT_EQ(floats[static_cast<size_t>(i * 12 + j * 4 + k)], i + 8 * j + 2 * k);
      }
    }
  }
  std::vector<float> packed(24);
  ASSERT_TRUE(CopyContiguous(tensor, std::as_writable_bytes(std::span(packed))).ok());
  EXPECT_EQ(packed, floats);
}

TEST(TensorView, SizesOfOneDoNotBreakContiguity) {
  const std::vector<float> values(6);
  TensorView tensor = ViewOf("t", DType::kFloat32, {2, 1, 3}, values);
  tensor.strides = {3, 77, 1};
  EXPECT_TRUE(IsContiguous(tensor));
  EXPECT_TRUE(CheckTensor(tensor).ok());
}

TEST(TensorView, DataNeedNotBeAligned) {
  std::vector<std::byte> bytes(1 + 2 * sizeof(float));
  const float values[] = {1.25f, -3};
  std::memcpy(bytes.data() + 1, values, sizeof(values));
  TensorView tensor{.name = "t", .shape = {2}};
  tensor.data = std::span<const std::byte>(bytes).subspan(1);
  EXPECT_EQ(Floats(tensor), (std::vector<float>{1.25f, -3}));
}

TEST(TensorView, ScalarsAndEmptyTensors) {
  EXPECT_EQ(Floats(ViewOf<float>("t", DType::kFloat32, {}, {4})), (std::vector<float>{4}));
  TensorView empty{.name = "t", .shape = {0, 3}, .strides = {3, 1}};
  EXPECT_TRUE(CheckTensor(empty).ok());
  EXPECT_EQ(Floats(empty), std::vector<float>{});
}

TEST(TensorView, UnsoundTensorsAreNamed) {
  const std::vector<float> values(4);
  const auto with = [&](std::vector<int64_t> shape, std::vector<int64_t> strides) {
    TensorView tensor = ViewOf("some.weight", DType::kFloat32, std::move(shape), values);
    tensor.strides = std::move(strides);
    return CheckTensor(tensor);
  };
  constexpr int64_t kHuge = std::numeric_limits<int64_t>::max();
  const std::pair<absl::Status, const char*> cases[] = {
      {with({5}, {}), "needs 5 elements"},
      {with({2, 2}, {3, 1}), "needs 5 elements"},
      {with({-1}, {}), "negative size"},
      {with({kHuge, kHuge}, {}), "too large"},
      {with({kHuge, kHuge, 0}, {}), "too large"},
      {with({kHuge / 2}, {}), "too large"},
      {with({2}, {-1}), "negative stride"},
      {with({2, 2}, {kHuge, kHuge}), "too large"},
      {with({2, 2}, {1}), "one stride"},
      {with(std::vector<int64_t>(17, 1), {}), "17 dimensions"},
  };
  for (const auto& [status, error] : cases) {
    EXPECT_TRUE(Contains(status, "tensor some.weight")) << status;
    EXPECT_TRUE(Contains(status, error)) << status;
  }
}

TEST(TensorView, OutputOfAnotherSizeIsRefused) {
  const TensorView tensor = ViewOf<float>("t", DType::kFloat32, {2}, {1, 2});
  std::vector<float> three(3);
  EXPECT_FALSE(CopyToFloat32(tensor, three).ok());
  EXPECT_FALSE(CopyContiguous(tensor, std::as_writable_bytes(std::span(three))).ok());
  EXPECT_FALSE(CopyAs(tensor, DType::kFloat16, std::as_writable_bytes(std::span(three))).ok());
}

TEST(CopyAs, ConvertsBetweenFloatTypesOnly) {
  const std::vector<float> values = {1.5f, -0.25f};
  const TensorView tensor = ViewOf("t", DType::kFloat32, {2}, values);
  std::vector<uint16_t> halves(2);
  ASSERT_TRUE(CopyAs(tensor, DType::kFloat16, std::as_writable_bytes(std::span(halves))).ok());
  EXPECT_EQ(halves, (std::vector<uint16_t>{0x3e00, 0xb400}));
  ASSERT_TRUE(CopyAs(tensor, DType::kBFloat16, std::as_writable_bytes(std::span(halves))).ok());
  EXPECT_EQ(halves, (std::vector<uint16_t>{0x3fc0, 0xbe80}));
  std::vector<double> doubles(2);
  ASSERT_TRUE(CopyAs(tensor, DType::kFloat64, std::as_writable_bytes(std::span(doubles))).ok());
  EXPECT_EQ(doubles, (std::vector<double>{1.5, -0.25}));
  std::vector<int64_t> integers(2);
  EXPECT_TRUE(Contains(CopyAs(tensor, DType::kInt64, std::as_writable_bytes(std::span(integers))),
                       "no conversion from float32 to int64"));
}

TEST(CopyAs, RefusesWhatBecomesInfinite) {
  const std::vector<float> values = {1, 70000.0f};
  const TensorView tensor = ViewOf("big", DType::kFloat32, {2}, values);
  std::vector<uint16_t> halves(2);
  const auto out = std::as_writable_bytes(std::span(halves));
  EXPECT_TRUE(Contains(CopyAs(tensor, DType::kFloat16, out), "tensor big holds 70000"));
  EXPECT_TRUE(CopyAs(tensor, DType::kBFloat16, out).ok());
}

}  // namespace
}  // namespace semsam
