// The network on the training path: one graph from the loss to every weight.
// In double precision, so that central differences mean something.
#include <c10/core/GradMode.h>
#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "model/net/load_model.h"

namespace semsam {
namespace {

constexpr char kPredictor[] = "sem_seg_head.predictor.";

// A tiny model whose weights learn, one picture, three prompts and five words.
class Training : public ::testing::Test {
 protected:
  void SetUp() override {
    at::manual_seed(5);
    auto file = ModelFile::Open("formula:swin-tiny");
    ASSERT_TRUE(file.ok()) << file.status();
    config_ = (*file)->config();
    auto weights = CopyWeights((*file)->weights(), at::kCPU);
    ASSERT_TRUE(weights.ok()) << weights.status();
    for (const auto& [name, tensor] : *weights) {
      weights_[name] = tensor.to(at::kDouble).requires_grad_(true);
    }
    // Not whole windows at any stage: padding and shifts take part.
    image_ = at::randn({2, 3, 96, 64}, at::kDouble);
    boxes_ = at::tensor({0.3, 0.4, 0.005, 0.005, 0.7, 0.2, 0.005, 0.005, 0.5, 0.6, 0.4, 0.5},
                        at::kDouble)
                 .view({3, 4});
    text_ = at::randn({5, config_.decoder.text_dim}, at::kDouble);
    text_ = text_ / text_.norm(2, {1}, /*keepdim=*/true);
  }

  // As a step of a trainer does, from the weights as they are.
  SemanticSam Network() const { return {config_, TensorMap(weights_), path_}; }

  // A sum over all of `tensor` in which every element has its own weight.
  static at::Tensor Mix(const at::Tensor& tensor) {
    return (tensor * at::arange(1, tensor.numel() + 1, tensor.options()).sin().view_as(tensor))
        .mean();
  }

  // What the losses of one layer read.
  at::Tensor HeadLoss(const SemanticSam& network, const at::Tensor& queries,
                      const at::Tensor& references, const ImageFeatures& image) const {
    return Mix(network.PredictMasks(queries, image)) +
           Mix(network.decoder().PredictBoxes(queries, references)) +
           Mix(network.class_heads().Logits(LabelHead::kObject, queries, text_)) +
           Mix(network.class_heads().Logits(LabelHead::kPart, queries, text_));
  }

  DecoderOutput RunPrompts(const SemanticSam& network,
                           const std::vector<ImageFeatures>& images) const {
    const std::vector<ops::PyramidMemory> memories = {images[0].memory, images[1].memory};
    return network.decoder().Forward({.images = memories,
                                      .image_of_prompt = {0, 1, 0},
                                      .boxes = boxes_,
                                      .point_or_box = at::tensor({1, 1, 0}, at::kLong)},
                                     /*every_layer=*/true);
  }

  at::Tensor PromptLoss() const {
    const SemanticSam network = Network();
    const std::vector<ImageFeatures> images = network.Encode(image_);
    const DecoderOutput output = RunPrompts(network, images);
    at::Tensor loss = at::zeros({}, at::kDouble);
    for (size_t layer = 0; layer < output.layers.size(); ++layer) {
      const at::Tensor& queries = output.layers[layer].twice;
      loss = loss + HeadLoss(network, queries, output.references[layer], images[layer % 2]) +
             Mix(network.decoder().PredictIous(queries));
    }
    return loss;
  }

  at::Tensor WordLoss() const {
    const SemanticSam network = Network();
    const ImageFeatures image = network.Encode(image_)[0];
    const QuerySelection& selection = *network.query_selection();
    const TokenProposals proposals = selection.Propose(image.memory);
    const SelectedQueries selected = selection.Select(
        proposals, network.class_heads(), LabelHead::kObject, text_, network.decoder(), 7);
    const std::vector<ops::PyramidMemory> memories = {image.memory};
    const int64_t count = selected.content.size(0);
    const DecoderOutput output =
        network.decoder().Forward({.images = memories,
                                   .image_of_query = std::vector<int>(count, 0),
                                   .content = selected.content,
                                   .references = selected.references,
                                   .queries_per_group = count},
                                  /*every_layer=*/true);
    at::Tensor loss = Mix(selected.scores.index_select(0, selected.tokens));
    for (size_t layer = 0; layer < output.layers.size(); ++layer) {
      loss = loss + HeadLoss(network, output.layers[layer].once, output.references[layer], image);
    }
    return loss;
  }

  // The directional derivative of PromptLoss by weight `name` along a random
  // direction, against central differences.
  void ExpectCentralDifference(const std::string& name) {
    ASSERT_TRUE(weights_.contains(name)) << name;
    const at::Tensor weight = weights_[name].detach();
    const at::Tensor gradient = weights_[name].grad();
    ASSERT_TRUE(gradient.defined()) << name;
    const c10::NoGradGuard no_grad;
    constexpr double kStep = 1e-6;
    const at::Tensor kept = weight.clone();
    const at::Tensor direction = at::randn_like(weight);
    const double expected = (gradient * direction).sum().item<double>();
    weight.copy_(kept + direction * kStep);
    const double above = PromptLoss().item<double>();
    weight.copy_(kept - direction * kStep);
    const double below = PromptLoss().item<double>();
    weight.copy_(kept);
    const double actual = (above - below) / (2 * kStep);
    EXPECT_NEAR(actual, expected, 1e-4 * std::abs(expected) + 1e-8) << name;
    EXPECT_NE(expected, 0) << name;
  }

