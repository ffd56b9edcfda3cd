#include "model/net/semantic_sam.h"

namespace semsam {

int64_t ImageFeatures::size_bytes() const {
  int64_t total = 0;
  for (const at::Tensor* tensor : {&memory.memory, &mask_panels, &mask_features}) {
    if (tensor->defined()) total += static_cast<int64_t>(tensor->nbytes());
  }
  return total;
}

SemanticSam::SemanticSam(const ModelConfig& config, const TensorMap& weights, ops::Path path)
    : config_(config),
      path_(path),
      backbone_(CreateBackbone(config.backbone, weights, path)),
      pixel_decoder_(config.pixel_decoder, weights, path),
      decoder_(config, weights, pixel_decoder_.mask_projection(), path),
      class_heads_(config, weights) {
  if (config.vocabulary) query_selection_.emplace(config, weights, path);
  const at::TensorOptions options = pixel_decoder_.mask_projection().weight.options();
  pixel_mean_ = at::tensor(at::ArrayRef<float>(config.pixel_mean.data(), 3)).view({3, 1, 1});
  pixel_std_ = at::tensor(at::ArrayRef<float>(config.pixel_std.data(), 3)).view({3, 1, 1});
  pixel_mean_ = pixel_mean_.to(options);
  pixel_std_ = pixel_std_.to(options);
}

at::Tensor SemanticSam::Preprocess(const at::Tensor& images, ImageSize padded) const {
  const at::Tensor planes =
      images.to(pixel_mean_.device()).permute({0, 3, 1, 2}).to(pixel_mean_.scalar_type());
  const at::Tensor normalised = (planes - pixel_mean_) / pixel_std_;
  // Padding after normalisation: zero is the mean colour. Black before it would
  // move mask logits by up to ten.
  return at::constant_pad_nd(
      normalised, {0, padded.width - normalised.size(3), 0, padded.height - normalised.size(2)});
}

std::vector<ImageFeatures> SemanticSam::Encode(const at::Tensor& image) const {
  return Finish(pixel_decoder_.Forward(backbone_->Forward(image)));
}

std::vector<ImageFeatures> SemanticSam::Finish(const PixelFeatures& features) const {
  const int64_t batch = features.mask_map.size(0);
  std::vector<ImageFeatures> images(batch);
  for (int64_t b = 0; b < batch; ++b) {
    ImageFeatures& image = images[b];
    std::vector<at::Tensor> levels;
    // The decoder reads the coarsest level first.
    for (auto it = features.multi_scale.rbegin(); it != features.multi_scale.rend(); ++it) {
      image.memory.levels.push_back({static_cast<int>(it->size(1)), static_cast<int>(it->size(2))});
      levels.push_back((*it)[b].reshape({-1, it->size(3)}));
    }
    image.memory.memory = at::cat(levels);
    const at::Tensor map = features.mask_map[b];
    image.grid = {static_cast<int>(map.size(0)), static_cast<int>(map.size(1))};
    const at::Tensor rows = map.reshape({image.grid.area(), -1});
    if (ops::UseCpuKernel(path_, rows)) {
      image.mask_panels = ops::PackPanels(rows);
    } else {
      image.mask_features = pixel_decoder_.mask_projection()(rows);
    }
  }
  return images;
}

at::Tensor SemanticSam::PredictMasks(const at::Tensor& queries, const ImageFeatures& image) const {
  if (!image.mask_panels.defined()) {
    return at::matmul(decoder_.MaskEmbeddings(queries), image.mask_features.t());
  }
  const at::Tensor folded = decoder_.FoldedMaskEmbeddings(queries);
  const int64_t channels = folded.size(1) - 1;
  at::Tensor logits = at::empty({queries.size(0), image.grid.area()}, queries.options());
  ops::PackedLinear(folded.slice(1, 0, channels), image.mask_panels, /*bias=*/{},
                    ops::cpu::Activation::kNone, logits);
  return logits.add_(folded.slice(1, channels));
}

}  // namespace semsam
