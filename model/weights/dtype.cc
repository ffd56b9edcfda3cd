#include "model/weights/dtype.h"

#include <bit>
#include <iterator>

namespace semsam {
namespace {

// In the order of the enumeration.
constexpr DTypeInfo kTable[] = {
    {DType::kFloat32, 4, true, "float32", "F32", "FloatStorage", "<f4"},
    {DType::kFloat16, 2, true, "float16", "F16", "HalfStorage", "<f2"},
    {DType::kBFloat16, 2, true, "bfloat16", "BF16", "BFloat16Storage", nullptr},
    {DType::kFloat64, 8, true, "float64", "F64", "DoubleStorage", "<f8"},
    {DType::kInt64, 8, false, "int64", "I64", "LongStorage", "<i8"},
    {DType::kInt32, 4, false, "int32", "I32", "IntStorage", "<i4"},
    {DType::kInt16, 2, false, "int16", "I16", "ShortStorage", "<i2"},
    {DType::kInt8, 1, false, "int8", "I8", "CharStorage", "|i1"},
    {DType::kUInt8, 1, false, "uint8", "U8", "ByteStorage", "|u1"},
    {DType::kBool, 1, false, "bool", "BOOL", "BoolStorage", "|b1"},
};

constexpr bool TableFollowsEnumeration() {
  for (int i = 0; i < static_cast<int>(std::size(kTable)); ++i) {
    if (static_cast<int>(kTable[i].dtype) != i) return false;
  }
  return true;
}
static_assert(TableFollowsEnumeration());
static_assert(std::endian::native == std::endian::little,
              "every file format here is little-endian and read in place");

}  // namespace

std::span<const DTypeInfo> AllDTypes() { return kTable; }

const DTypeInfo& Info(DType dtype) { return kTable[static_cast<int>(dtype)]; }

}  // namespace semsam
