// What the pixel decoder needs of a backbone.
#ifndef SEMSAM_MODEL_NET_BACKBONE_H_
#define SEMSAM_MODEL_NET_BACKBONE_H_

#include <array>
#include <memory>

#include "model/base/model_config.h"
#include "model/net/tensor_map.h"
#include "model/ops/path.h"
#include "model/torch/torch.h"

namespace semsam {

// Thread-safe: Forward changes nothing.
class Backbone {
 public:
  virtual ~Backbone() = default;

  // image [B, 3, H, W], normalised, H and W multiples of 32 -> res2, res3, res4,
  // res5 as [B, H/s, W/s, C] with s = 4, 8, 16, 32.
  virtual std::array<at::Tensor, 4> Forward(const at::Tensor& image) const = 0;
};

std::unique_ptr<Backbone> CreateBackbone(const BackboneConfig& config, const TensorMap& weights,
                                         ops::Path path);

}  // namespace semsam

#endif  // SEMSAM_MODEL_NET_BACKBONE_H_
