#include "model/weights/tensor_view.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <limits>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "model/base/float16.h"
#include "model/base/status_macros.h"
#include "model/weights/shown_name.h"

namespace semsam {
namespace {

constexpr int64_t kMax = std::numeric_limits<int64_t>::max();

// Elements from the first to the last one that the strides reach, inclusive.
absl::StatusOr<int64_t> CheckedReach(const TensorView& tensor) {
  int64_t last = 0;
  for (size_t i = 0; i < tensor.shape.size(); ++i) {
    const int64_t steps = tensor.shape[i] - 1;
    const int64_t stride = tensor.strides[i];
    if (stride < 0) return absl::InvalidArgumentError("has a negative stride");
    if (steps > 0 && stride > (kMax - 1 - last) / steps) {
      return absl::InvalidArgumentError("has strides too large to count");
    }
    last += steps * stride;
  }
  return last + 1;
}

absl::Status CheckUnnamed(const TensorView& tensor) {
  if (tensor.shape.size() > kMaxTensorRank) {
    return absl::InvalidArgumentError(
        absl::StrCat("has ", tensor.shape.size(), " dimensions; at most ", kMaxTensorRank));
  }
  SEMSAM_ASSIGN_OR_RETURN(const int64_t packed_bytes, CheckedBytes(tensor.shape, tensor.dtype));
  if (packed_bytes == 0) return absl::OkStatus();
  int64_t reach = packed_bytes / ItemBytes(tensor.dtype);
  if (!tensor.strides.empty()) {
    if (tensor.strides.size() != tensor.shape.size()) {
      return absl::InvalidArgumentError("has not one stride a dimension");
    }
    SEMSAM_ASSIGN_OR_RETURN(reach, CheckedReach(tensor));
  }
  if (static_cast<uint64_t>(reach) > tensor.data.size() / ItemBytes(tensor.dtype)) {
    return absl::InvalidArgumentError(
        absl::StrCat("of shape ", ShapeText(tensor.shape), " needs ", reach, " elements of ",
                     DTypeName(tensor.dtype), ", its data holds ", tensor.data.size(), " bytes"));
  }
  return absl::OkStatus();
}

template <typename T>
T Load(const std::byte* from) {
  T value;
  std::memcpy(&value, from, sizeof(T));
  return value;
}

// Calls row(source, step_bytes, first, count) for each innermost row, in
// row-major order; `first` counts the elements before it.
template <typename Row>
void ForEachRow(const TensorView& tensor, const Row& row) {
  const int64_t elements = Elements(tensor);
  const int64_t item = ItemBytes(tensor.dtype);
  if (elements == 0) return;
  if (IsContiguous(tensor)) return row(tensor.data.data(), item, int64_t{0}, elements);

  const int inner = static_cast<int>(tensor.shape.size()) - 1;
  const int64_t count = tensor.shape[inner];
  std::array<int64_t, kMaxTensorRank> index{};
  int64_t offset = 0;  // elements
  for (int64_t first = 0; first < elements; first += count) {
    row(tensor.data.data() + offset * item, tensor.strides[inner] * item, first, count);
    for (int d = inner - 1; d >= 0; --d) {
      offset += tensor.strides[d];
      if (++index[d] < tensor.shape[d]) break;
      offset -= tensor.strides[d] * tensor.shape[d];
      index[d] = 0;
    }
  }
}

template <typename T, typename Convert>
void CopyRows(const TensorView& tensor, std::span<float> out, const Convert& convert) {
  ForEachRow(tensor, [&](const std::byte* from, int64_t step, int64_t first, int64_t count) {
    float* to = out.data() + first;
    for (int64_t i = 0; i < count; ++i) to[i] = convert(Load<T>(from + i * step));
  });
}

absl::Status CheckOutput(const TensorView& tensor, size_t out, int64_t expected) {
  if (out == static_cast<size_t>(expected)) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("tensor ", ShownName(tensor.name), ": room for ",
                                                 out, " where ", expected, " are needed"));
}

bool FitsAfterRounding(float value, DType dtype) {
  if (!std::isfinite(value)) return true;
  if (dtype == DType::kFloat16) return std::isfinite(HalfToFloat(FloatToHalf(value)));
  if (dtype == DType::kBFloat16) return std::isfinite(BFloat16ToFloat(FloatToBFloat16(value)));
  return true;
}

void StoreFloat(float value, DType dtype, std::byte* to) {
  if (dtype == DType::kFloat32) {
    std::memcpy(to, &value, sizeof(value));
  } else if (dtype == DType::kFloat64) {
    const double wide = value;
    std::memcpy(to, &wide, sizeof(wide));
  } else {
    const uint16_t narrow = dtype == DType::kFloat16 ? FloatToHalf(value) : FloatToBFloat16(value);
    std::memcpy(to, &narrow, sizeof(narrow));
  }
}

}  // namespace

absl::StatusOr<int64_t> CheckedElements(std::span<const int64_t> shape) {
  // Before the product: [huge, huge, 0] is as unsound as [huge, huge].
  int64_t product = 1;
  bool empty = false;
  for (const int64_t size : shape) {
    if (size < 0) return absl::InvalidArgumentError("has a negative size");
    if (size == 0) {
      empty = true;
    } else if (product > kMax / size) {
      return absl::InvalidArgumentError(
          absl::StrCat("of shape ", ShapeText(shape), " is too large to count"));
    } else {
      product *= size;
    }
  }
  return empty ? 0 : product;
}

