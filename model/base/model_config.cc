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

}  // namespace

ModelConfig SwinT() { return {.name = "semantic-sam-swin-t", .backbone = SwinConfig{}}; }

ModelConfig SwinL() {
  return {
      .name = "semantic-sam-swin-l",
      .backbone = SwinConfig{
          .embed_dim = 192, .depths = {2, 2, 18, 2}, .heads = {6, 12, 24, 48}, .window_size = 12}};
}

ModelConfig SwinTiny() {
  return {.name = "semantic-sam-swin-tiny",
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

std::array<int, 4> BackboneChannels(const BackboneConfig& backbone) {
  const SwinConfig& swin = std::get<SwinConfig>(backbone);
  return {swin.embed_dim, swin.embed_dim * 2, swin.embed_dim * 4, swin.embed_dim * 8};
}

absl::Status Validate(const ModelConfig& config) {
  if (config.name.empty()) return InvalidField("name", "must not be empty");
  SEMSAM_RETURN_IF_ERROR(ValidateSwin(std::get<SwinConfig>(config.backbone)));

  const PixelDecoderConfig& pixel = config.pixel_decoder;
  SEMSAM_RETURN_IF_ERROR(Positive(pixel.hidden_dim, "pixel_decoder.hidden_dim"));
  SEMSAM_RETURN_IF_ERROR(Positive(pixel.layers, "pixel_decoder.layers"));
  SEMSAM_RETURN_IF_ERROR(Positive(pixel.heads, "pixel_decoder.heads"));
  SEMSAM_RETURN_IF_ERROR(Positive(pixel.points, "pixel_decoder.points"));
  SEMSAM_RETURN_IF_ERROR(Positive(pixel.ffn_dim, "pixel_decoder.ffn_dim"));
  SEMSAM_RETURN_IF_ERROR(Positive(pixel.norm_groups, "pixel_decoder.norm_groups"));
  SEMSAM_RETURN_IF_ERROR(Positive(pixel.mask_dim, "pixel_decoder.mask_dim"));
  if (pixel.feature_levels < 3 || pixel.feature_levels > 5) {
    return InvalidField("pixel_decoder.feature_levels", "must be 3, 4 or 5");
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
  SEMSAM_RETURN_IF_ERROR(Positive(decoder.tokens, "decoder.tokens"));
  SEMSAM_RETURN_IF_ERROR(Positive(decoder.text_dim, "decoder.text_dim"));
  if (pixel.hidden_dim % decoder.heads != 0) {
    return InvalidField("decoder.heads", "must divide pixel_decoder.hidden_dim");
  }

  if (config.level_to_token.empty()) {
    return InvalidField("level_to_token", "must not be empty");
  }
  for (size_t i = 0; i < config.level_to_token.size(); ++i) {
    const int token = config.level_to_token[i];
    if (token < 0 || token >= decoder.tokens ||
        std::count(config.level_to_token.begin(), config.level_to_token.end(), token) != 1) {
      return InvalidField("level_to_token", "must name distinct tokens below decoder.tokens");
    }
  }
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
