// NumPy's .npy files, format 1.0: little-endian, C order.
//
// Thread-safety: free functions, plain data.
#ifndef SEMSAM_MODEL_WEIGHTS_NPY_H_
#define SEMSAM_MODEL_WEIGHTS_NPY_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "model/weights/dtype.h"
#include "model/weights/tensor_view.h"

namespace semsam {

struct NpyArray {
  DType dtype = DType::kFloat32;
  std::vector<int64_t> shape;
  std::vector<std::byte> data;  // aligned for every element type

  // Elements as T, which must be the C++ type of `dtype` (uint8_t for bool).
  template <typename T>
  std::span<const T> values() const {
    return {reinterpret_cast<const T*>(data.data()), data.size() / sizeof(T)};
  }
};

// INVALID_ARGUMENT for other versions, big-endian or Fortran-ordered arrays, a
// type that DType has not, or data that is shorter or longer than the shape says.
absl::StatusOr<NpyArray> ParseNpy(std::span<const std::byte> bytes);
absl::StatusOr<NpyArray> ReadNpy(const std::string& path);

// Writes through a temporary file. INVALID_ARGUMENT for bfloat16, which NumPy
// has not. The tensor's name is not stored.
absl::Status WriteNpy(const std::string& path, const TensorView& tensor);
absl::Status WriteNpy(const std::string& path, std::span<const int64_t> shape,
                      std::span<const float> values);

}  // namespace semsam

#endif  // SEMSAM_MODEL_WEIGHTS_NPY_H_