absl::StatusOr<int64_t> CheckedBytes(std::span<const int64_t> shape, DType dtype) {
  SEMSAM_ASSIGN_OR_RETURN(const int64_t elements, CheckedElements(shape));
  if (elements > kMax / ItemBytes(dtype)) {
    return absl::InvalidArgumentError(
        absl::StrCat("of shape ", ShapeText(shape), " is too large to count"));
  }
  return elements * ItemBytes(dtype);
}

absl::Status CheckTensor(const TensorView& tensor) {
  const absl::Status status = CheckUnnamed(tensor);
  if (status.ok()) return status;
  return absl::Status(status.code(),
                      absl::StrCat("tensor ", ShownName(tensor.name), " ", status.message()));
}

int64_t Elements(const TensorView& tensor) {
  int64_t product = 1;
  for (const int64_t size : tensor.shape) product *= size;
  return product;
}

int64_t SizeBytes(const TensorView& tensor) { return Elements(tensor) * ItemBytes(tensor.dtype); }

bool IsContiguous(const TensorView& tensor) {
  if (tensor.strides.empty()) return true;
  int64_t expected = 1;
  for (size_t i = tensor.shape.size(); i-- > 0;) {
    // The stride of a dimension of size one is never taken.
    if (tensor.shape[i] != 1 && tensor.strides[i] != expected) return false;
    expected *= tensor.shape[i];
  }
  return true;
}

std::string ShapeText(std::span<const int64_t> shape) {
  return absl::StrCat("[", absl::StrJoin(shape.begin(), shape.end(), ","), "]");
}

absl::Status CopyContiguous(const TensorView& tensor, std::span<std::byte> out) {
  SEMSAM_RETURN_IF_ERROR(CheckTensor(tensor));
  SEMSAM_RETURN_IF_ERROR(CheckOutput(tensor, out.size(), SizeBytes(tensor)));
  const int64_t item = ItemBytes(tensor.dtype);
  ForEachRow(tensor, [&](const std::byte* from, int64_t step, int64_t first, int64_t count) {
    std::byte* to = out.data() + first * item;
    if (step == item) {
      std::memcpy(to, from, static_cast<size_t>(count * item));
      return;
    }
    for (int64_t i = 0; i < count; ++i) std::memcpy(to + i * item, from + i * step, item);
  });
  return absl::OkStatus();
}

absl::Status CopyToFloat32(const TensorView& tensor, std::span<float> out) {
  SEMSAM_RETURN_IF_ERROR(CheckTensor(tensor));
  SEMSAM_RETURN_IF_ERROR(CheckOutput(tensor, out.size(), Elements(tensor)));
  const auto cast = [](auto value) { return static_cast<float>(value); };
  switch (tensor.dtype) {
    case DType::kFloat32:
      CopyRows<float>(tensor, out, cast);
      break;
    case DType::kFloat16:
      CopyRows<uint16_t>(tensor, out, HalfToFloat);
      break;
    case DType::kBFloat16:
      CopyRows<uint16_t>(tensor, out, BFloat16ToFloat);
      break;
    case DType::kFloat64:
      CopyRows<double>(tensor, out, cast);
      break;
    case DType::kInt64:
      CopyRows<int64_t>(tensor, out, cast);
      break;
    case DType::kInt32:
      CopyRows<int32_t>(tensor, out, cast);
      break;
    case DType::kInt16:
      CopyRows<int16_t>(tensor, out, cast);
      break;
    case DType::kInt8:
      CopyRows<int8_t>(tensor, out, cast);
      break;
    case DType::kUInt8:
      CopyRows<uint8_t>(tensor, out, cast);
      break;
    case DType::kBool:
      CopyRows<uint8_t>(tensor, out, [](uint8_t value) { return value != 0 ? 1.0f : 0.0f; });
      break;
  }
  return absl::OkStatus();
}

absl::Status CopyAs(const TensorView& tensor, DType dtype, std::span<std::byte> out) {
  if (dtype == tensor.dtype) return CopyContiguous(tensor, out);
  if (!IsFloat(tensor.dtype) || !IsFloat(dtype)) {
    return absl::InvalidArgumentError(absl::StrCat("tensor ", ShownName(tensor.name),
                                                   ": no conversion from ", DTypeName(tensor.dtype),
                                                   " to ", DTypeName(dtype)));
  }
  SEMSAM_RETURN_IF_ERROR(CheckTensor(tensor));
  const int64_t elements = Elements(tensor);
  SEMSAM_ASSIGN_OR_RETURN(const int64_t bytes, CheckedBytes(tensor.shape, dtype));
  SEMSAM_RETURN_IF_ERROR(CheckOutput(tensor, out.size(), bytes));
  std::vector<float> values(static_cast<size_t>(elements));
  SEMSAM_RETURN_IF_ERROR(CopyToFloat32(tensor, std::span<float>(values)));
  const int64_t item = ItemBytes(dtype);
  for (int64_t i = 0; i < elements; ++i) {
    if (!FitsAfterRounding(values[i], dtype)) {
      return absl::InvalidArgumentError(absl::StrCat("tensor ", ShownName(tensor.name), " holds ",
                                                     values[i], ", too large for ",
                                                     DTypeName(dtype)));
    }
    StoreFloat(values[i], dtype, out.data() + i * item);
  }
  return absl::OkStatus();
}

}  // namespace semsam
