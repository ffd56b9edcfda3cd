// A named tensor that lies in somebody else's memory: a mapped file or a buffer.
//
// Nothing is trusted before CheckTensor: after it every size fits int64_t and
// every element lies inside `data`. Data need not be aligned.
//
// Thread-safety: plain data and free functions.
#ifndef SEMSAM_MODEL_WEIGHTS_TENSOR_VIEW_H_
#define SEMSAM_MODEL_WEIGHTS_TENSOR_VIEW_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "model/weights/dtype.h"

namespace semsam {

inline constexpr size_t kMaxTensorRank = 16;

struct TensorView {
  std::string name;
  DType dtype = DType::kFloat32;
  std::vector<int64_t> shape;       // empty: a scalar
  std::vector<int64_t> strides;     // in elements, >= 0; empty: contiguous, row-major
  std::span<const std::byte> data;  // starts at element 0
};

// Tensors and whatever keeps their memory alive.
struct TensorSet {
  std::vector<TensorView> tensors;
  std::vector<std::shared_ptr<const void>> owners;
};

// Product of the sizes, and the same in bytes; INVALID_ARGUMENT where a size is
// negative or the product does not fit.
absl::StatusOr<int64_t> CheckedElements(std::span<const int64_t> shape);
absl::StatusOr<int64_t> CheckedBytes(std::span<const int64_t> shape, DType dtype);

// OK when rank, sizes and strides are sound and the data covers every element.
// The error names the tensor.
absl::Status CheckTensor(const TensorView& tensor);

// Of a tensor that CheckTensor accepts.
int64_t Elements(const TensorView& tensor);
int64_t SizeBytes(const TensorView& tensor);  // of its elements, packed
bool IsContiguous(const TensorView& tensor);

// "[96,3,4,4]"; "[]" for a scalar.
std::string ShapeText(std::span<const int64_t> shape);

// The elements in row-major order, unchanged or converted. `out` must hold
// exactly the elements. Integers and booleans become the nearest float.
absl::Status CopyContiguous(const TensorView& tensor, std::span<std::byte> out);
absl::Status CopyToFloat32(const TensorView& tensor, std::span<float> out);

// The elements as `dtype`: float types into each other (by way of float32), any
// other type only into itself. INVALID_ARGUMENT when a finite value does not
// fit the smaller type.
absl::Status CopyAs(const TensorView& tensor, DType dtype, std::span<std::byte> out);

}  // namespace semsam

#endif  // SEMSAM_MODEL_WEIGHTS_TENSOR_VIEW_H_
