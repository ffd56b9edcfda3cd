#include "model/base/model_config.h"

#include <algorithm>
#include <cmath>

#include "model/base/errors.h"
#include "model/base/status_macros.h"

namespace semsam {
namespace {

absl::Status Positive(int value, const char* field) {
  if (value <= 0) return InvalidField(field, "must be positive");
  return absl::OkStatus();
}

absl::Status ValidateSwin(const SwinConfig& swin) {
  SEMSAM_RETURN_IF_ERROR(Positive(swin.patch_size, "backbone.patch_size"));
  SEMSAM_RETURN_IF_ERROR(Positive(swin.embed_dim, "backbone.embed_dim"));
  SEMSAM_RETURN_IF_ERROR(Positive(swin.window_size, "backbone.window_size"));
  SEMSAM_RETURN_IF_ERROR(Positive(swin.mlp_ratio, "backbone.mlp_ratio"));
  if (swin.depths.size() != 4) return InvalidField("backbone.depths", "must have four entries");
  if (swin.heads.size() != 4) return InvalidField("backbone.heads", "must have four entries");
  for (int stage = 0; stage < 4; ++stage) {
    if (swin.depths[stage] <= 0) return InvalidField("backbone.depths", "must be positive");
    if (swin.heads[stage] <= 0 || (swin.embed_dim << stage) % swin.heads[stage] != 0) {
      return InvalidField("backbone.heads", "must divide the width of each stage");
    }
  }
  return absl::OkStatus();
}

absl::Status ValidateEfficientNetLite(const EfficientNetLiteConfig& net) {
  if (net.stem_width <= 0 || net.stem_width % 16 != 0) {
    return InvalidField("backbone.stem_width", "must be a positive multiple of 16");
  }
  constexpr size_t kStages = kEfficientNetLiteStages.size();
  if (net.widths.size() != kStages) {
    return InvalidField("backbone.widths", "must have seven entries");
  }
  if (net.depths.size() != kStages) {
    return InvalidField("backbone.depths", "must have seven entries");
  }
  for (size_t stage = 0; stage < kStages; ++stage) {
    // Kernels work on whole vectors of channels.
    if (net.widths[stage] <= 0 || net.widths[stage] % 8 != 0) {
      return InvalidField("backbone.widths", "must be positive multiples of 8");
    }
    if (net.depths[stage] <= 0) return InvalidField("backbone.depths", "must be positive");
  }
  return absl::OkStatus();
}

absl::Status ValidateBackbone(const BackboneConfig& backbone) {
  if (const auto* swin = std::get_if<SwinConfig>(&backbone)) return ValidateSwin(*swin);
  return ValidateEfficientNetLite(std::get<EfficientNetLiteConfig>(backbone));
}

}  // namespace

EfficientNetLiteConfig EfficientNetLiteOf(EfficientNetLiteSize size) {
  switch (size) {
    case EfficientNetLiteSize::kLite0:
      return {.widths = {16, 24, 40, 80, 112, 192, 320}, .depths = {1, 2, 2, 3, 3, 4, 1}};
    case EfficientNetLiteSize::kLite1:
      return {.widths = {16, 24, 40, 80, 112, 192, 320}, .depths = {1, 3, 3, 4, 4, 5, 1}};
    case EfficientNetLiteSize::kLite2:
      return {.widths = {16, 24, 48, 88, 120, 208, 352}, .depths = {1, 3, 3, 4, 4, 5, 1}};
    case EfficientNetLiteSize::kLite3:
      return {.widths = {24, 32, 48, 96, 136, 232, 384}, .depths = {1, 3, 3, 5, 5, 6, 1}};
    case EfficientNetLiteSize::kLite4:
      return {.widths = {24, 32, 56, 112, 160, 272, 448}, .depths = {1, 4, 4, 6, 6, 8, 1}};
  }
  return {};
}

ModelConfig SwinT() { return {.name = "semantic-sam-swin-t", .backbone = SwinConfig{}}; }

ModelConfig SwinL() {
  return {
      .name = "semantic-sam-swin-l",
      .backbone = SwinConfig{
          .embed_dim = 192, .depths = {2, 2, 18, 2}, .heads = {6, 12, 24, 48}, .window_size = 12}};
}

ModelConfig SwinTJoint() {
  ModelConfig config = SwinT();
  config.name = "semantic-sam-swin-t-joint";
  config.text = TextConfig{};
  config.vocabulary = VocabularyConfig{};
  config.capabilities.object_labels = true;
  config.capabilities.part_labels = true;
  config.capabilities.vocabulary = true;
  return config;
}

ModelConfig OpenSeedSwinT() {
  ModelConfig config = {.name = "openseed-swin-t",
                        .backbone = SwinConfig{},
                        .decoder = {.tokens = 0},
                        .text = TextConfig{},
                        .vocabulary = VocabularyConfig{},
                        .level_to_token = {}};
  config.capabilities = {.click_prompts = false, .box_prompts = false, .vocabulary = true};
  return config;
}

ModelConfig SwinTiny() {
  ModelConfig config = SwinTinyWordless();
  config.name = "semantic-sam-swin-tiny";
  config.text = TextConfig{.width = 32, .layers = 2, .heads = 4, .context = 18, .mlp_ratio = 2};
  config.vocabulary = VocabularyConfig{.queries = 20, .learned_queries = 5, .top_instances = 20};
  config.capabilities.object_labels = true;
  config.capabilities.part_labels = true;
  config.capabilities.vocabulary = true;
  return config;
}

ModelConfig SwinTinyWordless() {
  return {.name = "semantic-sam-swin-tiny-wordless",
          .backbone =
              SwinConfig{
                  .embed_dim = 16, .depths = {1, 2, 1, 1}, .heads = {1, 2, 2, 4}, .window_size = 4},
          .pixel_decoder = {.hidden_dim = 64,
                            .layers = 2,
                            .heads = 4,
                            .points = 2,
                            .ffn_dim = 128,
                            .norm_groups = 8,
                            .mask_dim = 64},
          .decoder = {.layers = 2, .heads = 4, .points = 2, .ffn_dim = 128, .text_dim = 64},
          .short_edge_px = 128};
}

ModelConfig SwinTinyExtended() {
  ModelConfig config = SwinTiny();
  config.name = "semantic-sam-swin-tiny-extended";
  config.decoder.additions = {.prompt_maps = {.sigmas = {0.05f, 0.2f}, .ramps = {0.1f, 0.4f}},
                              .click_features = true,
                              .pooled_features = true};
  return config;
}

PromptMapsConfig LitePromptMaps() {
  return {.sigmas = {0.015f, 0.03f, 0.06f, 0.12f, 0.25f, 0.5f}, .ramps = {0.02f, 0.1f, 0.4f}};
}

ModelConfig SemsamLite() {
  ModelConfig config = {.name = "semsam-lite",
                        .backbone = EfficientNetLiteOf(EfficientNetLiteSize::kLite2),
                        .pixel_decoder = {.hidden_dim = 128,
                                          .feature_levels = 3,
                                          .backbone_levels = 3,
                                          .layers = 3,
                                          .ffn_dim = 512,
                                          .mask_dim = 128},
                        .decoder = {.layers = 4,
                                    .ffn_dim = 512,
                                    .text_dim = 256,
                                    .additions = {.prompt_maps = LitePromptMaps(),
                                                  .click_features = true,
                                                  .pooled_features = true}},
                        .text = TextConfig{.width = 192, .layers = 4, .heads = 6, .context = 18},
                        .vocabulary = VocabularyConfig{.queries = 100},
                        // It learns at 320, and is best a little above that.
                        .short_edge_px = 384,
                        // As the ImageNet weights of the backbone were trained.
                        .pixel_mean = {127, 127, 127},
                        .pixel_std = {128, 128, 128}};
  config.capabilities.object_labels = true;
  config.capabilities.part_labels = true;
  config.capabilities.vocabulary = true;
  return config;
}

std::array<int, 4> BackboneChannels(const BackboneConfig& backbone) {
  if (const auto* swin = std::get_if<SwinConfig>(&backbone)) {
    return {swin->embed_dim, swin->embed_dim * 2, swin->embed_dim * 4, swin->embed_dim * 8};
  }
  const std::vector<int>& widths = std::get<EfficientNetLiteConfig>(backbone).widths;
  std::array<int, 4> channels;
  for (size_t i = 0; i < 4; ++i) channels[i] = widths[kEfficientNetLiteFeatures[i]];
  return channels;
}

namespace {

absl::Status ValidateText(const TextConfig& text) {
  SEMSAM_RETURN_IF_ERROR(Positive(text.width, "text.width"));
  SEMSAM_RETURN_IF_ERROR(Positive(text.layers, "text.layers"));
  SEMSAM_RETURN_IF_ERROR(Positive(text.heads, "text.heads"));
  SEMSAM_RETURN_IF_ERROR(Positive(text.vocabulary_size, "text.vocabulary_size"));
  SEMSAM_RETURN_IF_ERROR(Positive(text.mlp_ratio, "text.mlp_ratio"));
  if (text.width % text.heads != 0) return InvalidField("text.heads", "must divide text.width");
  if (text.token_rank < 0 || text.token_rank > text.width) {
    return InvalidField("text.token_rank", "must be between 0 and text.width");
  }
  if (text.context < 3 || text.context > 512) {
    return InvalidField("text.context", "must be between 3 and 512");
  }
  return absl::OkStatus();
}

absl::Status ValidateVocabulary(const VocabularyConfig& vocabulary) {
  SEMSAM_RETURN_IF_ERROR(Positive(vocabulary.queries, "vocabulary.queries"));
  SEMSAM_RETURN_IF_ERROR(Positive(vocabulary.top_instances, "vocabulary.top_instances"));
  if (vocabulary.learned_queries < 0) {
    return InvalidField("vocabulary.learned_queries", "must not be negative");
  }
  for (const auto& [value, field] :
       {std::pair{vocabulary.object_threshold, "vocabulary.object_threshold"},
        std::pair{vocabulary.overlap_threshold, "vocabulary.overlap_threshold"}}) {
    if (!(value >= 0 && value <= 1)) return InvalidField(field, "must lie between 0 and 1");
  }
  if (!(vocabulary.score_temperature > 0)) {
    return InvalidField("vocabulary.score_temperature", "must be positive");
  }
  return absl::OkStatus();
}

absl::Status ValidateDistances(const std::vector<float>& values, const char* field) {
  if (values.size() > 16) return InvalidField(field, "must have at most 16 entries");
  for (const float value : values) {
    if (!(value >= 0.001f && value <= 10)) {
      return InvalidField(field, "must lie between 0.001 and 10");
    }
  }
  return absl::OkStatus();
}

absl::Status ValidateAdditions(const DecoderConfig& decoder) {
  const DecoderAdditions& additions = decoder.additions;
  SEMSAM_RETURN_IF_ERROR(
      ValidateDistances(additions.prompt_maps.sigmas, "decoder.additions.prompt_maps.sigmas"));
  SEMSAM_RETURN_IF_ERROR(
      ValidateDistances(additions.prompt_maps.ramps, "decoder.additions.prompt_maps.ramps"));
  if (decoder.tokens > 0) return absl::OkStatus();
  if (additions.prompt_maps.count() > 0) {
    return InvalidField("decoder.additions.prompt_maps", "needs decoder.tokens");
  }
  if (additions.click_features) {
    return InvalidField("decoder.additions.click_features", "needs decoder.tokens");
  }
  return absl::OkStatus();
}

// Who claims to do something must hold what it takes.
absl::Status ValidateCapabilities(const ModelConfig& config) {
  const Capabilities& can = config.capabilities;
  if (can.click_prompts != (config.decoder.tokens > 0)) {
    return InvalidField("capabilities.click_prompts", "needs decoder.tokens, and they need it");
  }
  if (can.box_prompts && !can.click_prompts) {
    return InvalidField("capabilities.box_prompts", "needs decoder.tokens");
  }
  if (!config.text && (can.object_labels || can.part_labels || can.vocabulary)) {
    return InvalidField("capabilities", "labels and vocabulary need a text encoder");
  }
  if (can.vocabulary != config.vocabulary.has_value()) {
    return InvalidField("capabilities.vocabulary", "needs vocabulary, and that needs it");
  }
  if (!can.click_prompts && !can.vocabulary) {
    return InvalidField("capabilities", "the model can do nothing");
  }
  return absl::OkStatus();
}

absl::Status ValidateLevels(const ModelConfig& config) {
  const int tokens = config.decoder.tokens;
  if (config.level_to_token.empty() != (tokens == 0)) {
    return InvalidField("level_to_token", "must not be empty");
  }
  for (const int token : config.level_to_token) {
    if (token < 0 || token >= tokens ||
        std::count(config.level_to_token.begin(), config.level_to_token.end(), token) != 1) {
      return InvalidField("level_to_token", "must name distinct tokens below decoder.tokens");
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status Validate(const ModelConfig& config) {
  if (config.name.empty()) return InvalidField("name", "must not be empty");
  SEMSAM_RETURN_IF_ERROR(ValidateBackbone(config.backbone));

  const PixelDecoderConfig& pixel = config.pixel_decoder;
  SEMSAM_RETURN_IF_ERROR(Positive(pixel.hidden_dim, "pixel_decoder.hidden_dim"));
  SEMSAM_RETURN_IF_ERROR(Positive(pixel.layers, "pixel_decoder.layers"));
  SEMSAM_RETURN_IF_ERROR(Positive(pixel.heads, "pixel_decoder.heads"));
  SEMSAM_RETURN_IF_ERROR(Positive(pixel.points, "pixel_decoder.points"));
  SEMSAM_RETURN_IF_ERROR(Positive(pixel.ffn_dim, "pixel_decoder.ffn_dim"));
  SEMSAM_RETURN_IF_ERROR(Positive(pixel.norm_groups, "pixel_decoder.norm_groups"));
  SEMSAM_RETURN_IF_ERROR(Positive(pixel.mask_dim, "pixel_decoder.mask_dim"));
  if (pixel.backbone_levels < 3 || pixel.backbone_levels > 4) {
    return InvalidField("pixel_decoder.backbone_levels", "must be 3 or 4");
  }
  if (pixel.feature_levels < pixel.backbone_levels || pixel.feature_levels > 5) {
    return InvalidField("pixel_decoder.feature_levels", "must be from backbone_levels to 5");
  }
  if (pixel.hidden_dim % 4 != 0 || pixel.hidden_dim % pixel.heads != 0 ||
      pixel.hidden_dim % pixel.norm_groups != 0) {
    return InvalidField("pixel_decoder.hidden_dim",
                        "must be a multiple of 4, of the heads and of the norm groups");
  }

  const DecoderConfig& decoder = config.decoder;
  SEMSAM_RETURN_IF_ERROR(Positive(decoder.layers, "decoder.layers"));
  SEMSAM_RETURN_IF_ERROR(Positive(decoder.heads, "decoder.heads"));
  SEMSAM_RETURN_IF_ERROR(Positive(decoder.points, "decoder.points"));
  SEMSAM_RETURN_IF_ERROR(Positive(decoder.ffn_dim, "decoder.ffn_dim"));
  if (decoder.tokens < 0) return InvalidField("decoder.tokens", "must not be negative");
  SEMSAM_RETURN_IF_ERROR(Positive(decoder.text_dim, "decoder.text_dim"));
  if (pixel.hidden_dim % decoder.heads != 0) {
    return InvalidField("decoder.heads", "must divide pixel_decoder.hidden_dim");
  }
  SEMSAM_RETURN_IF_ERROR(ValidateAdditions(decoder));

  if (config.text) SEMSAM_RETURN_IF_ERROR(ValidateText(*config.text));
  if (config.vocabulary) SEMSAM_RETURN_IF_ERROR(ValidateVocabulary(*config.vocabulary));
  SEMSAM_RETURN_IF_ERROR(ValidateLevels(config));
  SEMSAM_RETURN_IF_ERROR(ValidateCapabilities(config));
  SEMSAM_RETURN_IF_ERROR(Positive(config.size_divisor, "size_divisor"));
  if (config.size_divisor % 32 != 0) {
    return InvalidField("size_divisor", "must be a multiple of the last backbone stride, 32");
  }
  if (config.short_edge_px < config.size_divisor || config.short_edge_px > 4096) {
    return InvalidField("short_edge_px", "must be between size_divisor and 4096");
  }
  for (float value : config.pixel_std) {
    if (!(value > 0)) return InvalidField("pixel_std", "must be positive");
  }
  if (!(config.click_size > 0 && config.click_size < 1)) {
    return InvalidField("click_size", "must lie between 0 and 1");
  }
  for (const auto& [value, field] : {std::pair{config.click_point_or_box, "click_point_or_box"},
                                     std::pair{config.box_point_or_box, "box_point_or_box"}}) {
    if (value != 0 && value != 1) return InvalidField(field, "must be 0 or 1");
  }
  return absl::OkStatus();
}

ImageSize PaddedSize(const ModelConfig& config, ImageSize network) {
  const auto round_up = [&](int value) {
    return (value + config.size_divisor - 1) / config.size_divisor * config.size_divisor;
  };
  return {.height = round_up(network.height), .width = round_up(network.width)};
}

}  // namespace semsam