  std::vector<std::string> WithoutGradient() const {
    std::vector<std::string> names;
    for (const auto& [name, tensor] : weights_) {
      if (!tensor.grad().defined() || tensor.grad().abs().max().item<double>() == 0) {
        names.push_back(name);
      }
    }
    return names;
  }

  ops::Path path_ = ops::Path::kTraining;
  ModelConfig config_;
  std::map<std::string, at::Tensor> weights_;
  at::Tensor image_;
  at::Tensor boxes_;
  at::Tensor text_;
};

// One decoder layer: with more, a layer deliberately does not train through the
// box it is given, which differences cannot know.
TEST_F(Training, GradientsOfPromptsEqualCentralDifferences) {
  config_.decoder.layers = 1;
  PromptLoss().backward();
  const std::string predictor = kPredictor;
  const std::string encoder = "sem_seg_head.pixel_decoder.transformer.encoder.layers.";
  for (const std::string& name :
       {std::string("backbone.patch_embed.proj.weight"),
        std::string("backbone.norm1.weight"),
        std::string("backbone.layers.1.blocks.1.attn.relative_position_bias_table"),
        std::string("backbone.layers.1.blocks.1.attn.qkv.bias"),
        std::string("backbone.layers.0.blocks.0.mlp.fc1.weight"),
        std::string("backbone.layers.2.downsample.reduction.weight"),
        std::string("sem_seg_head.pixel_decoder.input_proj.3.0.weight"),
        std::string("sem_seg_head.pixel_decoder.transformer.level_embed"),
        encoder + "0.self_attn.sampling_offsets.weight",
        encoder + "0.self_attn.attention_weights.bias",
        encoder + "1.self_attn.value_proj.weight",
        encoder + "1.linear2.weight",
        std::string("sem_seg_head.pixel_decoder.layer_1.weight"),
        std::string("sem_seg_head.pixel_decoder.mask_features.weight"),
        predictor + "decoder.layers.0.self_attn.in_proj_weight",
        predictor + "decoder.layers.0.cross_attn.sampling_offsets.weight",
        predictor + "decoder.layers.0.cross_attn.attention_weights.weight",
        predictor + "decoder.layers.0.cross_attn.value_proj.weight",
        predictor + "decoder.layers.0.linear1.bias",
        predictor + "decoder_norm.weight",
        predictor + "decoder.ref_point_head.layers.0.weight",
        predictor + "_bbox_embed.layers.2.weight",
        predictor + "mask_embed.layers.0.weight",
        predictor + "iou_prediction_head.layers.1.weight",
        predictor + "mask_tokens.weight",
        predictor + "pb_embedding.weight",
        predictor + "label_enc.weight",
        predictor + "class_embed",
        predictor + "class_embed_part",
        predictor + "lang_encoder.logit_scale"}) {
    ExpectCentralDifference(name);
  }
}

TEST_F(Training, EveryWeightThatPromptsAndWordsUseLearns) {
  (PromptLoss() + WordLoss()).backward();
  for (const std::string& name : WithoutGradient()) {
    // Texts are embedded beforehand; nothing reads lang_mapper.
    const std::string text = std::string(kPredictor) + "lang_encoder.";
    EXPECT_TRUE((name.starts_with(text) && name != text + "logit_scale") ||
                name == std::string(kPredictor) + "lang_mapper")
        << name;
  }
}

TEST_F(Training, ALayerDoesNotTrainThroughTheBoxItIsGiven) {
  const auto box_gradient = [&](const auto& loss) {
    for (auto& [name, tensor] : weights_) tensor.mutable_grad() = at::Tensor();
    const SemanticSam network = Network();
    loss(RunPrompts(network, network.Encode(image_))).backward();
    return weights_[std::string(kPredictor) + "_bbox_embed.layers.0.weight"].grad();
  };
  // The last layer sees boxes that the box head refined, but only sees them.
  EXPECT_FALSE(
      box_gradient([](const DecoderOutput& output) { return output.raw.sum(); }).defined());
  EXPECT_TRUE(box_gradient([](const DecoderOutput& output) {
                return output.last_reference.sum();
              }).defined());
}

TEST_F(Training, ThePathOfTrainingComputesWhatTheReferenceDoes) {
  const c10::NoGradGuard no_grad;
  const at::Tensor ours = Network().Encode(image_)[1].memory.memory;
  const double loss = PromptLoss().item<double>();
  path_ = ops::Path::kReference;
  EXPECT_LT((Network().Encode(image_)[1].memory.memory - ours).abs().max().item<double>(), 1e-9);
  EXPECT_NEAR(PromptLoss().item<double>(), loss, 1e-9);
}

}  // namespace
}  // namespace semsam
