// Text encoders on disk.
#include <memory>
#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/str_cat.h"
#include "model/base/errors.h"
#include "model/base/status_macros.h"
#include "model/torch/catch.h"
#include "model/training/text_distillation.h"
#include "model/training/text_start.h"
#include "model/weights/mapped_file.h"
#include "model/weights/model_file.h"
#include "model/weights/safetensors.h"
#include "model/weights/weight_table.h"

namespace semsam {
namespace {

constexpr char kTextKey[] = "semsam.text";
constexpr char kLicense[] = "Apache-2.0 AND LicenseRef-WordNet-3.0";
constexpr char kSource[] =
    "distilled from all-MiniLM-L6-v2 (Apache-2.0) on names from WordNet 3.0 and the vocabulary of "
    "CLIP (MIT)";

std::string TextJson(const ModelConfig& config) {
  const TextConfig& text = *config.text;
  const nlohmann::ordered_json json = {{"width", text.width},
                                       {"layers", text.layers},
                                       {"heads", text.heads},
                                       {"context", text.context},
                                       {"vocabulary_size", text.vocabulary_size},
                                       {"mlp_ratio", text.mlp_ratio},
                                       {"token_rank", text.token_rank},
                                       {"text_dim", config.decoder.text_dim}};
  return json.dump();
}

absl::StatusOr<NamedTensors> Parse(std::span<const std::byte> bytes, const ModelConfig& config) {
  SEMSAM_ASSIGN_OR_RETURN(const SafetensorsFile file, ParseSafetensors(bytes));
  std::map<std::string, const TensorView*> found;
  for (const TensorView& view : file.tensors) found[view.name] = &view;
  std::map<std::string, std::vector<int64_t>> shapes;
  for (const WeightSpec& spec : WeightTable(config)) shapes[spec.name] = spec.shape;
  NamedTensors weights;
  for (const std::string& name : TextWeightNames(config)) {
    const auto it = found.find(name);
    if (it == found.end()) return absl::InvalidArgumentError(absl::StrCat(name, " is missing"));
    const TensorView& view = *it->second;
    if (view.shape != shapes[name] || !IsFloat(view.dtype)) {
      return absl::InvalidArgumentError(absl::StrCat(name, " is ", DTypeName(view.dtype),
                                                     ShapeText(view.shape), ", not ",
                                                     ShapeText(shapes[name]), " of a float type"));
    }
    at::Tensor tensor = at::empty(view.shape, at::kFloat);
    SEMSAM_RETURN_IF_ERROR(CopyToFloat32(
        view, {tensor.mutable_data_ptr<float>(), static_cast<size_t>(tensor.numel())}));
    weights.emplace(name, std::move(tensor));
  }
  return weights;
}

}  // namespace

absl::Status WriteTextWeights(const std::string& path, const ModelConfig& config,
                              const NamedTensors& weights, DType dtype) {
  if (!IsFloat(dtype)) return InvalidField("dtype", "must be a float type");
  return CatchTorch([&]() -> absl::Status {
    std::vector<std::vector<std::byte>> owners;
    std::vector<TensorView> views;
    for (const auto& [name, tensor] : weights) {
      const at::Tensor packed = tensor.detach().to(at::kCPU, at::kFloat).contiguous();
      const TensorView whole = {
          .name = name,
          .dtype = DType::kFloat32,
          .shape = packed.sizes().vec(),
          .strides = {},
          .data = {static_cast<const std::byte*>(packed.const_data_ptr()), packed.nbytes()}};
      owners.emplace_back(packed.numel() * ItemBytes(dtype));
      SEMSAM_RETURN_IF_ERROR(CopyAs(whole, dtype, owners.back()));
      views.push_back({.name = name,
                       .dtype = dtype,
                       .shape = whole.shape,
                       .strides = {},
                       .data = owners.back()});
    }
    return WriteSafetensors(
        path, views,
        {{kTextKey, TextJson(config)}, {kLicenseKey, kLicense}, {kSourceKey, kSource}});
  });
}

absl::StatusOr<NamedTensors> ReadTextWeights(const std::string& path, const ModelConfig& config) {
  SEMSAM_ASSIGN_OR_RETURN(const std::shared_ptr<const MappedFile> file, MappedFile::Open(path));
  absl::StatusOr<NamedTensors> weights = CatchTorch([&] { return Parse(file->bytes(), config); });
  if (!weights.ok()) return Annotate(weights.status(), path);
  return weights;
}

}  // namespace semsam
