#include "model/training/prompts.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <set>

#include "model/image/run_length_sets.h"

namespace semsam {
namespace {

constexpr ImageSize kSize = {32, 48};
constexpr ImageSize kPadded = {64, 64};

Annotation Rectangle(int id, int x, int y, int width, int height) {
  Annotation annotation;
  annotation.id = id;
  annotation.mask = BoxMask({.x = x, .y = y, .width = width, .height = height}, kSize);
  annotation.box = TightBox(*annotation.mask);
  return annotation;
}

// Three nested rectangles: whoever clicks the smallest clicks all of them.
Sample Nested() {
  Sample sample = {.name = "nested", .size = kSize};
  sample.annotations = {Rectangle(1, 2, 2, 40, 28), Rectangle(2, 10, 8, 20, 16),
                        Rectangle(3, 14, 10, 6, 6)};
  sample.vocabulary = std::make_shared<Vocabulary>();
  return sample;
}

TrainingPrompts Made(const Sample& sample, const PromptOptions& options,
                     const StepWords& words = {}) {
  Random random(5);
  auto prompts = MakeTrainingPrompts(sample, kPadded, words, options, random);
  EXPECT_TRUE(prompts.ok()) << prompts.status();
  return *std::move(prompts);
}

TEST(Prompts, AClickStandsForAllMasksThatContainIt) {
  const TrainingPrompts made = Made(Nested(), {.count = 30, .box_share = 0});
  ASSERT_EQ(made.prompts.size(), 30);
  ASSERT_EQ(made.targets.prompts.size(), 30);
  int clicks_of_smallest = 0;
  for (size_t i = 0; i < 30; ++i) {
    const Prompt& prompt = made.prompts[i];
    const std::vector<int64_t>& targets = made.targets.prompts[i].targets;
    EXPECT_FALSE(made.targets.prompts[i].is_box);
    EXPECT_NEAR(prompt.w, 6.0 / 48, 0.005 * 6.0 / 48);  // noise of a point: 0.4 percent
    // Every target, and no other mask, has the click inside.
    const int x = static_cast<int>(prompt.cx * 48 + 0.25);
    const int y = static_cast<int>(prompt.cy * 32 + 0.25);
    for (int64_t target = 0; target < 3; ++target) {
      const bool inside = made.targets.masks[target][y][x].item<int>() == 1;
      const bool listed = std::count(targets.begin(), targets.end(), target) == 1;
      EXPECT_EQ(inside, listed) << i << " " << target;
    }
    if (targets.front() == 2) {
      ++clicks_of_smallest;
      EXPECT_EQ(std::set<int64_t>(targets.begin(), targets.end()), (std::set<int64_t>{0, 1, 2}));
    }
  }
  EXPECT_EQ(clicks_of_smallest, 10);  // each annotation is clicked as often
}

TEST(Prompts, OfNamedDataAClickStandsForItsOwnMaskUnlessToldOtherwise) {
  Sample sample = Nested();
  sample.annotations[0].object_name = "car";
  for (const PromptTarget& prompt : Made(sample, {.box_share = 0}).targets.prompts) {
    EXPECT_EQ(prompt.targets.size(), 1);
  }
  size_t most = 0;
  const PromptOptions all = {.box_share = 0, .click_targets = ClickTargets::kAll, .tokens = 2};
  for (const PromptTarget& prompt : Made(sample, all).targets.prompts) {
    most = std::max(most, prompt.targets.size());
  }
  EXPECT_EQ(most, 2);  // of three nested masks: no more than there are tokens
}

TEST(Prompts, BoxesStandForOneMaskAndAreInexact) {
  const TrainingPrompts made = Made(Nested(), {.box_share = 1, .box_row = 1});
  double moved = 0;
  for (size_t i = 0; i < made.prompts.size(); ++i) {
    const PromptTarget& target = made.targets.prompts[i];
    EXPECT_TRUE(target.is_box);
    ASSERT_EQ(target.targets.size(), 1);
    EXPECT_EQ(made.prompts[i].point_or_box, 1);
    // Truth is relative to the padded picture, the prompt to the unpadded one.
    const double width = made.targets.boxes[target.targets[0]][2].item<double>() * 64 / 48;
    EXPECT_GE(made.prompts[i].w, 0.6 * width - 1e-6);
    EXPECT_LE(made.prompts[i].w, 1.4 * width + 1e-6);
    moved += std::abs(made.prompts[i].w - width);
  }
  EXPECT_GT(moved, 0.5);
}

TEST(Prompts, TargetsAreThoseOfThePaddedPicture) {
  const ImageTargets targets = Made(Nested(), {}).targets;
  EXPECT_EQ(targets.masks.sizes(), (std::vector<int64_t>{3, 64, 64}));
  EXPECT_EQ(targets.masks[1].sum().item<int64_t>(), 20 * 16);
  EXPECT_EQ(targets.masks[1].slice(0, 8, 24).slice(1, 10, 30).sum().item<int64_t>(), 20 * 16);
  const at::Tensor box = at::tensor({20.f / 64, 16.f / 64, 20.f / 64, 16.f / 64});
  EXPECT_TRUE(at::allclose(targets.boxes[1], box));
  EXPECT_FALSE(targets.unknown.defined());
}

TEST(Prompts, CrowdsAreUnknownAndBoxesAloneAreBoxPrompts) {
  Sample sample = Nested();
  sample.annotations[0].crowd = true;
  sample.annotations[1].mask.reset();
  const TrainingPrompts made = Made(sample, {.count = 8, .box_share = 0});
  EXPECT_EQ(made.targets.size(), 2);
  EXPECT_EQ(made.targets.unknown.sum().item<int64_t>(), 40 * 28);
  EXPECT_FALSE(made.targets.has_mask[0].item<bool>());
  EXPECT_TRUE(made.targets.has_mask[1].item<bool>());
  for (const PromptTarget& prompt : made.targets.prompts) {
    EXPECT_EQ(prompt.is_box, prompt.targets[0] == 0);
  }
}

TEST(Prompts, LabelsFollowTheWordsOfTheStep) {
  Sample sample = Nested();
  sample.vocabulary = std::make_shared<Vocabulary>(Vocabulary{
      .name = "v", .objects = {"car", "dog"}, .parts = {"wheel"}, .closed_world = false});
  sample.annotations[0].object_name = "car";
  sample.annotations[1].object_name = "bus";  // not a word of this step
  sample.annotations[2].object_name = "car";
  sample.annotations[2].part_name = "wheel";
  sample.annotations[2].parent = 0;
  sample.absent = {"cat"};
  const StepWords words = {.objects = WordList({"dog", "cat", "car", "dog"}),
                           .parts = WordList({"leg", "wheel"})};
  EXPECT_EQ(words.objects.size(), 3);
  const ImageTargets targets = Made(sample, {}, words).targets;
  EXPECT_EQ(targets.objects.labels, (std::vector<int64_t>{2, kUnknownLabel, 2}));
  EXPECT_EQ(targets.parts.labels, (std::vector<int64_t>{kNoLabel, kNoLabel, 1}));
  const auto flags = [](std::vector<int64_t> values) { return at::tensor(values).to(at::kBool); };
  EXPECT_TRUE(at::equal(targets.objects.listed, flags({1, 0, 1})));
  EXPECT_TRUE(at::equal(targets.objects.absent, flags({0, 1, 0})));
  EXPECT_TRUE(at::equal(targets.parts.listed, flags({0, 1})));
  EXPECT_TRUE(at::equal(targets.parts.absent, flags({0, 0})));
}

TEST(Prompts, APictureWithoutAnnotationsHasNone) {
  Sample sample = Nested();
  sample.annotations.clear();
  const TrainingPrompts made = Made(sample, {});
  EXPECT_TRUE(made.prompts.empty());
  EXPECT_EQ(made.targets.size(), 0);
}

TEST(Prompts, OfTooManyAnnotationsSomeAreUsed) {
  const TrainingPrompts made = Made(Nested(), {.max_targets = 2});
  EXPECT_EQ(made.targets.size(), 2);
}

TEST(Prompts, WhatDoesNotFitIsAnError) {
  Random random(1);
  EXPECT_FALSE(MakeTrainingPrompts(Nested(), {16, 16}, {}, {}, random).ok());
  EXPECT_FALSE(MakeTrainingPrompts(Nested(), kPadded, {}, {.count = 0}, random).ok());
  EXPECT_FALSE(MakeTrainingPrompts(Nested(), kPadded, {}, {.box_share = 2}, random).ok());
  EXPECT_FALSE(MakeTrainingPrompts(Nested(), kPadded, {}, {.click_row = 2}, random).ok());
}

TEST(Prompts, DenoisingBoxesKnowTheirTargets) {
  const ImageTargets targets = Made(Nested(), {}).targets;
  Random random(2);
  const DenoisingBoxes noisy = MakeDenoisingBoxes(targets, 2, {}, random);
  ASSERT_EQ(noisy.boxes.size(0), 6);
  EXPECT_EQ(noisy.pairs.targets, (std::vector<int64_t>{0, 1, 2, 0, 1, 2}));
  const at::Tensor exact = at::cat({targets.boxes, targets.boxes});
  const at::Tensor error = (noisy.boxes - exact).abs();
  EXPECT_GT(error.sum().item<double>(), 0);
  EXPECT_LE((error.slice(1, 2) - 0.4 * exact.slice(1, 2)).max().item<double>(), 1e-6);
}

}  // namespace
}  // namespace semsam
