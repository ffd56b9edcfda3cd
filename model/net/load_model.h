// From a weight file to a network on a device.
#ifndef SEMSAM_MODEL_NET_LOAD_MODEL_H_
#define SEMSAM_MODEL_NET_LOAD_MODEL_H_

#include <map>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "model/net/semantic_sam.h"
#include "model/net/text_embedder.h"
#include "model/ops/path.h"
#include "model/segmenter.h"
#include "model/torch/torch.h"
#include "model/weights/model_file.h"

namespace semsam {

struct LoadedModel {
  // Keeps the mapping under the tensors of the others; destroyed after them.
  std::unique_ptr<ModelFile> file;
  std::unique_ptr<SemanticSam> network;
  std::unique_ptr<TextEmbedder> text;  // null: the model knows no words
};

// Copies of `weights` in float32 on `device`, by name: they need no file, and a
// trainer may ask for their gradients.
absl::StatusOr<std::map<std::string, at::Tensor>> CopyWeights(const WeightMap& weights,
                                                              at::Device device);

absl::StatusOr<at::Device> ParseDevice(const std::string& device);

absl::StatusOr<LoadedModel> LoadModel(const std::string& weights, at::Device device,
                                      ops::Path path);

}  // namespace semsam

#endif  // SEMSAM_MODEL_NET_LOAD_MODEL_H_
