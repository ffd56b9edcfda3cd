#include "model/net/backbone.h"

#include "model/net/swin.h"

namespace semsam {

std::unique_ptr<Backbone> CreateBackbone(const BackboneConfig& config, const TensorMap& weights,
                                         ops::Path path) {
  return std::make_unique<Swin>(std::get<SwinConfig>(config), weights, path);
}

}  // namespace semsam
