#include "model/net/semantic_sam.h"

#include <utility>

namespace semsam {
namespace {

std::vector<ops::PyramidMemory> Memories(absl::Span<const ImageFeatures> images) {
  std::vector<ops::PyramidMemory> memories;
  for (const ImageFeatures& image : images) memories.push_back(image.memory);
  return memories;
}

// [images]: the indices in `image_of` of each.
std::vector<std::vector<int64_t>> RowsOfImages(size_t images, const std::vector<int>& image_of) {
  std::vector<std::vector<int64_t>> rows(images);
  for (size_t i = 0; i < image_of.size(); ++i) {
    const auto image = static_cast<size_t>(image_of[i]);
    TORCH_CHECK(image < images, "there is no image ", image_of[i]);
    rows[image].push_back(static_cast<int64_t>(i));
  }
  return rows;
}

}  // namespace

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
  const DecoderAdditions& additions = config.decoder.additions;
  if (additions.prompt_maps.count() > 0) prompt_maps_.emplace(config, weights, path);
  if (additions.pooled_features) pooled_features_.emplace(weights, path);
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

at::Tensor SemanticSam::PredictMasks(const at::Tensor& queries, const ImageFeatures& image,
                                     const at::Tensor& centres) const {
  at::Tensor logits;
  if (image.mask_panels.defined()) {
    const at::Tensor folded = decoder_.FoldedMaskEmbeddings(queries);
    const int64_t channels = folded.size(1) - 1;
    logits = at::empty({queries.size(0), image.grid.area()}, queries.options());
    ops::PackedLinear(folded.slice(1, 0, channels), image.mask_panels, /*bias=*/{},
                      ops::cpu::Activation::kNone, logits);
    logits.add_(folded.slice(1, channels));
  } else {
    logits = at::matmul(decoder_.MaskEmbeddings(queries), image.mask_features.t());
  }
  if (!prompt_maps_ || !centres.defined()) return logits;
  return prompt_maps_->AddTo(logits, queries, centres, image.grid);
}

at::Tensor SemanticSam::LabelQueries(const at::Tensor& queries, const at::Tensor& masks,
                                     const ImageFeatures& image) const {
  if (!pooled_features_) return queries;
  return queries + (*pooled_features_)(masks, image.grid, image.memory);
}

Predictions SemanticSam::Predict(const HeadInput& input, const ImageFeatures& image) const {
  Predictions said;
  const at::Tensor masks = PredictMasks(input.queries, image, input.centres);
  said.masks = masks.view({-1, image.grid.height, image.grid.width});
  said.boxes = decoder_.PredictBoxes(input.box_queries, input.references);
  said.label_queries = LabelQueries(input.queries, masks, image);
  if (input.centres.defined()) said.ious = decoder_.PredictIous(said.label_queries);
  return said;
}

std::vector<std::vector<Predictions>> SemanticSam::PredictLayers(
    absl::Span<const ImageFeatures> images, DecoderInput input) const {
  const std::vector<ops::PyramidMemory> memories = Memories(images);
  input.images = memories;
  const DecoderOutput output = decoder_.Forward(input, /*every_layer=*/true);
  const auto rows = RowsOfImages(images.size(), input.image_of_prompt);
  const int64_t tokens = config_.decoder.tokens;
  std::vector<std::vector<Predictions>> said(images.size());
  for (size_t i = 0; i < images.size(); ++i) {
    if (rows[i].empty()) continue;
    const at::Tensor prompts = at::tensor(rows[i]).to(input.boxes.device());
    const auto of_image = [&](const at::Tensor& all) {
      return all.view({-1, tokens, all.size(1)}).index_select(0, prompts).flatten(0, 1);
    };
    const at::Tensor centres = input.boxes.slice(1, 0, 2).index_select(0, prompts);
    for (size_t layer = 0; layer < output.layers.size(); ++layer) {
      const at::Tensor queries = of_image(output.layers[layer].twice);
      said[i].push_back(Predict({.queries = queries,
                                 .box_queries = queries,
                                 .references = of_image(output.references[layer]),
                                 .centres = centres},
                                images[i]));
    }
  }
  return said;
}

std::vector<std::vector<Predictions>> SemanticSam::PredictLayers(
    absl::Span<const ImageFeatures> images, QueryInput input) const {
  const std::vector<ops::PyramidMemory> memories = Memories(images);
  input.images = memories;
  const DecoderOutput output = decoder_.Forward(input, /*every_layer=*/true);
  const auto rows = RowsOfImages(images.size(), input.image_of_query);
  std::vector<std::vector<Predictions>> said(images.size());
  for (size_t i = 0; i < images.size(); ++i) {
    if (rows[i].empty()) continue;
    const at::Tensor index = at::tensor(rows[i]).to(input.content.device());
    for (size_t layer = 0; layer < output.layers.size(); ++layer) {
      const NormedQueries& normed = output.layers[layer];
      said[i].push_back(Predict({.queries = normed.twice.index_select(0, index),
                                 .box_queries = normed.once.index_select(0, index),
                                 .references = output.references[layer].index_select(0, index)},
                                images[i]));
    }
  }
  return said;
}

Predictions SemanticSam::PredictProposals(const SelectedQueries& selected,
                                          const ImageFeatures& image) const {
  const at::Tensor queries = decoder_.Norm(selected.proposed_content);
  const at::Tensor masks = PredictMasks(queries, image);
  return {.masks = masks.view({-1, image.grid.height, image.grid.width}),
          .boxes = selected.proposed_references,
          .label_queries = LabelQueries(queries, masks, image)};
}

}  // namespace semsam
