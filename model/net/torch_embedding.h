// An encoded image of TorchSegmenter.
#ifndef SEMSAM_MODEL_NET_TORCH_EMBEDDING_H_
#define SEMSAM_MODEL_NET_TORCH_EMBEDDING_H_

#include <cstdint>
#include <utility>

#include "model/net/semantic_sam.h"
#include "model/segmenter.h"
#include "model/torch/torch.h"

namespace semsam {

class TorchEmbedding final : public Embedding {
 public:
  // `values` [layers, T, C] is what the decoder's ProjectValues gave, or undefined.
  TorchEmbedding(const void* owner, ImageFeatures features, ImageSize network, ImageSize padded,
                 at::Tensor values = {})
      : owner_(owner),
        features_(std::move(features)),
        values_(std::move(values)),
        network_(network),
        padded_(padded) {}

  int64_t size_bytes() const override {
    return features_.size_bytes() +
           (values_.defined() ? static_cast<int64_t>(values_.nbytes()) : 0);
  }
  ImageSize network_size() const override { return network_; }

  // The segmenter that made it: features of another model mean nothing.
  const void* owner() const { return owner_; }
  const ImageFeatures& features() const { return features_; }
  const at::Tensor& values() const { return values_; }
  ImageSize padded_size() const { return padded_; }

 private:
  const void* owner_;
  ImageFeatures features_;
  at::Tensor values_;
  ImageSize network_;
  ImageSize padded_;
};

}  // namespace semsam

#endif  // SEMSAM_MODEL_NET_TORCH_EMBEDDING_H_
