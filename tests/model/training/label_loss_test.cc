#include "model/training/label_loss.h"

#include <gtest/gtest.h>

#include <cmath>

namespace semsam {
namespace {

at::Tensor Flags(const std::vector<int64_t>& values) {
  return at::tensor(values, at::kLong).to(at::kBool);
}

// Four words, of which the data set of the picture knows the first three.
LabelTargets Targets(std::vector<int64_t> labels, bool closed) {
  return {.labels = std::move(labels),
          .listed = Flags({1, 1, 1, 0}),
          .absent = closed ? Flags({1, 1, 1, 0}) : Flags({0, 1, 0, 0})};
}

TEST(LabelLoss, WordsOfOtherDataSetsAreNoExamples) {
  const Pairs pairs = {.queries = {1}, .targets = {0}};
  const LabelExamples examples =
      MakeLabelExamples(3, Targets({2}, /*closed=*/true), pairs, at::tensor({1.f, 1.f, 0.25f}));
  const at::Tensor weights =
      at::tensor({1.f, 1.f, 1.f, 0.f, 1.f, 1.f, 1.f, 0.f, .25f, .25f, .25f, 0.f}).view({3, 4});
  EXPECT_TRUE(at::equal(examples.weights, weights)) << examples.weights;
  EXPECT_EQ(examples.truth.sum().item<double>(), 1);
  EXPECT_EQ(examples.truth[1][2].item<double>(), 1);
}

TEST(LabelLoss, InAnOpenWorldOnlyAbsentWordsSpeakAgainstAnUnmatchedQuery) {
  const Pairs pairs = {.queries = {0}, .targets = {0}};
  const LabelExamples examples =
      MakeLabelExamples(2, Targets({0}, /*closed=*/false), pairs, at::ones({2}));
  EXPECT_TRUE(at::equal(examples.weights[0], at::tensor({1.f, 1.f, 1.f, 0.f})));
  EXPECT_TRUE(at::equal(examples.weights[1], at::tensor({0.f, 1.f, 0.f, 0.f})));
}

TEST(LabelLoss, AnUnknownNameTeachesNothingAndNoNameSpeaksAgainstAll) {
  const Pairs pairs = {.queries = {0, 1}, .targets = {0, 1}};
  const LabelExamples examples =
      MakeLabelExamples(3, Targets({kUnknownLabel, kNoLabel}, true), pairs, at::Tensor());
  EXPECT_TRUE(at::equal(examples.weights[0], at::zeros({4})));
  EXPECT_TRUE(at::equal(examples.weights[1], at::tensor({1.f, 1.f, 1.f, 0.f})));
  EXPECT_TRUE(at::equal(examples.weights[2], at::zeros({4})));
  EXPECT_EQ(examples.truth.sum().item<double>(), 0);
}

TEST(LabelLoss, IsTheFocalLoss) {
  const double logit = 0.7, p = 1 / (1 + std::exp(-logit));
  const LabelExamples examples = {.weights = at::tensor({1.f, 1.f, 0.f}).view({1, 3}),
                                  .truth = at::tensor({1.f, 0.f, 0.f}).view({1, 3})};
  const double expected = 0.25 * (1 - p) * (1 - p) * -std::log(p) + 0.75 * p * p * -std::log(1 - p);
  EXPECT_NEAR(FocalLoss(at::full({1, 3}, logit), examples, {}).item<double>(), expected, 1e-6);
}

TEST(LabelLoss, CountsTheShareOfAMaskThatIsKnown) {
  const at::Tensor masks = at::full({2, 2, 2}, -1.f);
  masks[0].fill_(1);
  const at::Tensor unknown = at::zeros({1, 8, 8}, at::kByte);
  unknown.slice(1, 0, 4).fill_(1);  // the upper half
  const at::Tensor share = KnownShare(masks, unknown);
  EXPECT_NEAR(share[0].item<double>(), 0.5, 1e-6);
  EXPECT_NEAR(share[1].item<double>(), 1, 1e-6);  // empty
  EXPECT_TRUE(at::equal(KnownShare(masks, {}), at::ones({2})));
}

}  // namespace
}  // namespace semsam
