#include "model/training/checkpoint.h"

#include <array>
#include <cstdint>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <type_traits>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "model/base/errors.h"
#include "model/base/status_macros.h"
#include "model/torch/catch.h"
#include "model/weights/mapped_file.h"
#include "model/weights/safetensors.h"

namespace semsam {
namespace {

constexpr char kFormatKey[] = "format";
constexpr char kFormat[] = "semsam-checkpoint-1";
constexpr char kProgressKey[] = "progress";

constexpr std::array<std::pair<DType, at::ScalarType>, 7> kTypes = {{
    {DType::kFloat32, at::kFloat},
    {DType::kFloat64, at::kDouble},
    {DType::kFloat16, at::kHalf},
    {DType::kBFloat16, at::kBFloat16},
    {DType::kInt64, at::kLong},
    {DType::kUInt8, at::kByte},
    {DType::kBool, at::kBool},
}};

absl::Status Broken(absl::string_view what) { return absl::InvalidArgumentError(what); }

std::optional<DType> TypeOf(const at::Tensor& tensor) {
  for (const auto& [type, scalar] : kTypes) {
    if (scalar == tensor.scalar_type()) return type;
  }
  return std::nullopt;
}

absl::StatusOr<at::Tensor> ToTensor(const TensorView& view) {
  for (const auto& [type, scalar] : kTypes) {
    if (type != view.dtype) continue;
    at::Tensor tensor = at::empty(view.shape, scalar);
    SEMSAM_RETURN_IF_ERROR(CopyContiguous(
        view, {static_cast<std::byte*>(tensor.mutable_data_ptr()), tensor.nbytes()}));
    return tensor;
  }
  return Broken(absl::StrCat(view.name, " has type ", DTypeName(view.dtype)));
}

std::string ProgressText(const Checkpoint& checkpoint) {
  const nlohmann::json progress = {{"counters", checkpoint.counters},
                                   {"random", checkpoint.random},
                                   {"recipe", checkpoint.recipe}};
  return progress.dump(/*indent=*/-1, ' ', /*ensure_ascii=*/true,
                       nlohmann::json::error_handler_t::replace);
}

// Members of the object `from` whose values are integers that T holds.
template <typename T>
absl::Status ReadIntegers(const nlohmann::json& from, const char* name,
                          std::map<std::string, T>& to) {
  const auto object = from.find(name);
  if (object == from.end() || !object->is_object()) {
    return Broken(absl::StrCat(kProgressKey, ": no ", name));
  }
  for (auto it = object->begin(); it != object->end(); ++it) {
    const nlohmann::json& value = *it;
    const bool small = !value.is_number_unsigned() || value.get<uint64_t>() <= INT64_MAX;
    const bool fits =
        std::is_signed_v<T> ? value.is_number_integer() && small : value.is_number_unsigned();
    if (!fits) {
      return Broken(absl::StrCat(kProgressKey, ": ", name, ".", it.key(), " is no integer"));
    }
    to[it.key()] = value.get<T>();
  }
  return absl::OkStatus();
}

absl::Status ReadProgress(const Metadata& metadata, Checkpoint& checkpoint) {
  const auto format = metadata.find(kFormatKey);
  const auto text = metadata.find(kProgressKey);
  if (format == metadata.end() || format->second != kFormat || text == metadata.end()) {
    return Broken("it is no checkpoint of a training");
  }
  const nlohmann::json progress =
      nlohmann::json::parse(text->second, nullptr, /*allow_exceptions=*/false);
  if (!progress.is_object()) return Broken(absl::StrCat(kProgressKey, ": no JSON object"));
  SEMSAM_RETURN_IF_ERROR(ReadIntegers(progress, "counters", checkpoint.counters));
  SEMSAM_RETURN_IF_ERROR(ReadIntegers(progress, "random", checkpoint.random));
  const auto recipe = progress.find("recipe");
  if (recipe == progress.end() || !recipe->is_string()) {
    return Broken(absl::StrCat(kProgressKey, ": no recipe"));
  }
  checkpoint.recipe = recipe->get<std::string>();
  return absl::OkStatus();
}

absl::StatusOr<Checkpoint> Parse(std::span<const std::byte> bytes) {
  SEMSAM_ASSIGN_OR_RETURN(const SafetensorsFile file, ParseSafetensors(bytes));
  Checkpoint checkpoint;
  SEMSAM_RETURN_IF_ERROR(ReadProgress(file.metadata, checkpoint));
  for (const TensorView& view : file.tensors) {
    SEMSAM_ASSIGN_OR_RETURN(checkpoint.tensors[view.name], ToTensor(view));
  }
  return checkpoint;
}

}  // namespace

absl::Status SaveCheckpoint(const std::string& path, const Checkpoint& checkpoint) {
  return CatchTorch([&]() -> absl::Status {
    std::vector<at::Tensor> owners;
    std::vector<TensorView> views;
    for (const auto& [name, tensor] : checkpoint.tensors) {
      const std::optional<DType> type = TypeOf(tensor);
      if (!type) return absl::InvalidArgumentError(absl::StrCat(path, ": type of ", name));
      owners.push_back(tensor.detach().to(at::kCPU).contiguous());
      const at::Tensor& packed = owners.back();
      views.push_back(
          {.name = name,
           .dtype = *type,
           .shape = packed.sizes().vec(),
           .strides = {},
           .data = {static_cast<const std::byte*>(packed.const_data_ptr()), packed.nbytes()}});
    }
    const Metadata metadata = {{kFormatKey, kFormat}, {kProgressKey, ProgressText(checkpoint)}};
    return WriteSafetensors(path, views, metadata);
  });
}

absl::StatusOr<Checkpoint> LoadCheckpoint(const std::string& path) {
  SEMSAM_ASSIGN_OR_RETURN(const std::shared_ptr<const MappedFile> file, MappedFile::Open(path));
  absl::StatusOr<Checkpoint> checkpoint = CatchTorch([&] { return Parse(file->bytes()); });
  if (!checkpoint.ok()) return Annotate(checkpoint.status(), path);
  return checkpoint;
}

}  // namespace semsam
