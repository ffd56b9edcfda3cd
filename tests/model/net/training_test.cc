// The network on the training path: one graph from the loss to every weight.
// In double precision, so that central differences mean something.
#include <c10/core/GradMode.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/model/net/training_fixture.h"

namespace semsam {
namespace {

using testing::kPredictor;

class Training : public testing::TrainingFixture {
 protected:
  void SetUp() override { Load("formula:swin-tiny"); }

  // What the losses of one layer read.
  at::Tensor HeadLoss(const SemanticSam& network, const at::Tensor& queries,
                      const at::Tensor& references, const ImageFeatures& image) const {
    return Mix(network.PredictMasks(queries, image)) +
           Mix(network.decoder().PredictBoxes(queries, references)) + LabelLoss(network, queries);
  }

  DecoderOutput RunPrompts(const SemanticSam& network,
                           const std::vector<ImageFeatures>& images) const {
    const std::vector<ops::PyramidMemory> memories = {images[0].memory, images[1].memory};
    DecoderInput prompts = Prompts();
    prompts.images = memories;
    return network.decoder().Forward(prompts, /*every_layer=*/true);
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
    ExpectCentralDifference(name, [&] { return PromptLoss(); });
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
    ForgetGradients();
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

// With one layer more, a box would reach back through the boxes before it.
TEST_F(Training, ABoxTrainsOneLayerBackAlone) {
  const SemanticSam network = Network();
  const std::vector<ImageFeatures> images = network.Encode(image_);
  const std::vector<ops::PyramidMemory> memories = {images[0].memory};
  const at::Tensor references = boxes_.clone().requires_grad_(true);
  const DecoderOutput output = network.decoder().Forward(
      QueryInput{.images = memories,
                 .image_of_query = {0, 0, 0},
                 .content = at::randn({3, config_.pixel_decoder.hidden_dim}, at::kDouble),
                 .references = references,
                 .queries_per_group = 3},
      /*every_layer=*/true);
  (output.references[1].sum() + output.references[2].sum()).backward();
  EXPECT_FALSE(references.grad().defined());
  output.references[0].sum().backward();
  EXPECT_TRUE(references.grad().defined());
}

TEST_F(Training, TheDecoderDoesNotTrainWhatChoseItsQueries) {
  const std::string chooser = std::string(kPredictor) + "enc_output.weight";
  const SemanticSam network = Network();
  const std::vector<ImageFeatures> images = network.Encode(image_.slice(0, 0, 1));
  const QuerySelection& selection = *network.query_selection();
  const SelectedQueries selected =
      selection.Select(selection.Propose(images[0].memory), network.class_heads(),
                       LabelHead::kObject, text_, network.decoder(), 7);
  const int64_t count = selected.content.size(0);
  const auto layers =
      network.PredictLayers(images, QueryInput{.image_of_query = std::vector<int>(count, 0),
                                               .content = selected.content,
                                               .references = selected.references,
                                               .queries_per_group = count});
  at::Tensor loss = at::zeros({}, at::kDouble);
  for (const Predictions& layer : layers.at(0)) {
    EXPECT_FALSE(layer.ious.defined());
    loss = loss + Mix(layer.masks) + Mix(layer.boxes) + LabelLoss(network, layer.label_queries);
  }
  loss.backward();
  EXPECT_FALSE(weights_[chooser].grad().defined());
  // The learned ones are its own.
  EXPECT_TRUE(weights_[std::string(kPredictor) + "query_feat.weight"].grad().defined());
  EXPECT_TRUE(weights_[std::string(kPredictor) + "query_embed.weight"].grad().defined());

  ForgetGradients();
  const SemanticSam again = Network();
  const ImageFeatures image = again.Encode(image_)[0];
  const Predictions proposals = again.PredictProposals(
      again.query_selection()->Select(again.query_selection()->Propose(image.memory),
                                      again.class_heads(), LabelHead::kObject, text_,
                                      again.decoder(), 7),
      image);
  EXPECT_EQ(proposals.boxes.size(0), 7);
  for (const at::Tensor& said : {proposals.masks, proposals.boxes, proposals.label_queries}) {
    ForgetGradients();
    Mix(said).backward({}, /*retain_graph=*/true);
    EXPECT_TRUE(weights_[chooser].grad().defined());
  }
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
