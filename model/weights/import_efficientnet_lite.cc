#include "model/weights/import_efficientnet_lite.h"

#include <cmath>
#include <cstdint>
#include <map>
#include <span>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include "model/base/errors.h"
#include "model/base/status_macros.h"
#include "model/weights/mapped_file.h"
#include "model/weights/pth_reader.h"
#include "model/weights/safetensors.h"
#include "model/weights/tensor_view.h"
#include "model/weights/weight_table.h"

namespace semsam {
namespace {

constexpr double kBatchNormEpsilon = 1e-3;  // TensorFlow's, kept by the port
constexpr int kMaxBlocks = 256;

// A convolution and the norm behind it, by their names in the file.
struct Layer {
  std::string convolution;
  std::string norm;
};

class Checkpoint {
 public:
  explicit Checkpoint(std::vector<TensorView> tensors) {
    for (TensorView& tensor : tensors) {
      std::string name = tensor.name;
      tensors_.emplace(std::move(name), std::move(tensor));
    }
  }

  bool Has(const std::string& name) const { return tensors_.contains(name); }

  // First size of a convolution's weight (its outputs), or the second one.
  absl::StatusOr<int> Channels(const std::string& convolution, size_t dimension) const {
    const std::string name = convolution + ".weight";
    const auto found = tensors_.find(name);
    if (found == tensors_.end()) return absl::InvalidArgumentError(name + " is missing");
    const std::vector<int64_t>& shape = found->second.shape;
    if (shape.size() != 4 || shape[dimension] < 1 || shape[dimension] > 1 << 20) {
      return absl::InvalidArgumentError(absl::StrCat(name, " has the shape ", ShapeText(shape)));
    }
    return static_cast<int>(shape[dimension]);
  }

  absl::StatusOr<std::vector<float>> Read(const std::string& name,
                                          const std::vector<int64_t>& shape) const {
    const auto found = tensors_.find(name);
    if (found == tensors_.end()) return absl::InvalidArgumentError(name + " is missing");
    const TensorView& tensor = found->second;
    if (tensor.shape != shape || !IsFloat(tensor.dtype)) {
      return absl::InvalidArgumentError(absl::StrCat(name, " is ", DTypeName(tensor.dtype), " ",
                                                     ShapeText(tensor.shape), ", not ",
                                                     ShapeText(shape), " of a float type"));
    }
    SEMSAM_RETURN_IF_ERROR(CheckTensor(tensor));
    std::vector<float> values(static_cast<size_t>(Elements(tensor)));
    SEMSAM_RETURN_IF_ERROR(CopyToFloat32(tensor, values));
    return values;
  }

