#include "model/tools/bench/flop.h"

#include <cmath>
#include <variant>

namespace semsam::bench {
namespace {

double SwinFlop(const SwinConfig& swin, double height, double width) {
  double flop = height / 4 * width / 4 * swin.embed_dim * 48 * 2;
  for (int s = 0; s < 4; ++s) {
    const double tokens = height * width / std::pow(16, s + 1) * std::pow(4, s);
    const double c = swin.embed_dim << s;
    const double window_tokens = swin.window_size * swin.window_size;
    flop +=
        swin.depths[s] * tokens * (2 * c * c * (4 + 2 * swin.mlp_ratio) + 4 * window_tokens * c);
    if (s < 3) flop += tokens / 4 * 4 * c * 2 * c * 2;
  }
  return flop;
}

double EfficientNetLiteFlop(const EfficientNetLiteConfig& net, double height, double width) {
  double pixels = height * width / 4;
  double channels = net.stem_width;
  double flop = pixels * 27 * channels * 2;
  for (size_t s = 0; s < kEfficientNetLiteStages.size(); ++s) {
    const EfficientNetLiteStage& stage = kEfficientNetLiteStages[s];
    const double taps = stage.kernel * stage.kernel;
    for (int b = 0; b < net.depths[s]; ++b) {
      const double hidden = channels * stage.expansion;
      if (stage.expansion > 1) flop += pixels * channels * hidden * 2;
      if (b == 0) pixels /= stage.stride * stage.stride;
      channels = net.widths[s];
      flop += pixels * hidden * (taps + channels) * 2;
    }
  }
  return flop;
}

}  // namespace

double EncodeGflop(const ModelConfig& config, double height, double width) {
  const auto* swin = std::get_if<SwinConfig>(&config.backbone);
  double flop =
      swin != nullptr
          ? SwinFlop(*swin, height, width)
          : EfficientNetLiteFlop(std::get<EfficientNetLiteConfig>(config.backbone), height, width);
  const PixelDecoderConfig& pixel = config.pixel_decoder;
  const double c = pixel.hidden_dim;
  double tokens = 0;
  for (int l = 0; l < pixel.feature_levels; ++l) tokens += height * width / std::pow(4, 3 + l);
  const double sampling = pixel.heads * pixel.feature_levels * pixel.points;
  flop += pixel.layers * tokens *
          (2 * c * c * 2 + 2 * c * sampling * 3 + 4 * c * pixel.ffn_dim +
           8 * sampling * c / pixel.heads);
  const double quarter = height * width / 16;
  flop += quarter * 2 * (9 * c * c + BackboneChannels(config.backbone)[0] * c);
  return flop / 1e9;
}

double ClickGflop(const ModelConfig& config, double grid, int clicks) {
  const double c = config.pixel_decoder.hidden_dim;
  const DecoderConfig& decoder = config.decoder;
  const double sampling = decoder.heads * config.pixel_decoder.feature_levels * decoder.points;
  const double queries = static_cast<double>(clicks) * decoder.tokens;
  const double layer = 2 * (2 * c * c + c * c) + 2 * c * c * 4 + 2 * c * sampling * 3 +
                       8 * sampling * c + 2 * c * c * 2 + 4 * c * decoder.ffn_dim + 4 * c * c;
  return (decoder.layers * queries * layer + queries * 2 * c * grid) / 1e9;
}

double EverythingGflop(const ModelConfig& config, double grid, double tokens, int clicks,
                       int group) {
  const double c = config.pixel_decoder.hidden_dim;
  const DecoderConfig& decoder = config.decoder;
  const double samples = decoder.heads * config.pixel_decoder.feature_levels * decoder.points;
  const double queries = static_cast<double>(clicks) * decoder.tokens;
  // A head samples its own channels, and nothing is projected afterwards.
  const double saved = 8 * samples * c * (1 - 1.0 / decoder.heads) + 2 * c * c;
  const double attention = 4 * static_cast<double>(group) * decoder.tokens * c;
  return ClickGflop(config, grid, clicks) +
         decoder.layers * (queries * (attention - saved) + tokens * 2 * c * c) / 1e9;
}

}  // namespace semsam::bench
