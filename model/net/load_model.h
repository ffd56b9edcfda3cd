// From a weight file to a network on a device.
#ifndef SEMSAM_MODEL_NET_LOAD_MODEL_H_
#define SEMSAM_MODEL_NET_LOAD_MODEL_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "model/net/semantic_sam.h"
#include "model/ops/path.h"
#include "model/segmenter.h"
#include "model/torch/torch.h"
#include "model/weights/model_file.h"

namespace semsam {

struct LoadedModel {
  // Keeps the mapping under the tensors of `network`; destroyed after it.
  std::unique_ptr<ModelFile> file;
  std::unique_ptr<SemanticSam> network;
};

absl::StatusOr<at::Device> ParseDevice(const std::string& device);

absl::StatusOr<LoadedModel> LoadModel(const std::string& weights, at::Device device,
                                      ops::Path path);

}  // namespace semsam

#endif  // SEMSAM_MODEL_NET_LOAD_MODEL_H_
