#include "model/net/load_model.h"

#include <c10/core/InferenceMode.h>

#include <cstdint>
#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "model/base/errors.h"
#include "model/base/status_macros.h"
#include "model/torch/catch.h"

namespace semsam {
namespace {

bool CanAlias(const TensorView& view) {
  return view.dtype == DType::kFloat32 && IsContiguous(view) &&
         reinterpret_cast<uintptr_t>(view.data.data()) % alignof(float) == 0;
}

absl::StatusOr<at::Tensor> CopyTensor(const TensorView& view) {
  at::Tensor tensor = at::empty(view.shape, at::kFloat);
  SEMSAM_RETURN_IF_ERROR(
      CopyToFloat32(view, {tensor.mutable_data_ptr<float>(), static_cast<size_t>(tensor.numel())}));
  return tensor;
}

// A view of the mapped file where the type allows it, else a converted copy.
absl::StatusOr<at::Tensor> ToTensor(const TensorView& view) {
  if (CanAlias(view)) {
    void* data = const_cast<std::byte*>(view.data.data());
    return at::from_blob(data, view.shape, at::kFloat);
  }
  return CopyTensor(view);
}

absl::StatusOr<TensorMap> LoadTensors(const WeightMap& weights, at::Device device) {
  std::map<std::string, at::Tensor> tensors;
  for (const auto& [name, view] : weights) {
    SEMSAM_ASSIGN_OR_RETURN(const at::Tensor tensor, ToTensor(view));
    tensors.emplace(name, tensor.to(device));
  }
  return TensorMap(std::move(tensors));
}

}  // namespace

absl::StatusOr<std::map<std::string, at::Tensor>> CopyWeights(const WeightMap& weights,
                                                              at::Device device) {
  return CatchTorch([&]() -> absl::StatusOr<std::map<std::string, at::Tensor>> {
    std::map<std::string, at::Tensor> tensors;
    for (const auto& [name, view] : weights) {
      SEMSAM_ASSIGN_OR_RETURN(const at::Tensor tensor, CopyTensor(view));
      tensors.emplace(name, tensor.to(device));
    }
    return tensors;
  });
}

absl::StatusOr<at::Device> ParseDevice(const std::string& device) {
  auto parsed = CatchTorch([&] { return at::Device(device); });
  if (!parsed.ok() || !(parsed->is_cpu() || parsed->is_cuda())) {
    return InvalidField("device", absl::StrCat("\"", device, "\" is not cpu, cuda or cuda:N"));
  }
  if (parsed->is_cuda()) {
    const int count = at::detail::getCUDAHooks().deviceCount();
    if (!at::hasCUDA() || count == 0) {
      return absl::FailedPreconditionError(
          "device: no CUDA device (is this build linked against LibTorch's CUDA libraries?)");
    }
    if (!parsed->has_index()) parsed = at::Device(at::kCUDA, 0);
    if (parsed->index() >= count) {
      return InvalidField("device", absl::StrCat("this machine has ", count, " CUDA devices"));
    }
  }
  return *parsed;
}

absl::StatusOr<LoadedModel> LoadModel(const std::string& weights, at::Device device,
                                      ops::Path path) {
  LoadedModel model;
  SEMSAM_ASSIGN_OR_RETURN(model.file, ModelFile::Open(weights));
  SEMSAM_RETURN_IF_ERROR(Validate(model.file->config()));
  const ModelConfig& config = model.file->config();
  SEMSAM_RETURN_IF_ERROR(CatchTorch([&]() -> absl::Status {
    c10::InferenceMode inference;
    SEMSAM_ASSIGN_OR_RETURN(const TensorMap tensors, LoadTensors(model.file->weights(), device));
    model.network = std::make_unique<SemanticSam>(config, tensors, path);
    if (config.text) {
      SEMSAM_ASSIGN_OR_RETURN(model.text, TextEmbedder::Create(*config.text, tensors, path));
    }
    return absl::OkStatus();
  }));
  return model;
}

}  // namespace semsam