 private:
  std::map<std::string, TensorView> tensors_;
};

std::string BlockName(int block) { return absl::StrCat("_blocks.", block, "."); }

// A block that changes the number of channels starts a stage: no two stages in a row have
// the same.
absl::StatusOr<EfficientNetLiteConfig> ReadConfig(const Checkpoint& file) {
  EfficientNetLiteConfig config;
  config.widths.clear();
  config.depths.clear();
  SEMSAM_ASSIGN_OR_RETURN(config.stem_width, file.Channels("_conv_stem", 0));
  int width = 0;
  for (int block = 0; block < kMaxBlocks; ++block) {
    const std::string project = BlockName(block) + "_project_conv";
    if (!file.Has(project + ".weight")) break;
    SEMSAM_ASSIGN_OR_RETURN(const int outputs, file.Channels(project, 0));
    if (outputs != width) {
      config.widths.push_back(outputs);
      config.depths.push_back(0);
      width = outputs;
    }
    ++config.depths.back();
  }
  ModelConfig model = SwinT();
  model.backbone = config;
  SEMSAM_RETURN_IF_ERROR(Validate(model));
  return config;
}

// Our names without ".weight" -> the file's.
std::map<std::string, Layer> Layers(const EfficientNetLiteConfig& config) {
  std::map<std::string, Layer> layers = {{"backbone.stem", {"_conv_stem", "_bn0"}}};
  int index = 0;
  for (size_t stage = 0; stage < config.depths.size(); ++stage) {
    for (int b = 0; b < config.depths[stage]; ++b) {
      const std::string ours = absl::StrCat("backbone.stages.", stage, ".blocks.", b);
      const std::string theirs = BlockName(index++);
      layers[ours + ".expand"] = {theirs + "_expand_conv", theirs + "_bn0"};
      layers[ours + ".depthwise"] = {theirs + "_depthwise_conv", theirs + "_bn1"};
      layers[ours + ".project"] = {theirs + "_project_conv", theirs + "_bn2"};
    }
  }
  return layers;
}

struct Folded {
  std::vector<float> weight;
  std::vector<float> bias;
};

// gamma (w x - mean) / sqrt(variance + epsilon) + beta as one convolution.
absl::StatusOr<Folded> Fold(const Checkpoint& file, const Layer& layer,
                            const std::vector<int64_t>& shape) {
  const std::vector<int64_t> channels = {shape[0]};
  Folded folded;
  SEMSAM_ASSIGN_OR_RETURN(folded.weight, file.Read(layer.convolution + ".weight", shape));
  SEMSAM_ASSIGN_OR_RETURN(const auto gamma, file.Read(layer.norm + ".weight", channels));
  SEMSAM_ASSIGN_OR_RETURN(const auto beta, file.Read(layer.norm + ".bias", channels));
  SEMSAM_ASSIGN_OR_RETURN(const auto mean, file.Read(layer.norm + ".running_mean", channels));
  SEMSAM_ASSIGN_OR_RETURN(const auto variance, file.Read(layer.norm + ".running_var", channels));
  const size_t taps = folded.weight.size() / gamma.size();
  for (size_t c = 0; c < gamma.size(); ++c) {
    const double scale = gamma[c] / std::sqrt(variance[c] + kBatchNormEpsilon);
    folded.bias.push_back(static_cast<float>(beta[c] - mean[c] * scale));
    if (!std::isfinite(scale) || !std::isfinite(folded.bias.back())) {
      return absl::InvalidArgumentError(absl::StrCat(layer.norm, " has no finite scale"));
    }
    for (float& weight : std::span(folded.weight).subspan(c * taps, taps)) {
      weight = static_cast<float>(weight * scale);
    }
  }
  return folded;
}

// Keeps `values` under `name`.
void Adopt(const std::string& name, const std::vector<int64_t>& shape, std::vector<float> values,
           WeightMap::Tensors& tensors, ImportedBackbone& imported) {
  auto owner = std::make_shared<const std::vector<float>>(std::move(values));
  tensors[name] = {.name = name, .shape = shape, .data = std::as_bytes(std::span(*owner))};
  imported.owners.push_back(std::move(owner));
}

absl::StatusOr<std::vector<TensorView>> ReadTensors(std::span<const std::byte> bytes) {
  if (LooksLikeSafetensors(bytes)) {
    SEMSAM_ASSIGN_OR_RETURN(SafetensorsFile file, ParseSafetensors(bytes));
    return std::move(file.tensors);
  }
  if (LooksLikePth(bytes)) return ReadPth(bytes);
  return absl::InvalidArgumentError("it is neither a safetensors file nor a checkpoint");
}

absl::StatusOr<ImportedBackbone> Import(const std::string& path) {
  SEMSAM_ASSIGN_OR_RETURN(const std::shared_ptr<const MappedFile> file, MappedFile::Open(path));
  SEMSAM_ASSIGN_OR_RETURN(std::vector<TensorView> stored, ReadTensors(file->bytes()));
  const Checkpoint checkpoint(std::move(stored));
  ImportedBackbone imported;
  SEMSAM_ASSIGN_OR_RETURN(imported.config, ReadConfig(checkpoint));
  const std::map<std::string, Layer> layers = Layers(imported.config);
  ModelConfig model = SwinT();
  model.backbone = imported.config;
  WeightMap::Tensors tensors;
  for (const WeightSpec& spec : WeightTable(model)) {
    // Biases come with their weights.
    const std::string name = spec.name.substr(0, spec.name.rfind('.'));
    const auto layer = layers.find(name);
    if (layer == layers.end() || spec.name != name + ".weight") continue;
    SEMSAM_ASSIGN_OR_RETURN(Folded folded, Fold(checkpoint, layer->second, spec.shape));
    Adopt(spec.name, spec.shape, std::move(folded.weight), tensors, imported);
    Adopt(name + ".bias", {spec.shape[0]}, std::move(folded.bias), tensors, imported);
  }
  imported.weights = WeightMap(std::move(tensors));
  return imported;
}

}  // namespace

absl::StatusOr<ImportedBackbone> ImportEfficientNetLite(const std::string& path) {
  absl::StatusOr<ImportedBackbone> imported = Import(path);
  if (imported.ok() || imported.status().message().find(path) != absl::string_view::npos) {
    return imported;
  }
  return Annotate(imported.status(), path);
}

}  // namespace semsam
