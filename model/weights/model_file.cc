#include "model/weights/model_file.h"

#include <span>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "model/base/errors.h"
#include "model/base/status_macros.h"
#include "model/weights/config_json.h"
#include "model/weights/default_model.h"
#include "model/weights/digest.h"
#include "model/weights/formula.h"
#include "model/weights/infer_config.h"
#include "model/weights/manifest.h"
#include "model/weights/mapped_file.h"
#include "model/weights/pth_reader.h"
#include "model/weights/vocabulary_json.h"
#include "model/weights/weight_table.h"

namespace semsam {
namespace {

constexpr char kFormula[] = "formula:";

struct Formula {
  const char* name;
  ModelConfig (*make)();
};
constexpr Formula kFormulas[] = {{"swin-t", SwinT},
                                 {"swin-l", SwinL},
                                 {"swin-t-joint", SwinTJoint},
                                 {"openseed-swin-t", OpenSeedSwinT},
                                 {"swin-tiny", SwinTiny},
                                 {"swin-tiny-wordless", SwinTinyWordless},
                                 {"swin-tiny-extended", SwinTinyExtended},
                                 {"semsam-lite", SemsamLite}};

absl::StatusOr<std::optional<ModelConfig>> StoredConfig(const Metadata& metadata) {
  const auto found = metadata.find(kConfigKey);
  if (found == metadata.end()) return std::optional<ModelConfig>();
  absl::StatusOr<ModelConfig> config = ConfigFromJson(found->second);
  if (!config.ok()) return Annotate(config.status(), kConfigKey);
  return std::optional<ModelConfig>(*std::move(config));
}

absl::StatusOr<ModelVocabulary> StoredVocabulary(const Metadata& metadata) {
  const auto found = metadata.find(kVocabularyKey);
  if (found == metadata.end()) return ModelVocabulary();
  absl::StatusOr<ModelVocabulary> vocabulary = VocabularyFromJson(found->second);
  if (!vocabulary.ok()) return Annotate(vocabulary.status(), kVocabularyKey);
  return vocabulary;
}

// The tensors in another float type, with the memory behind them.
absl::StatusOr<TensorSet> Converted(const WeightMap& weights, std::optional<DType> dtype) {
  TensorSet set;
  for (const auto& [name, tensor] : weights) {
    TensorView view = tensor;
    view.name = name;
    if (dtype.has_value() && *dtype != tensor.dtype && IsFloat(tensor.dtype)) {
      view.dtype = *dtype;
      view.strides.clear();
      SEMSAM_ASSIGN_OR_RETURN(const int64_t bytes, CheckedBytes(view.shape, *dtype));
      auto buffer = std::make_shared<std::vector<std::byte>>(static_cast<size_t>(bytes));
      SEMSAM_RETURN_IF_ERROR(CopyAs(tensor, *dtype, *buffer));
      view.data = *buffer;
      set.owners.push_back(std::move(buffer));
    }
    set.tensors.push_back(std::move(view));
  }
  return set;
}

}  // namespace

absl::StatusOr<std::unique_ptr<ModelFile>> ModelFile::Open(const std::string& spec) {
  std::unique_ptr<ModelFile> file(new ModelFile());
  const absl::Status status = file->Load(spec);
  if (status.ok()) return file;
  if (absl::StrContains(status.message(), spec)) return status;
  return Annotate(status, spec);
}

absl::Status ModelFile::Load(const std::string& spec) {
  if (spec.empty()) return absl::InvalidArgumentError("no weights are named");
  if (spec == kDefaultModel) return LoadDefault();
  if (absl::StartsWith(spec, kFormula)) return LoadFormula(spec.substr(sizeof(kFormula) - 1));
  if (absl::EndsWith(spec, ".tsv")) return LoadManifests(spec);
  return LoadFile(spec);
}

absl::Status ModelFile::LoadDefault() {
  const std::span<const std::byte> bytes = DefaultModelBytes();
  if (bytes.empty()) {
    return absl::FailedPreconditionError("this program does not carry the default model");
  }
  format_ = "embedded safetensors";
  return LoadSafetensors(bytes);
}

absl::Status ModelFile::LoadFile(const std::string& path) {
  SEMSAM_ASSIGN_OR_RETURN(const std::shared_ptr<const MappedFile> file, MappedFile::Open(path));
  owners_.push_back(file);
  // Asked first: the header length of a safetensors file may start with the byte
  // that starts every pickle.
  const bool safetensors =
      LooksLikeSafetensors(file->bytes()) || absl::EndsWith(path, ".safetensors");
  if (!safetensors && LooksLikePth(file->bytes())) {
    format_ = "pth";
    SEMSAM_ASSIGN_OR_RETURN(std::vector<TensorView> tensors, ReadPth(file->bytes()));
    return Adopt(std::nullopt, std::move(tensors));
  }
  if (!safetensors) {
    return absl::InvalidArgumentError("it is neither a safetensors file nor a checkpoint");
  }
  format_ = "safetensors";
  return LoadSafetensors(file->bytes());
}

std::string ModelFile::MetadataValue(const char* key) const {
  const auto found = metadata_.find(key);
  return found == metadata_.end() ? std::string() : found->second;
}

absl::Status ModelFile::LoadSafetensors(std::span<const std::byte> bytes) {
  SEMSAM_ASSIGN_OR_RETURN(SafetensorsFile parsed, ParseSafetensors(bytes));
  metadata_ = std::move(parsed.metadata);
  trained_ = MetadataValue(kTrainedKey) != "false";
  digest_ = MetadataValue(kDigestKey);
  if (!digest_.empty() && !IsDigest(digest_)) {
    return absl::InvalidArgumentError(absl::StrCat(kDigestKey, " is no SHA-256"));
  }
  SEMSAM_ASSIGN_OR_RETURN(vocabulary_, StoredVocabulary(metadata_));
  SEMSAM_ASSIGN_OR_RETURN(std::optional<ModelConfig> config, StoredConfig(metadata_));
  return Adopt(std::move(config), std::move(parsed.tensors));
}

absl::Status ModelFile::LoadManifests(const std::string& paths) {
  format_ = "manifest";
  trained_ = false;
  const std::vector<std::string> files = absl::StrSplit(paths, ',');
  SEMSAM_ASSIGN_OR_RETURN(std::vector<WeightSpec> specs, ReadManifests(files));
  // Class weights of the training loss: not of the network, and not of the formula.
  std::erase_if(specs,
                [](const WeightSpec& spec) { return absl::StartsWith(spec.name, "criterion"); });
  SEMSAM_ASSIGN_OR_RETURN(TensorSet set, FormulaTensors(specs));
  owners_ = std::move(set.owners);
  return Adopt(std::nullopt, std::move(set.tensors));
}

absl::Status ModelFile::LoadFormula(const std::string& name) {
  format_ = "formula";
  trained_ = false;
  SEMSAM_ASSIGN_OR_RETURN(ModelConfig config, NamedConfig(name));
  SEMSAM_ASSIGN_OR_RETURN(TensorSet set, FormulaTensors(WeightTable(config)));
  owners_ = std::move(set.owners);
  return Adopt(std::move(config), std::move(set.tensors));
}

absl::Status ModelFile::Adopt(std::optional<ModelConfig> config, std::vector<TensorView> tensors) {
  tensors = PublishedModelTensors(std::move(tensors));
  if (!config.has_value()) {
    SEMSAM_ASSIGN_OR_RETURN(config, InferConfig(tensors));
  }
  config_ = *std::move(config);
  SEMSAM_ASSIGN_OR_RETURN(weights_, ResolveWeights(config_, std::move(tensors)));
  if (digest_.empty()) {
    SEMSAM_ASSIGN_OR_RETURN(digest_, ComputeDigest());
  }
  return absl::OkStatus();
}

absl::StatusOr<ModelConfig> NamedConfig(const std::string& name) {
  std::string known;
  for (const Formula& formula : kFormulas) {
    if (name == formula.name) return formula.make();
    absl::StrAppend(&known, " ", kFormula, formula.name);
  }
  return absl::InvalidArgumentError(absl::StrCat("unknown formula; there are", known));
}

absl::StatusOr<std::string> ModelFile::ComputeDigest() const { return TensorDigest(weights_); }

absl::Status WriteModel(const std::string& path, const ModelConfig& config,
                        const WeightMap& weights, const ModelFileInfo& info,
                        std::optional<DType> dtype) {
  if (dtype.has_value() && !IsFloat(*dtype)) {
    return absl::InvalidArgumentError("weights can only be stored in a float type");
  }
  SEMSAM_RETURN_IF_ERROR(CheckConfig(config));
  SEMSAM_ASSIGN_OR_RETURN(const TensorSet set, Converted(weights, dtype));
  WeightMap::Tensors converted;
  for (const TensorView& tensor : set.tensors) converted.emplace(tensor.name, tensor);
  Metadata metadata;
  SEMSAM_ASSIGN_OR_RETURN(metadata[kDigestKey], TensorDigest(WeightMap(std::move(converted))));
  metadata[kConfigKey] = ConfigToJson(config);
  metadata[kTrainedKey] = info.trained ? "true" : "false";
  if (!info.vocabulary.empty()) {
    absl::StatusOr<std::string> words = VocabularyToJson(info.vocabulary);
    if (!words.ok()) return Annotate(words.status(), kVocabularyKey);
    metadata[kVocabularyKey] = *std::move(words);
  }
  if (!info.license.empty()) metadata[kLicenseKey] = info.license;
  if (!info.source.empty()) metadata[kSourceKey] = info.source;
  return WriteSafetensors(path, set.tensors, metadata);
}

}  // namespace semsam
