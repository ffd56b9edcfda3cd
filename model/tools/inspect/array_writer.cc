#include "model/tools/inspect/array_writer.h"

#include <cstddef>

#include "absl/strings/str_cat.h"
#include "model/base/status_macros.h"
#include "model/weights/npy.h"

namespace semsam {
namespace {

struct Stored {
  at::ScalarType type;
  DType dtype;
};

Stored StoredAs(at::ScalarType type) {
  if (type == at::kByte) return {at::kByte, DType::kUInt8};
  if (type == at::kInt || type == at::kLong) return {at::kInt, DType::kInt32};
  return {at::kFloat, DType::kFloat32};
}

}  // namespace

absl::Status ArrayWriter::Write(const std::string& name, const at::Tensor& tensor) {
  const Stored stored = StoredAs(tensor.scalar_type());
  const at::Tensor values = tensor.to(at::kCPU, stored.type).contiguous();
  const TensorView view = {
      .name = name,
      .dtype = stored.dtype,
      .shape = values.sizes().vec(),
      .strides = {},
      .data = {static_cast<const std::byte*>(values.const_data_ptr()), values.nbytes()}};
  SEMSAM_RETURN_IF_ERROR(WriteNpy(absl::StrCat(folder_, "/", name, ".npy"), view));
  out_ << name << ".npy " << values.sizes() << "\n";
  return absl::OkStatus();
}

}  // namespace semsam
