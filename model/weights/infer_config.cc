#include "model/weights/infer_config.h"

#include <map>
#include <numeric>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "absl/strings/str_cat.h"
#include "model/base/status_macros.h"
#include "model/weights/config_json.h"

namespace semsam {
namespace {

constexpr int kHeads = 8;
constexpr int kNormGroups = 32;
constexpr int kMaxCounted = 256;
constexpr int kDecoupledInstances = 300;  // published for models with learned queries
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

absl::StatusOr<EfficientNetLiteConfig> InferEfficientNetLite(const Shapes& shapes) {
  EfficientNetLiteConfig net;
  SEMSAM_ASSIGN_OR_RETURN(net.stem_width, shapes.Size("backbone.stem.weight", 0));
  for (size_t stage = 0; stage < kEfficientNetLiteStages.size(); ++stage) {
    const std::string blocks = absl::StrCat("backbone.stages.", stage, ".blocks.");
    net.depths[stage] = shapes.Count(blocks, ".depthwise.weight");
    SEMSAM_ASSIGN_OR_RETURN(net.widths[stage], shapes.Size(blocks + "0.project.weight", 0));
  }
  return net;
}

absl::StatusOr<BackboneConfig> InferBackbone(const Shapes& shapes) {
  if (shapes.Has("backbone.stem.weight")) return InferEfficientNetLite(shapes);
  return InferSwin(shapes);
}

// Sampling points a head and level of a deformable attention.
absl::StatusOr<int> InferPoints(const Shapes& shapes, const std::string& attention, int levels) {
  const std::string name = attention + ".sampling_offsets.weight";
  SEMSAM_ASSIGN_OR_RETURN(const int rows, shapes.Size(name, 0));
  return Divide(rows, kHeads * levels * 2, name);
}

// A level of the backbone comes through a 1x1 convolution, an extra one through a
// strided 3x3.
absl::StatusOr<int> InferBackboneLevels(const Shapes& shapes, int levels) {
  int from_backbone = 0;
  for (; from_backbone < levels; ++from_backbone) {
    const std::string name = absl::StrCat(kPixel, ".input_proj.", from_backbone, ".0.weight");
    SEMSAM_ASSIGN_OR_RETURN(const int kernel, shapes.Size(name, 3));
    if (kernel != 1) break;
  }
  return from_backbone;
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
  SEMSAM_ASSIGN_OR_RETURN(pixel.backbone_levels, InferBackboneLevels(shapes, pixel.feature_levels));
  pixel.norm_groups = std::gcd(kNormGroups, pixel.hidden_dim);
  return absl::OkStatus();
}

// Their number shows, their widths do not: those of our own model are known.
absl::StatusOr<DecoderAdditions> InferAdditions(const Shapes& shapes) {
  const std::string name = kPredictor;
  DecoderAdditions additions;
  if (const std::string maps = name + ".prompt_map_head.layers.1.weight"; shapes.Has(maps)) {
    SEMSAM_ASSIGN_OR_RETURN(const int count, shapes.Size(maps, 0));
    additions.prompt_maps = LitePromptMaps();
    if (count != additions.prompt_maps.count()) {
      return Bad(absl::StrCat(maps, " is for ", count, " maps whose widths only a stored ",
                              "configuration can tell"));
    }
  }
  additions.click_features = shapes.Has(name + ".click_features.weight");
  additions.pooled_features = shapes.Has(name + ".pooled_features.weight");
  return additions;
}

absl::Status InferDecoder(const Shapes& shapes, int levels, DecoderConfig& decoder) {
  const std::string name = kPredictor;
  const std::string layers = name + ".decoder.layers.";
  SEMSAM_ASSIGN_OR_RETURN(decoder.ffn_dim, shapes.Size(layers + "0.linear1.weight", 0));
  SEMSAM_ASSIGN_OR_RETURN(decoder.points, InferPoints(shapes, layers + "0.cross_attn", levels));
  decoder.tokens = 0;
  if (const std::string tokens = name + ".mask_tokens.weight"; shapes.Has(tokens)) {
    SEMSAM_ASSIGN_OR_RETURN(decoder.tokens, shapes.Size(tokens, 0));
  }
  if (const std::string head = name + ".class_embed"; shapes.Has(head)) {
    SEMSAM_ASSIGN_OR_RETURN(decoder.text_dim, shapes.Size(head, 1));
  }
  decoder.layers = shapes.Count(layers, ".norm1.weight");
  decoder.heads = kHeads;
  SEMSAM_ASSIGN_OR_RETURN(decoder.additions, InferAdditions(shapes));
  return absl::OkStatus();
}

absl::StatusOr<std::optional<TextConfig>> InferText(const Shapes& shapes, int& text_dim) {
  const std::string name = absl::StrCat(kPredictor, ".lang_encoder");
  const std::string projection = name + ".lang_proj";
  const std::string tower = name + ".lang_encoder";
  const std::string tokens = tower + ".token_embedding.weight";
  if (!shapes.Has(projection) && !shapes.Has(tokens)) return std::optional<TextConfig>();
  TextConfig text;
  SEMSAM_ASSIGN_OR_RETURN(text.width, shapes.Size(projection, 0));
  SEMSAM_ASSIGN_OR_RETURN(text_dim, shapes.Size(projection, 1));
  SEMSAM_ASSIGN_OR_RETURN(text.vocabulary_size, shapes.Size(tokens, 0));
  if (const std::string widen = tower + ".token_projection"; shapes.Has(widen)) {
    SEMSAM_ASSIGN_OR_RETURN(text.token_rank, shapes.Size(widen, 0));
  }
  SEMSAM_ASSIGN_OR_RETURN(text.context, shapes.Size(tower + ".positional_embedding", 0));
  const std::string blocks = tower + ".resblocks.";
  const std::string hidden = blocks + "0.mlp.c_fc.weight";
  SEMSAM_ASSIGN_OR_RETURN(const int hidden_width, shapes.Size(hidden, 0));
  SEMSAM_ASSIGN_OR_RETURN(text.mlp_ratio, Divide(hidden_width, text.width, hidden));
  text.layers = shapes.Count(blocks, ".ln_1.weight");
  text.heads = kHeads;
  return std::optional<TextConfig>(text);
}

// Absent without a text encoder, whatever else is there: nothing could choose.
absl::StatusOr<std::optional<VocabularyConfig>> InferVocabulary(const Shapes& shapes,
                                                                bool has_text) {
  const std::string name = kPredictor;
  const std::string content = name + ".query_feat.weight";
  const std::string boxes = name + ".query_embed.weight";
  const bool selects = shapes.Has(name + ".enc_output.weight");
  if ((shapes.Has(content) || shapes.Has(boxes)) && !selects) {
    return Bad("it has learned queries without enc_output, a layout that no released model uses");
  }
  if (shapes.Has(content) != shapes.Has(boxes)) {
    return Bad(absl::StrCat(shapes.Has(content) ? boxes : content, " is missing"));
  }
  if (!selects || !has_text) return std::optional<VocabularyConfig>();
  VocabularyConfig vocabulary;
  if (shapes.Has(content)) {
    SEMSAM_ASSIGN_OR_RETURN(vocabulary.learned_queries, shapes.Size(content, 0));
    vocabulary.top_instances = kDecoupledInstances;
  }
  return std::optional<VocabularyConfig>(vocabulary);
}

Capabilities InferCapabilities(const Shapes& shapes, const ModelConfig& config) {
  const std::string name = kPredictor;
  const bool prompts = config.decoder.tokens > 0;
  return {.click_prompts = prompts,
          .box_prompts = prompts,
          .object_labels = config.text && prompts && shapes.Has(name + ".class_embed"),
          .part_labels = config.text && shapes.Has(name + ".class_embed_part"),
          .vocabulary = config.vocabulary.has_value()};
}

// The published name, or what is different about it.
std::string InferName(const ModelConfig& config) {
  for (const ModelConfig& published : {SwinT(), SwinL(), OpenSeedSwinT()}) {
    ModelConfig renamed = config;
    renamed.name = published.name;
    if (renamed == published) return published.name;
  }
  if (std::holds_alternative<EfficientNetLiteConfig>(config.backbone)) {
    return "semsam-efficientnet-lite-custom";
  }
  return config.decoder.tokens > 0 ? "semantic-sam-swin-custom" : "openseed-swin-custom";
}

}  // namespace

absl::StatusOr<ModelConfig> InferConfig(std::span<const TensorView> tensors) {
  const Shapes shapes(tensors);
  ModelConfig config;
  SEMSAM_ASSIGN_OR_RETURN(config.backbone, InferBackbone(shapes));
  SEMSAM_RETURN_IF_ERROR(InferPixelDecoder(shapes, config.pixel_decoder));
  SEMSAM_RETURN_IF_ERROR(InferDecoder(shapes, config.pixel_decoder.feature_levels, config.decoder));
  const int tokens = config.decoder.tokens;
  if (tokens != static_cast<int>(config.level_to_token.size())) {
    if (tokens > kMaxCounted) return Bad("there are too many mask tokens");
    config.level_to_token.resize(static_cast<size_t>(tokens));
    std::iota(config.level_to_token.begin(), config.level_to_token.end(), 0);
  }
  SEMSAM_ASSIGN_OR_RETURN(config.text, InferText(shapes, config.decoder.text_dim));
  SEMSAM_ASSIGN_OR_RETURN(config.vocabulary, InferVocabulary(shapes, config.text.has_value()));
  config.capabilities = InferCapabilities(shapes, config);
  if (tokens == 0 && !config.vocabulary) {
    return Bad(absl::StrCat("it has neither ", kPredictor, ".mask_tokens.weight (prompts) nor ",
                            kPredictor, ".enc_output.weight with a text encoder (words)"));
  }
  config.name = InferName(config);
  if (const absl::Status status = CheckConfig(config); !status.ok()) {
    return Bad(std::string(status.message()));
  }
  return config;
}

}  // namespace semsam
