// Element types of stored tensors, and the exact conversions between the
// floating-point ones.
//
// Thread-safe: free functions over constants.
#ifndef SEMSAM_MODEL_WEIGHTS_DTYPE_H_
#define SEMSAM_MODEL_WEIGHTS_DTYPE_H_

#include <cstdint>
#include <span>

namespace semsam {

enum class DType : uint8_t {
  kFloat32,
  kFloat16,   // IEEE 754 binary16
  kBFloat16,  // upper half of a binary32
  kFloat64,
  kInt64,
  kInt32,
  kInt16,
  kInt8,
  kUInt8,
  kBool,  // one byte, 0 or 1
};

// What one element type is called in each file format.
struct DTypeInfo {
  DType dtype;
  int bytes;  // size of one element
  bool is_float;
  const char* name;           // "float32"; also the manifests' word
  const char* safetensors;    // "F32"
  const char* torch_storage;  // "FloatStorage"
  const char* npy;            // "<f4"; null: NumPy has none
};

std::span<const DTypeInfo> AllDTypes();
const DTypeInfo& Info(DType dtype);

inline int ItemBytes(DType dtype) { return Info(dtype).bytes; }
inline const char* DTypeName(DType dtype) { return Info(dtype).name; }
inline bool IsFloat(DType dtype) { return Info(dtype).is_float; }

}  // namespace semsam

#endif  // SEMSAM_MODEL_WEIGHTS_DTYPE_H_
