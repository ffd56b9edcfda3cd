// The one table of names and shapes: what a model of a given configuration is
// made of. Loading, checking, converting and deterministic filling all read it.
//
// Names are those of the published checkpoints without their "model." prefix; those of
// EfficientNet-Lite, which none of them has, are our own.
//
// Thread-safety: free functions.
#ifndef SEMSAM_MODEL_WEIGHTS_WEIGHT_TABLE_H_
#define SEMSAM_MODEL_WEIGHTS_WEIGHT_TABLE_H_

#include <cstdint>
#include <string>
#include <vector>

#include "model/base/model_config.h"
#include "model/weights/dtype.h"

namespace semsam {

inline constexpr char kComputedKind[] = "computed";
// Of depthwise convolutions: training leaves both as they are (model/net/efficientnet_lite.h).
inline constexpr char kDepthwiseKind[] = "depthwise";
inline constexpr char kDepthwiseBiasKind[] = "depthwise_bias";

struct WeightSpec {
  std::string name;
  std::vector<int64_t> shape;
  DType dtype = DType::kFloat32;
  // The name under which its values are known. Several names share one where
  // the published network has one module in several places; the spec whose
  // name equals it is the canonical one.
  std::string seed_name;
  // What the tensor is for ("weight", "norm", ...); kComputedKind: follows from
  // the configuration and need not be stored.
  std::string kind;
  float offset = 0;  // deterministic fill: offset + scale * u, u in [-1, 1)
  float scale = 0;
  // The model keeps to its capabilities without it: computed tensors, and what of
  // the class heads nothing claims to use.
  bool optional = false;

  bool is_alias() const { return name != seed_name; }
};

// All entries in the order of the published state dictionary. `config` must be
// valid (Validate).
std::vector<WeightSpec> WeightTable(const ModelConfig& config);

}  // namespace semsam

#endif  // SEMSAM_MODEL_WEIGHTS_WEIGHT_TABLE_H_
