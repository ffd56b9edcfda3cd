#include "model/net/backbone.h"

#include "model/net/efficientnet_lite.h"
#include "model/net/swin.h"

namespace semsam {

std::unique_ptr<Backbone> CreateBackbone(const BackboneConfig& config, const TensorMap& weights,
                                         ops::Path path) {
  if (const auto* swin = std::get_if<SwinConfig>(&config)) {
    return std::make_unique<Swin>(*swin, weights, path);
  }
  return std::make_unique<EfficientNetLite>(std::get<EfficientNetLiteConfig>(config), weights,
                                            path);
}

}  // namespace semsam
