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
#include "model/net/additions.h"
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

// Queries of one image after a layer of the decoder, as the heads read them. Where
// they come from says which rules of the published code hold.
struct HeadInput {
  at::Tensor queries;      // [N, C] twice normed
  at::Tensor box_queries;  // [N, C]: of prompts the same, of generic queries normed once
  at::Tensor references;   // [N, 4] boxes that went into the layer
  // [P, 2] x, y in 0..1 of the padded image: the middles of the prompts, N / P queries
  // each, prompt-major; undefined for generic queries.
  at::Tensor centres;
};

// What the heads say of queries of one image.
struct Predictions {
  at::Tensor masks;          // [N, grid.height, grid.width] logits
  at::Tensor boxes;          // [N, 4] cx, cy, w, h relative to the padded image
  at::Tensor label_queries;  // [N, C]: what ClassHeads::Logits reads
  at::Tensor ious;           // [N] raw; undefined for generic queries
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

  // Mask logits of `queries` [N, C] on one image: [N, grid.area()]. `centres` as in
  // HeadInput.
  at::Tensor PredictMasks(const at::Tensor& queries, const ImageFeatures& image,
                          const at::Tensor& centres = {}) const;
  // What the IoU and class heads read: `queries` [N, C] themselves, or with what lies
  // under their masks, logits [N, grid.area()], in a model with pooled features.
  at::Tensor LabelQueries(const at::Tensor& queries, const at::Tensor& masks,
                          const ImageFeatures& image) const;
  // All heads.
  Predictions Predict(const HeadInput& input, const ImageFeatures& image) const;

  // For training: all heads after every layer, [images][layers], each with the queries
  // of that image in their order; an image without queries has no layers. The last
  // layer is what Segmenter::Decode answers. `input.images` is not read: the memories
  // are those of `images`.
  std::vector<std::vector<Predictions>> PredictLayers(absl::Span<const ImageFeatures> images,
                                                      DecoderInput input) const;
  // The same of generic queries, denoising ones among them.
  std::vector<std::vector<Predictions>> PredictLayers(absl::Span<const ImageFeatures> images,
                                                      QueryInput input) const;
  // What the proposals say before any layer, [K, ...] (Mask DINO's intermediate
  // outputs): here the chosen queries train what proposed them.
  Predictions PredictProposals(const SelectedQueries& selected, const ImageFeatures& image) const;

 private:
  ModelConfig config_;
  ops::Path path_;
  std::unique_ptr<Backbone> backbone_;
  PixelDecoder pixel_decoder_;
  Decoder decoder_;
  ClassHeads class_heads_;
  std::optional<QuerySelection> query_selection_;
  std::optional<PromptMapHead> prompt_maps_;
  std::optional<PooledFeatures> pooled_features_;
  at::Tensor pixel_mean_;  // [3, 1, 1]
  at::Tensor pixel_std_;   // [3, 1, 1]
};

}  // namespace semsam

#endif  // SEMSAM_MODEL_NET_SEMANTIC_SAM_H_
