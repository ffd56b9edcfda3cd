// The whole network: images to features, features and prompts to masks. Torch in
// its interface; the service talks to TorchSegmenter, which wraps it.
#ifndef SEMSAM_MODEL_NET_SEMANTIC_SAM_H_
#define SEMSAM_MODEL_NET_SEMANTIC_SAM_H_

#include <array>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/types/span.h"
#include "model/base/model_config.h"
#include "model/net/backbone.h"
#include "model/net/class_heads.h"
#include "model/net/decoder.h"
#include "model/net/pixel_decoder.h"
#include "model/net/query_selection.h"
#include "model/net/tensor_map.h"
#include "model/ops/path.h"

namespace semsam {

// What a click needs of an image, and words too.
struct ImageFeatures {
  ops::PyramidMemory memory;  // [T, C], levels 1/64 to 1/8 (or 1/4)
  ImageSize grid;             // of the masks: padded / 4
  // Native path: the mask map in the order of the CPU kernels. Otherwise the
  // published mask features [grid.area(), M].
  at::Tensor mask_panels;
  at::Tensor mask_features;

  int64_t size_bytes() const;
};

// Thread-safe: nothing changes after construction.
class SemanticSam {
 public:
  SemanticSam(const ModelConfig& config, const TensorMap& weights, ops::Path path);

  const ModelConfig& config() const { return config_; }
  const Backbone& backbone() const { return *backbone_; }
  const PixelDecoder& pixel_decoder() const { return pixel_decoder_; }
  const Decoder& decoder() const { return decoder_; }
  const ClassHeads& class_heads() const { return class_heads_; }
  // Null for a model without a vocabulary.
  const QuerySelection* query_selection() const {
    return query_selection_ ? &*query_selection_ : nullptr;
  }
  ops::Path path() const { return path_; }

  // Images of one size, [B, H, W, 3] uint8 RGB, unpadded -> [B, 3, Hp, Wp]
  // normalised, padded right and bottom with the mean colour.
  at::Tensor Preprocess(const at::Tensor& images, ImageSize padded) const;

  // image as Preprocess gives it -> one entry an image.
  std::vector<ImageFeatures> Encode(const at::Tensor& image) const;
  // The second half of Encode, for callers that want the features themselves.
  std::vector<ImageFeatures> Finish(const PixelFeatures& features) const;

  // Mask logits of `queries` [N, C] on one image: [N, grid.area()].
  at::Tensor PredictMasks(const at::Tensor& queries, const ImageFeatures& image) const;

 private:
  ModelConfig config_;
  ops::Path path_;
  std::unique_ptr<Backbone> backbone_;
  PixelDecoder pixel_decoder_;
  Decoder decoder_;
  ClassHeads class_heads_;
  std::optional<QuerySelection> query_selection_;
  at::Tensor pixel_mean_;  // [3, 1, 1]
  at::Tensor pixel_std_;   // [3, 1, 1]
};

}  // namespace semsam

#endif  // SEMSAM_MODEL_NET_SEMANTIC_SAM_H_
