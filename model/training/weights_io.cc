#include "model/training/weights_io.h"

#include <algorithm>
#include <iterator>
#include <memory>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "model/base/errors.h"
#include "model/base/status_macros.h"
#include "model/torch/catch.h"
#include "model/training/common_direction.h"
#include "model/training/glob.h"
#include "model/training/initialise.h"
#include "model/weights/import_efficientnet_lite.h"
#include "model/weights/mapped_file.h"
#include "model/weights/model_file.h"
#include "model/weights/pth_reader.h"
#include "model/weights/weight_table.h"

namespace semsam {
namespace {

// Of the ImageNet weights of a convolutional backbone.
constexpr char kImageNet[] = "imagenet:";
constexpr char kTextEncoder[] = "sem_seg_head.predictor.lang_encoder.";
constexpr char kLogitScale[] = "sem_seg_head.predictor.lang_encoder.logit_scale";

// Aliases and computed tensors of the network, which a whole checkpoint holds too.
bool IsRepeated(const std::vector<WeightSpec>& table, const std::string& name) {
  return std::any_of(table.begin(), table.end(), [&](const WeightSpec& spec) {
    return spec.name == name && (spec.is_alias() || spec.kind == kComputedKind);
  });
}

absl::Status Overwrite(const std::vector<WeightSpec>& table, const TensorView& view,
                       NamedTensors& weights) {
  const auto found = weights.find(view.name);
  if (found == weights.end()) {
    if (IsRepeated(table, view.name)) return absl::OkStatus();
    return absl::InvalidArgumentError(
        absl::StrCat("the network has no tensor ", view.name, " ", ShapeText(view.shape)));
  }
  at::Tensor& tensor = found->second;
  if (tensor.sizes() != at::IntArrayRef(view.shape)) {
    return absl::InvalidArgumentError(absl::StrCat(view.name, " has shape ", ShapeText(view.shape),
                                                   " instead of ", ShapeText(tensor.sizes())));
  }
  SEMSAM_RETURN_IF_ERROR(CheckTensor(view));
  return CopyToFloat32(view,
                       {tensor.mutable_data_ptr<float>(), static_cast<size_t>(tensor.numel())});
}

// The weights of a whole network that no file of its own holds.
absl::Status OverwriteByModel(const std::string& spec, const std::vector<WeightSpec>& table,
                              NamedTensors& weights) {
  SEMSAM_ASSIGN_OR_RETURN(const std::unique_ptr<ModelFile> file, ModelFile::Open(spec));
  for (const auto& [name, tensor] : file->weights()) {
    TensorView view = tensor;
    view.name = name;
    SEMSAM_RETURN_IF_ERROR(Overwrite(table, view, weights));
  }
  return absl::OkStatus();
}

absl::Status OverwriteByImageNet(const std::string& path, const std::vector<WeightSpec>& table,
                                 NamedTensors& weights) {
  SEMSAM_ASSIGN_OR_RETURN(const ImportedBackbone imported, ImportEfficientNetLite(path));
  for (const auto& [name, tensor] : imported.weights) {
    TensorView view = tensor;
    view.name = name;
    SEMSAM_RETURN_IF_ERROR(Overwrite(table, view, weights));
  }
  return absl::OkStatus();
}

// The tensors of a file, of a part of the network too.
absl::Status OverwriteByFile(const std::string& path, const std::vector<WeightSpec>& table,
                             NamedTensors& weights) {
  SEMSAM_ASSIGN_OR_RETURN(const std::shared_ptr<const MappedFile> file, MappedFile::Open(path));
  std::vector<TensorView> tensors;
  if (LooksLikeSafetensors(file->bytes())) {
    SEMSAM_ASSIGN_OR_RETURN(SafetensorsFile parsed, ParseSafetensors(file->bytes()));
    tensors = std::move(parsed.tensors);
  } else {
    SEMSAM_ASSIGN_OR_RETURN(tensors, ReadPth(file->bytes()));
  }
  tensors = PublishedModelTensors(std::move(tensors));
  std::erase_if(tensors, [](const TensorView& view) {
    return absl::StartsWith(view.name, "criterion") || view.name == "pixel_mean" ||
           view.name == "pixel_std";
  });
  if (tensors.empty()) return absl::InvalidArgumentError("it holds no tensors of a network");
  for (const TensorView& view : tensors) {
    SEMSAM_RETURN_IF_ERROR(Overwrite(table, view, weights));
  }
  return absl::OkStatus();
}

absl::Status OverwriteBy(const std::string& spec, const std::vector<WeightSpec>& table,
                         NamedTensors& weights) {
  if (absl::StartsWith(spec, kImageNet)) {
    return OverwriteByImageNet(spec.substr(std::size(kImageNet) - 1), table, weights);
  }
  const bool whole =
      spec == kDefaultModel || absl::StartsWith(spec, "formula:") || absl::EndsWith(spec, ".tsv");
  return whole ? OverwriteByModel(spec, table, weights) : OverwriteByFile(spec, table, weights);
}

}  // namespace

absl::StatusOr<NamedTensors> StartWeights(const Recipe& recipe) {
  SEMSAM_ASSIGN_OR_RETURN(NamedTensors weights, InitialWeights(recipe.model, recipe.seed));
  const std::vector<WeightSpec> table = WeightTable(recipe.model);
  for (const std::string& path : recipe.start) {
    const absl::Status status = CatchTorch([&] { return OverwriteBy(path, table, weights); });
    if (status.ok()) continue;
    return absl::StrContains(status.message(), path) ? status : Annotate(status, path);
  }
  if (const double share = recipe.words.common_direction; share > 0) {
    SEMSAM_RETURN_IF_ERROR(
        PrependField(AddCommonDirection(share, weights), "words.common_direction"));
  }
  return weights;
}

absl::StatusOr<std::vector<std::string>> TrainedNames(const Recipe& recipe,
                                                      const NamedTensors& weights) {
  for (const std::string& pattern : recipe.frozen) {
    if (std::none_of(weights.begin(), weights.end(),
                     [&](const auto& entry) { return GlobMatches(pattern, entry.first); })) {
      return InvalidField("frozen", absl::StrCat("no parameter is named ", pattern));
    }
  }
  std::vector<std::string> names;
  for (const auto& [name, tensor] : weights) {
    const bool frozen = std::any_of(
        recipe.frozen.begin(), recipe.frozen.end(),
        [&, key = name](const std::string& pattern) { return GlobMatches(pattern, key); });
    const bool text = absl::StartsWith(name, kTextEncoder) && name != kLogitScale;
    if (!frozen && !text) names.push_back(name);
  }
  return names;
}

absl::Status WriteResult(const std::string& path, const Recipe& recipe, const NamedTensors& weights,
                         const ModelVocabulary& vocabulary) {
  return CatchTorch([&]() -> absl::Status {
    std::vector<at::Tensor> owners;
    WeightMap::Tensors views;
    for (const auto& [name, tensor] : weights) {
      owners.push_back(tensor.detach().to(at::kCPU, at::kFloat).contiguous());
      const at::Tensor& packed = owners.back();
      views[name] = {
          .name = name,
          .dtype = DType::kFloat32,
          .shape = packed.sizes().vec(),
          .strides = {},
          .data = {static_cast<const std::byte*>(packed.const_data_ptr()), packed.nbytes()}};
    }
    return WriteModel(path, recipe.model, WeightMap(std::move(views)),
                      {.trained = true,
                       .license = recipe.result.licence,
                       .source = recipe.result.source,
                       .vocabulary = vocabulary},
                      recipe.result.dtype);
  });
}

}  // namespace semsam
