#include "model/weights/infer_config.h"

#include <map>
#include <numeric>
#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/str_cat.h"
#include "model/base/status_macros.h"
#include "model/weights/config_json.h"

namespace semsam {
namespace {

constexpr int kHeads = 8;
constexpr int kNormGroups = 32;
constexpr int kMaxCounted = 256;
constexpr int64_t kMaxSize = 1 << 20;
constexpr char kPixel[] = "sem_seg_head.pixel_decoder";
constexpr char kPredictor[] = "sem_seg_head.predictor";

absl::Status Bad(const std::string& message) {
  return absl::InvalidArgumentError(
      absl::StrCat("cannot tell the configuration from the tensors: ", message));
}

class Shapes {
 public:
  explicit Shapes(std::span<const TensorView> tensors) {
    for (const TensorView& tensor : tensors) shapes_.emplace(tensor.name, &tensor.shape);
  }

  bool Has(const std::string& name) const { return shapes_.count(name) != 0; }

  // One size of a tensor that must be there.
  absl::StatusOr<int> Size(const std::string& name, size_t dimension) const {
    const auto found = shapes_.find(name);
    if (found == shapes_.end()) return Bad(absl::StrCat(name, " is missing"));
    const std::vector<int64_t>& shape = *found->second;
    if (dimension >= shape.size() || shape[dimension] < 1 || shape[dimension] > kMaxSize) {
      return Bad(absl::StrCat(name, " has the shape ", ShapeText(shape)));
    }
    return static_cast<int>(shape[dimension]);
  }

  // How many of prefix + "0" + suffix, prefix + "1" + suffix, ... there are.
  int Count(const std::string& prefix, const std::string& suffix) const {
    int count = 0;
    while (count < kMaxCounted && Has(absl::StrCat(prefix, count, suffix))) ++count;
    return count;
  }

 private:
  std::map<std::string_view, const std::vector<int64_t>*> shapes_;
};

absl::StatusOr<int> Divide(int numerator, int denominator, const std::string& name) {
  if (denominator <= 0 || numerator % denominator != 0) {
    return Bad(absl::StrCat(name, " has an unexpected size, ", numerator));
  }
  return numerator / denominator;
}

absl::StatusOr<SwinConfig> InferSwin(const Shapes& shapes) {
  SwinConfig swin;
  const std::string patch = "backbone.patch_embed.proj.weight";
  SEMSAM_ASSIGN_OR_RETURN(swin.embed_dim, shapes.Size(patch, 0));
  SEMSAM_ASSIGN_OR_RETURN(swin.patch_size, shapes.Size(patch, 2));
  for (int stage = 0; stage < 4; ++stage) {
    const std::string blocks = absl::StrCat("backbone.layers.", stage, ".blocks.");
    swin.depths[stage] = shapes.Count(blocks, ".norm1.weight");
    SEMSAM_ASSIGN_OR_RETURN(swin.heads[stage],
                            shapes.Size(blocks + "0.attn.relative_position_bias_table", 1));
  }
  const std::string first = "backbone.layers.0.blocks.0.";
  const std::string bias_table = first + "attn.relative_position_bias_table";
  SEMSAM_ASSIGN_OR_RETURN(const int offsets, shapes.Size(bias_table, 0));
  swin.window_size = 1;
  while ((2 * swin.window_size - 1) * (2 * swin.window_size - 1) < offsets) ++swin.window_size;
  const std::string hidden = first + "mlp.fc1.weight";
  SEMSAM_ASSIGN_OR_RETURN(const int hidden_width, shapes.Size(hidden, 0));
  SEMSAM_ASSIGN_OR_RETURN(swin.mlp_ratio, Divide(hidden_width, swin.embed_dim, hidden));
  return swin;
}

// Sampling points a head and level of a deformable attention.
absl::StatusOr<int> InferPoints(const Shapes& shapes, const std::string& attention, int levels) {
  const std::string name = attention + ".sampling_offsets.weight";
  SEMSAM_ASSIGN_OR_RETURN(const int rows, shapes.Size(name, 0));
  return Divide(rows, kHeads * levels * 2, name);
}

absl::Status InferPixelDecoder(const Shapes& shapes, PixelDecoderConfig& pixel) {
  const std::string name = kPixel;
  const std::string layers = name + ".transformer.encoder.layers.";
  const std::string levels = name + ".transformer.level_embed";
  SEMSAM_ASSIGN_OR_RETURN(pixel.feature_levels, shapes.Size(levels, 0));
  SEMSAM_ASSIGN_OR_RETURN(pixel.hidden_dim, shapes.Size(levels, 1));
  SEMSAM_ASSIGN_OR_RETURN(pixel.mask_dim, shapes.Size(name + ".mask_features.weight", 0));
  SEMSAM_ASSIGN_OR_RETURN(pixel.ffn_dim, shapes.Size(layers + "0.linear1.weight", 0));
  SEMSAM_ASSIGN_OR_RETURN(pixel.points,
                          InferPoints(shapes, layers + "0.self_attn", pixel.feature_levels));
  pixel.layers = shapes.Count(layers, ".norm1.weight");
  pixel.heads = kHeads;
  pixel.norm_groups = std::gcd(kNormGroups, pixel.hidden_dim);
  return absl::OkStatus();
}

absl::Status InferDecoder(const Shapes& shapes, int levels, DecoderConfig& decoder) {
  const std::string name = kPredictor;
  const std::string layers = name + ".decoder.layers.";
  SEMSAM_ASSIGN_OR_RETURN(decoder.ffn_dim, shapes.Size(layers + "0.linear1.weight", 0));
  SEMSAM_ASSIGN_OR_RETURN(decoder.points, InferPoints(shapes, layers + "0.cross_attn", levels));
  SEMSAM_ASSIGN_OR_RETURN(decoder.tokens, shapes.Size(name + ".mask_tokens.weight", 0));
  if (const std::string head = name + ".class_embed"; shapes.Has(head)) {
    SEMSAM_ASSIGN_OR_RETURN(decoder.text_dim, shapes.Size(head, 1));
  }
  decoder.layers = shapes.Count(layers, ".norm1.weight");
  decoder.heads = kHeads;
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<ModelConfig> InferConfig(std::span<const TensorView> tensors) {
  const Shapes shapes(tensors);
  ModelConfig config;
  SEMSAM_ASSIGN_OR_RETURN(config.backbone, InferSwin(shapes));
  SEMSAM_RETURN_IF_ERROR(InferPixelDecoder(shapes, config.pixel_decoder));
  SEMSAM_RETURN_IF_ERROR(InferDecoder(shapes, config.pixel_decoder.feature_levels, config.decoder));
  if (config.decoder.tokens != static_cast<int>(config.level_to_token.size())) {
    if (config.decoder.tokens > kMaxCounted) return Bad("there are too many mask tokens");
    config.level_to_token.resize(static_cast<size_t>(config.decoder.tokens));
    std::iota(config.level_to_token.begin(), config.level_to_token.end(), 0);
  }
  config.name = "semantic-sam-swin-custom";
  for (const ModelConfig& published : {SwinT(), SwinL()}) {
    ModelConfig renamed = config;
    renamed.name = published.name;
    if (renamed == published) config = published;
  }
  if (const absl::Status status = CheckConfig(config); !status.ok()) {
    return Bad(std::string(status.message()));
  }
  return config;
}

}  // namespace semsam
