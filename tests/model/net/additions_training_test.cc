// What our own model adds to the decoder, on the training path.
#include <c10/core/GradMode.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/model/net/training_fixture.h"

namespace semsam {
namespace {

using testing::kPredictor;

class AdditionsTraining : public testing::TrainingFixture {
 protected:
  void SetUp() override { Load("formula:swin-tiny-extended"); }

  std::vector<std::vector<Predictions>> Layers(const SemanticSam& network) const {
    return network.PredictLayers(network.Encode(image_), Prompts());
  }

  at::Tensor MaskLoss() const {
    at::Tensor loss = at::zeros({}, at::kDouble);
    for (const auto& image : Layers(Network())) {
      for (const Predictions& layer : image) loss = loss + Mix(layer.masks) + Mix(layer.boxes);
    }
    return loss;
  }

  at::Tensor ScoreLoss() const {
    const SemanticSam network = Network();
    at::Tensor loss = at::zeros({}, at::kDouble);
    for (const auto& image : Layers(network)) {
      for (const Predictions& layer : image) {
        loss = loss + Mix(layer.ious) + LabelLoss(network, layer.label_queries);
      }
    }
    return loss;
  }
};

// One decoder layer, as a layer does not train through the box it is given.
TEST_F(AdditionsTraining, GradientsOfMasksEqualCentralDifferences) {
  config_.decoder.layers = 1;
  MaskLoss().backward();
  const std::string predictor = kPredictor;
  for (const std::string& name :
       {predictor + "prompt_map_head.layers.0.weight",
        predictor + "prompt_map_head.layers.1.weight", predictor + "prompt_map_head.layers.1.bias",
        predictor + "click_features.weight", predictor + "click_features.bias",
        predictor + "decoder.layers.0.linear1.bias", predictor + "mask_tokens.weight",
        std::string("sem_seg_head.pixel_decoder.input_proj.0.0.weight"),
        std::string("backbone.patch_embed.proj.weight")}) {
    ExpectCentralDifference(name, [&] { return MaskLoss(); });
  }
}

// Of weights that the masks do not depend on: under masks that moved, others would lie.
TEST_F(AdditionsTraining, GradientsOfScoresEqualCentralDifferences) {
  ScoreLoss().backward();
  const std::string predictor = kPredictor;
  for (const std::string& name :
       {predictor + "pooled_norm.weight", predictor + "pooled_norm.bias",
        predictor + "pooled_features.weight", predictor + "pooled_features.bias",
        predictor + "iou_prediction_head.layers.0.weight", predictor + "class_embed"}) {
    ExpectCentralDifference(name, [&] { return ScoreLoss(); });
  }
  // Nothing but the queries themselves would train these.
  EXPECT_FALSE(weights_[predictor + "prompt_map_head.layers.1.weight"].grad().defined());
  EXPECT_FALSE(weights_[predictor + "mask_embed.layers.2.weight"].grad().defined());
}

TEST_F(AdditionsTraining, EveryLayerTrainsTheAdditions) {
  for (size_t layer = 0; layer < 2; ++layer) {
    ForgetGradients();
    const auto said = Layers(Network());
    ASSERT_EQ(said.size(), 2u);
    at::Tensor loss = at::zeros({}, at::kDouble);
    for (const auto& image : said) {
      ASSERT_EQ(image.size(), 2u);
      loss = loss + Mix(image[layer].masks) + Mix(image[layer].ious);
    }
    loss.backward();
    for (const char* name : {"prompt_map_head.layers.1.weight", "click_features.weight",
                             "pooled_norm.weight", "pooled_features.weight"}) {
      const at::Tensor gradient = weights_[std::string(kPredictor) + name].grad();
      ASSERT_TRUE(gradient.defined()) << name << layer;
      EXPECT_GT(gradient.abs().max().item<double>(), 0) << name << layer;
    }
  }
}

TEST_F(AdditionsTraining, ThePathOfTrainingComputesWhatTheReferenceDoes) {
  const c10::NoGradGuard no_grad;
  const double masks = MaskLoss().item<double>();
  const double scores = ScoreLoss().item<double>();
  path_ = ops::Path::kReference;
  EXPECT_NEAR(MaskLoss().item<double>(), masks, 1e-9);
  EXPECT_NEAR(ScoreLoss().item<double>(), scores, 1e-9);
}

// Prompts of several pictures, in any order, are those of each picture alone.
TEST_F(AdditionsTraining, PredictionsArePerPicture) {
  const c10::NoGradGuard no_grad;
  const SemanticSam network = Network();
  const std::vector<ImageFeatures> images = network.Encode(image_);
  const auto together = network.PredictLayers(images, Prompts());
  const std::vector<int64_t> prompts_of[] = {{0, 2}, {1}};
  for (size_t i = 0; i < 2; ++i) {
    const at::Tensor rows = at::tensor(prompts_of[i]);
    DecoderInput input = Prompts();
    input.image_of_prompt.assign(prompts_of[i].size(), 0);
    input.boxes = input.boxes.index_select(0, rows);
    input.point_or_box = input.point_or_box.index_select(0, rows);
    const auto alone = network.PredictLayers({&images[i], 1}, input);
    for (size_t layer = 0; layer < 2; ++layer) {
      const Predictions& a = together[i][layer];
      const Predictions& b = alone[0][layer];
      EXPECT_EQ(a.masks.sizes(), (at::IntArrayRef{rows.size(0) * 6, 24, 16}));
      for (const auto& [x, y] :
           {std::pair{a.masks, b.masks}, std::pair{a.boxes, b.boxes}, std::pair{a.ious, b.ious},
            std::pair{a.label_queries, b.label_queries}}) {
        EXPECT_LT((x - y).abs().max().item<double>(), 1e-9) << i << layer;
      }
    }
  }
  DecoderInput one = Prompts();
  one.image_of_prompt = {1, 1, 1};
  EXPECT_TRUE(network.PredictLayers(images, one)[0].empty());
}

}  // namespace
}  // namespace semsam
