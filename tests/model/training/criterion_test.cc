#include "model/training/criterion.h"

#include <c10/core/GradMode.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <tuple>
#include <vector>

#include "model/training/points.h"

namespace semsam {
namespace {

// Two prompts of two tokens on a picture of 16 x 16 with three masks; the second
// target has no mask, and the lower right corner is unknown.
ImageTargets TinyTargets() {
  ImageTargets targets = {
      .masks = at::zeros({3, 16, 16}, at::kByte),
      .boxes =
          at::tensor({.25f, .25f, .5f, .5f, .6f, .5f, .5f, .4f, .4f, .4f, .7f, .6f}).view({3, 4}),
      .has_mask = at::tensor({1, 0, 1}).to(at::kBool),
      .unknown = at::zeros({1, 16, 16}, at::kByte)};
  targets.masks[0].slice(0, 0, 8).slice(1, 0, 8).fill_(1);
  targets.masks[2].slice(0, 2, 11).slice(1, 1, 12).fill_(1);
  targets.unknown[0].slice(0, 12).slice(1, 12).fill_(1);
  targets.prompts = {{.targets = {0, 2}}, {.targets = {1}, .is_box = true}};
  const at::Tensor listed = at::tensor({1, 1, 0}).to(at::kBool);
  targets.objects = {.labels = {0, 1, kUnknownLabel}, .listed = listed, .absent = listed};
  targets.parts = {.labels = {kNoLabel, kUnknownLabel, 1}, .listed = listed, .absent = listed};
  return targets;
}

LayerPredictions TinyPredictions(uint64_t seed) {
  SeededUniform random(seed);
  const auto draw = [&](at::IntArrayRef shape, double scale, double offset) {
    return (random.Draw(shape).to(at::kDouble) * scale + offset).requires_grad_(true);
  };
  return {.masks = draw({4, 4, 4}, 4, -2),
          .boxes = draw({4, 4}, 0.4, 0.2),
          .ious = draw({4}, 1, 0),
          .object_logits = draw({4, 3}, 2, -1),
          .part_logits = draw({4, 3}, 2, -1)};
}

CriterionOptions TinyOptions(PromptMatching matching) {
  // Without importance sampling the points do not move with the logits, and the loss
  // is smooth.
  return {.matching = matching,
          .matcher = {.points = 64},
          .points = {.count = 32, .oversample = 1, .importance = 0},
          .box_prompt = 0.5};
}

std::vector<at::Tensor> Leaves(const LayerPredictions& layer) {
  return {layer.masks, layer.boxes, layer.ious, layer.object_logits, layer.part_logits};
}

// Analytic gradients of all inputs against central differences.
void ExpectGradients(std::vector<LayerPredictions> layers,
                     const std::function<at::Tensor(const std::vector<LayerPredictions>&)>& loss) {
  const at::Tensor total = loss(layers);
  total.backward();
  constexpr double kStep = 1e-6;
  int moving = 0;
  for (LayerPredictions& layer : layers) {
    for (const at::Tensor& leaf : Leaves(layer)) {
      if (!leaf.defined()) continue;
      double* values = leaf.mutable_data_ptr<double>();
      for (int64_t i = 0; i < leaf.numel(); ++i) {
        const double original = values[i];
        values[i] = original + kStep;
        const double above = loss(layers).item<double>();
        values[i] = original - kStep;
        const double below = loss(layers).item<double>();
        values[i] = original;
        const double numeric = (above - below) / (2 * kStep);
        const double analytic =
            leaf.grad().defined() ? leaf.grad().reshape({-1})[i].item<double>() : 0;
        EXPECT_NEAR(analytic, numeric, 1e-5 * (1 + std::abs(numeric))) << leaf.sizes() << " " << i;
        moving += analytic != 0;
      }
    }
  }
  EXPECT_GT(moving, 40);
}

using Recipe = std::tuple<PromptMatching, MaskSampling>;
class CriterionGradients : public ::testing::TestWithParam<Recipe> {};

TEST_P(CriterionGradients, OfPromptLossesEqualFiniteDifferences) {
  CriterionOptions options = TinyOptions(std::get<PromptMatching>(GetParam()));
  options.sampling = std::get<MaskSampling>(GetParam());
  const auto criterion = Criterion::Create(options);
  ASSERT_TRUE(criterion.ok()) << criterion.status();
  const ImageTargets targets = TinyTargets();
  ExpectGradients({TinyPredictions(1), TinyPredictions(2)},
                  [&](const std::vector<LayerPredictions>& layers) {
                    SeededUniform random(7);
                    const auto losses = criterion->PromptLosses(layers, targets, random);
                    EXPECT_TRUE(losses.ok()) << losses.status();
                    return criterion->Total({&*losses, 1}, static_cast<double>(losses->pairs));
                  });
}

INSTANTIATE_TEST_SUITE_P(
    Recipes, CriterionGradients,
    ::testing::Combine(::testing::Values(PromptMatching::kManyToMany, PromptMatching::kManyToOne,
                                         PromptMatching::kOneToOne),
                       ::testing::Values(MaskSampling::kPoints, MaskSampling::kCells)));

TEST(Criterion, TokensWithoutATargetLearnWhatTheirMasksReach) {
  const ImageTargets targets = TinyTargets();
  CriterionOptions options = TinyOptions(PromptMatching::kManyToMany);
  options.sampling = MaskSampling::kCells;
  const auto losses = [&](const LayerPredictions& layer) {
    SeededUniform random(9);
    return *(*Criterion::Create(options)).PromptLosses({layer}, targets, random);
  };
  LayerPredictions layer = TinyPredictions(4);
  const at::Tensor before = losses(layer).layers[0].values[2];
  options.leftover_iou = 2;
  const ImageLosses taught = losses(layer);
  // One token of the second prompt is left, whose only target has no mask: that teaches
  // nothing.
  ASSERT_EQ(taught.matched.targets.size(), 3u);
  EXPECT_TRUE(at::equal(taught.layers[0].values[2], before));

  ImageTargets one = targets;
  one.prompts = {{.targets = {0}}};
  SeededUniform random(9);
  const ImageLosses single = *(*Criterion::Create(options)).PromptLosses({layer}, one, random);
  ASSERT_EQ(single.matched.size(), 1);
  SeededUniform again(9);
  options.leftover_iou = 0;
  const ImageLosses plain = *(*Criterion::Create(options)).PromptLosses({layer}, one, again);
  const CostParts costs =
      PairCosts(layer, one, layer.masks.flatten(1), MaskShares(one.masks, 4, 4));
  at::Tensor expected = at::zeros({}, at::kDouble);
  for (int64_t query = 0; query < 4; ++query) {
    if (query == single.matched.queries[0]) continue;
    expected = expected + (layer.ious[query] - (1 - costs.mask_dice[query][0])).square() * 2;
  }
  EXPECT_NEAR((single.layers[0].values[2] - plain.layers[0].values[2]).item<double>(),
              expected.item<double>(), 1e-4);
  // The masks are not moved by it.
  (single.layers[0].values[2] - plain.layers[0].values[2]).backward();
  EXPECT_LT(layer.masks.grad().abs().max().item<double>(), 1e-9);
  EXPECT_GT(layer.ious.grad().abs().max().item<double>(), 0);
}

TEST(Criterion, GradientsOfGenericQueriesEqualFiniteDifferences) {
  const auto criterion = Criterion::Create(TinyOptions(PromptMatching::kManyToMany));
  ASSERT_TRUE(criterion.ok());
  ImageTargets targets = TinyTargets();
  targets.prompts.clear();
  LayerPredictions layer = TinyPredictions(3);
  layer.ious = at::Tensor();
  ExpectGradients({layer}, [&](const std::vector<LayerPredictions>& layers) {
    SeededUniform random(7);
    const auto losses = criterion->QueryLosses(layers, targets, random);
    EXPECT_TRUE(losses.ok()) << losses.status();
    EXPECT_EQ(losses->pairs, 3);
    return criterion->Total({&*losses, 1}, 3);
  });
}

TEST(MaskShares, AreWhatMasksCoverOfTheCells) {
  at::Tensor masks = at::zeros({2, 4, 6}, at::kByte);
  masks[1].slice(0, 0, 2).slice(1, 0, 1).fill_(1);  // a third of the first cell
  masks[1].slice(0, 2, 4).slice(1, 3, 6).fill_(1);  // the last cell
  const at::Tensor shares = MaskShares(masks, 2, 2);
  ASSERT_EQ(shares.sizes(), (std::vector<int64_t>{2, 4}));
  EXPECT_TRUE(at::equal(shares[0], at::zeros({4})));
  EXPECT_TRUE(at::allclose(shares[1], at::tensor({1.0f / 3, 0.0f, 0.0f, 1.0f})));
}

double Value(const ImageLosses& losses, int term) {
  return losses.layers.back().values[term].item<double>();
}

TEST(Criterion, BoxesAloneTeachNoMask) {
  const auto criterion = Criterion::Create(TinyOptions(PromptMatching::kManyToMany));
  ImageTargets targets = TinyTargets();
  targets.has_mask.fill_(false);
  SeededUniform random(1);
  const std::vector<LayerPredictions> layers = {TinyPredictions(1)};
  const auto losses = criterion->PromptLosses(layers, targets, random);
  ASSERT_TRUE(losses.ok()) << losses.status();
  for (const int term : {0, 1, 2}) EXPECT_EQ(Value(*losses, term), 0) << term;
  for (const int term : {3, 4, 5}) EXPECT_GT(Value(*losses, term), 0) << term;
}

TEST(Criterion, ClassAgnosticDataTeachNoWord) {
  const auto criterion = Criterion::Create(TinyOptions(PromptMatching::kManyToMany));
  ImageTargets targets = TinyTargets();
  for (LabelTargets* labels : {&targets.objects, &targets.parts}) {
    labels->labels.assign(3, kUnknownLabel);
    labels->listed = labels->absent = at::zeros({3}, at::kBool);
  }
  SeededUniform random(1);
  const std::vector<LayerPredictions> layers = {TinyPredictions(1)};
  const auto losses = criterion->PromptLosses(layers, targets, random);
  ASSERT_TRUE(losses.ok());
  for (const int term : {0, 1, 3, 4}) EXPECT_GT(Value(*losses, term), 0) << term;
  for (const int term : {5, 6}) EXPECT_EQ(Value(*losses, term), 0) << term;
}

TEST(Criterion, WhatIsUnknownIsNoBackground) {
  const auto criterion = Criterion::Create(TinyOptions(PromptMatching::kManyToMany));
  ImageTargets targets = TinyTargets();
  targets.prompts = {{.targets = {0}}, {.targets = {0}}};
  const auto bce = [&](double corner) {
    LayerPredictions layer = TinyPredictions(1);
    const c10::NoGradGuard no_grad;
    layer.masks.slice(1, 3).slice(2, 3).fill_(corner);  // in the unknown corner
    layer.masks.slice(1, 2).slice(2, 0, 3).fill_(-1);   // around it
    layer.masks.slice(1, 0, 3).slice(2, 2).fill_(-1);
    SeededUniform random(1);
    const auto losses = criterion->PromptLosses({&layer, 1}, targets, random);
    EXPECT_TRUE(losses.ok());
    return Value(*losses, 0);
  };
  const double with_unknown = bce(8) - bce(-8);
  targets.unknown = at::Tensor();
  const double without = bce(8) - bce(-8);
  EXPECT_GT(without, 0.1);  // a wrong corner costs, where it is known to be background
  EXPECT_LT(with_unknown, 0.5 * without);  // bilinear points beside the corner still count
}

TEST(Criterion, APictureWithoutPromptsCostsNothing) {
  const auto criterion = Criterion::Create({});
  ImageTargets targets = TinyTargets();
  targets.prompts.clear();
  const LayerPredictions none = {.masks = at::zeros({0, 4, 4}),
                                 .boxes = at::zeros({0, 4}),
                                 .ious = at::zeros({0}),
                                 .object_logits = at::zeros({0, 3}),
                                 .part_logits = at::zeros({0, 3})};
  SeededUniform random(1);
  const auto losses = criterion->PromptLosses({&none, 1}, targets, random);
  ASSERT_TRUE(losses.ok()) << losses.status();
  EXPECT_EQ(losses->pairs, 0);
  EXPECT_EQ(criterion->Total({&*losses, 1}, 0).item<double>(), 0);
}

TEST(Criterion, DenoisingQueriesLearnWhatTheyCameFrom) {
  CriterionOptions options = TinyOptions(PromptMatching::kManyToMany);
  ImageTargets targets = TinyTargets();
  targets.prompts.clear();
  const std::vector<LayerPredictions> layers = {TinyPredictions(1)};
  const Pairs pairs = {.queries = {0, 1, 2}, .targets = {2, 1, 0}};
  const auto value = [&](double weight) {
    options.denoising = weight;
    SeededUniform random(1);
    const auto criterion = Criterion::Create(options);
    const auto losses = criterion->DenoisingLosses(layers, targets, pairs, random);
    EXPECT_TRUE(losses.ok()) << losses.status();
    return criterion->Total({&*losses, 1}, 3).item<double>();
  };
  EXPECT_GT(value(1), 1);
  EXPECT_NEAR(value(0.5), 0.5 * value(1), 1e-6);
}

TEST(Criterion, OptionsAndTensorsThatDoNotFitAreErrors) {
  EXPECT_FALSE(Criterion::Create({.weights = {.part = -1}}).ok());
  EXPECT_FALSE(Criterion::Create({.points = {.importance = 2}}).ok());
  EXPECT_FALSE(Criterion::Create({.focal = {.alpha = 2}}).ok());
  EXPECT_FALSE(Criterion::Create({.matching = PromptMatching::kManyToOne, .leftover_iou = 1}).ok());
  const auto criterion = Criterion::Create(TinyOptions(PromptMatching::kManyToMany));
  ImageTargets targets = TinyTargets();
  targets.prompts.resize(1);
  targets.prompts.push_back({});
  targets.prompts.push_back({});  // three prompts, four queries
  SeededUniform random(1);
  const std::vector<LayerPredictions> layers = {TinyPredictions(1)};
  EXPECT_EQ(criterion->PromptLosses(layers, targets, random).status().code(),
            absl::StatusCode::kInvalidArgument);

  targets = TinyTargets();
  LayerPredictions none = TinyPredictions(1);
  none.masks = none.masks.slice(0, 0, 0);
  none.boxes = none.boxes.slice(0, 0, 0);
  const std::vector<LayerPredictions> empty = {none}, uneven = {none, TinyPredictions(1)};
  EXPECT_FALSE(criterion->PromptLosses(empty, targets, random).ok());
  EXPECT_FALSE(criterion->PromptLosses(uneven, targets, random).ok());
  targets.objects.labels.pop_back();  // the label of a target that is matched
  EXPECT_EQ(criterion->PromptLosses(layers, targets, random).status().code(),
            absl::StatusCode::kInternal);
}

}  // namespace
}  // namespace semsam
