// A model on disk, or one made of nothing: configuration, weights, identity.
#ifndef SEMSAM_MODEL_WEIGHTS_MODEL_FILE_H_
#define SEMSAM_MODEL_WEIGHTS_MODEL_FILE_H_

#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "model/base/model_config.h"
#include "model/base/model_vocabulary.h"
#include "model/weights/dtype.h"
#include "model/weights/safetensors.h"
#include "model/weights/weight_map.h"

namespace semsam {

// Metadata keys of our safetensors files.
inline constexpr char kConfigKey[] = "semsam.config";          // JSON (config_json.h)
inline constexpr char kDigestKey[] = "semsam.digest";          // TensorDigest
inline constexpr char kTrainedKey[] = "semsam.trained";        // "true", "false"
inline constexpr char kVocabularyKey[] = "semsam.vocabulary";  // JSON (vocabulary_json.h)
inline constexpr char kLicenseKey[] = "license";
inline constexpr char kSourceKey[] = "source";

// What ModelFile::Open knows the model by that the program carries (default_model.h).
inline constexpr char kDefaultModel[] = "default";

// Keeps the file mapped, or the made weights in memory, as long as it lives; the
// views in weights() point there.
//
// Thread-safe: constant after Open.
class ModelFile {
 public:
  // `spec` is one of
  //   default              the model inside the program, read in place; a file of that
  //                        name is ./default. FAILED_PRECONDITION where the program
  //                        carries none
  //   PATH                 a safetensors file or a published .pth, told apart by
  //                        their content; without a configuration inside, that
  //                        is inferred from the shapes
  //   A.tsv[,B.tsv...]     parity manifests, filled by the formula; a row of a later
  //                        one takes the place of the row of that name before it
  //   formula:swin-t       our own manifest of a configuration, filled by the
  //   formula:swin-l       formula: needs no file, and knows nothing (untrained)
  //   formula:swin-t-joint
  //   formula:openseed-swin-t
  //   formula:swin-tiny
  //   formula:swin-tiny-wordless
  //   formula:swin-tiny-extended
  //   formula:semsam-lite
  // Errors carry the path: NOT_FOUND, INVALID_ARGUMENT for anything that is
  // damaged, hostile or does not fit (see ResolveWeights).
  static absl::StatusOr<std::unique_ptr<ModelFile>> Open(const std::string& spec);

  const ModelConfig& config() const { return config_; }
  const WeightMap& weights() const { return weights_; }

  // The words it was trained on, where the file lists them; else empty.
  const ModelVocabulary& vocabulary() const { return vocabulary_; }

  // False where the numbers come from the formula.
  bool trained() const { return trained_; }

  // TensorDigest of the weights. A safetensors file that carries its digest is
  // believed: it tells models apart and finds caches, it does not guard against
  // a forger, and hashing would cost a quarter of a second of every start.
  // ComputeDigest hashes.
  const std::string& digest() const { return digest_; }
  absl::StatusOr<std::string> ComputeDigest() const;

  // "safetensors", "embedded safetensors" (the default model), "pth", "manifest" or
  // "formula".
  const std::string& format() const { return format_; }
  // Of a safetensors file; otherwise empty.
  const Metadata& metadata() const { return metadata_; }
  // Its value for `key`; empty where it has none.
  std::string MetadataValue(const char* key) const;

 private:
  ModelFile() = default;
  absl::Status Load(const std::string& spec);
  absl::Status LoadDefault();
  absl::Status LoadFile(const std::string& path);
  // `bytes` outlive this.
  absl::Status LoadSafetensors(std::span<const std::byte> bytes);
  absl::Status LoadManifests(const std::string& paths);
  absl::Status LoadFormula(const std::string& name);
  // Sets the configuration (inferred if null), the weights and the digest.
  absl::Status Adopt(std::optional<ModelConfig> config, std::vector<TensorView> tensors);

  ModelConfig config_;
  WeightMap weights_;
  ModelVocabulary vocabulary_;
  bool trained_ = true;
  std::string digest_;
  std::string format_;
  Metadata metadata_;
  std::vector<std::shared_ptr<const void>> owners_;
};

// The configuration that "formula:NAME" has, without its weights. INVALID_ARGUMENT
// that lists the names.
absl::StatusOr<ModelConfig> NamedConfig(const std::string& name);

// What WriteModel stores beside the tensors.
struct ModelFileInfo {
  bool trained = true;
  std::string license;              // SPDX identifier or text; may be empty
  std::string source;               // where the weights come from; may be empty
  ModelVocabulary vocabulary = {};  // may be empty
};

// Writes a safetensors file that ModelFile::Open reads: canonical tensors,
// configuration, digest. `dtype` (a float type) converts every float tensor;
// without it they stay as they are.
absl::Status WriteModel(const std::string& path, const ModelConfig& config,
                        const WeightMap& weights, const ModelFileInfo& info,
                        std::optional<DType> dtype = std::nullopt);

}  // namespace semsam

#endif  // SEMSAM_MODEL_WEIGHTS_MODEL_FILE_H_
