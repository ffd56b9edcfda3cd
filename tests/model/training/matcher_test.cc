#include "model/training/matcher.h"

#include <gtest/gtest.h>

#include <limits>

namespace semsam {
namespace {

TEST(Matcher, EveryMaskOfAClickGetsATokenOfThatClick) {
  // Two prompts of three tokens. Token 3 would suit target 0 best, but is another
  // prompt's.
  const at::Tensor cost = at::tensor({5.f, 4.f, 9.f, 2.f, 3.f, 9.f, 1.f, 2.f, 9.f, 0.f, 9.f, 7.f,
                                      9.f, 9.f, 8.f, 9.f, 9.f, 6.f})
                              .view({6, 3});
  const std::vector<PromptTarget> prompts = {{.targets = {0, 1}}, {.targets = {2}}};
  const auto pairs = MatchPrompts(cost, prompts);
  ASSERT_TRUE(pairs.ok()) << pairs.status();
  // 0 -> token 1 (2) and 1 -> token 2 (2); the other way round costs 1 + 3: the same, so
  // only the sum is sure.
  ASSERT_EQ(pairs->size(), 3);
  double sum = 0;
  for (int64_t i = 0; i < pairs->size(); ++i) {
    sum += cost[pairs->queries[i]][pairs->targets[i]].item<double>();
  }
  EXPECT_EQ(sum, 2 + 2 + 6);
  EXPECT_EQ(pairs->queries.back(), 5);
  EXPECT_EQ(pairs->targets.back(), 2);
}

TEST(Matcher, OneMaskOfTwoClicksIsLearntByBoth) {
  const at::Tensor cost = at::tensor({1.f, 2.f, 4.f, 3.f}).view({4, 1});
  const std::vector<PromptTarget> prompts = {{.targets = {0}}, {.targets = {0}}};
  const auto pairs = MatchPrompts(cost, prompts);
  ASSERT_TRUE(pairs.ok());
  EXPECT_EQ(pairs->queries, (std::vector<int64_t>{0, 3}));
  EXPECT_EQ(pairs->targets, (std::vector<int64_t>{0, 0}));
}

TEST(Matcher, OfMoreMasksThanTokensTheCheapestAreLearnt) {
  const at::Tensor cost = at::tensor({3.f, 1.f, 2.f}).view({1, 3});
  const std::vector<PromptTarget> prompts = {{.targets = {0, 1, 2}}};
  const auto pairs = MatchPrompts(cost, prompts);
  ASSERT_TRUE(pairs.ok());
  EXPECT_EQ(pairs->targets, (std::vector<int64_t>{1}));
}

TEST(Matcher, QueriesAreMatchedOneToOne) {
  const at::Tensor cost = at::tensor({1.f, 1.5f, 2.f, 9.f, 5.f, 5.f}).view({3, 2});
  const auto pairs = MatchQueries(cost);
  ASSERT_TRUE(pairs.ok());
  EXPECT_EQ(pairs->queries, (std::vector<int64_t>{0, 1}));
  EXPECT_EQ(pairs->targets, (std::vector<int64_t>{1, 0}));
}

TEST(Matcher, CostsThatAreNoNumbersAreAnError) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const std::vector<PromptTarget> prompts = {{.targets = {0}}};
  EXPECT_EQ(MatchPrompts(at::tensor({nan, 1.f}).view({2, 1}), prompts).status().code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(MatchQueries(at::tensor({nan, 1.f}).view({2, 1})).status().code(),
            absl::StatusCode::kInvalidArgument);
}

TEST(Matcher, TargetsAndTokensThatDoNotFitAreAnError) {
  const at::Tensor cost = at::zeros({4, 2});
  EXPECT_FALSE(MatchPrompts(cost, std::vector<PromptTarget>{{.targets = {2}}}).ok());
  EXPECT_FALSE(MatchPrompts(cost, std::vector<PromptTarget>(3)).ok());
}

TEST(Matcher, OptionsAreChecked) {
  EXPECT_TRUE(Validate(MatcherOptions{}).ok());
  EXPECT_FALSE(Validate(MatcherOptions{.box_l1 = -1}).ok());
  EXPECT_FALSE(Validate(MatcherOptions{.points = 0}).ok());
}

TEST(Matcher, AMaskThatIsNotKnownCostsNothing) {
  const LayerPredictions predictions = {.masks = at::ones({2, 4, 4}),
                                        .boxes = at::full({2, 4}, 0.5)};
  const ImageTargets targets = {.masks = at::zeros({2, 8, 8}, at::kByte),
                                .boxes = at::full({2, 4}, 0.25f),
                                .has_mask = at::tensor({1, 0}).to(at::kBool)};
  const CostParts parts = PairCosts(predictions, targets, at::full({1, 3, 2}, 0.5f));
  EXPECT_GT(parts.mask_bce[0][0].item<double>(), 1);
  EXPECT_EQ(parts.mask_bce[0][1].item<double>(), 0);
  EXPECT_EQ(parts.mask_dice[1][1].item<double>(), 0);
  EXPECT_NEAR(parts.box_l1[0][1].item<double>(), 1, 1e-6);
}

}  // namespace
}  // namespace semsam
