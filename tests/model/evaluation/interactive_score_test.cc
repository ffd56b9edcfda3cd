#include "model/evaluation/interactive_score.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>

#include "model/image/mask_codec.h"
#include "model/image/run_lengths.h"
#include "tests/support/npy.h"

namespace semsam {
namespace {

using nlohmann::json;
using ::testing::DoubleNear;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr ImageSize kPicture = {1, 10};

// Pixels begin to end - 1 of a picture of one row.
RunLengths Mask(uint32_t begin, uint32_t end) {
  return {.size = kPicture, .counts = {begin, end - begin, 10 - end}};
}

PromptAnswer Answer(const std::vector<std::pair<RunLengths, double>>& masks) {
  PromptAnswer answer;
  for (const auto& [mask, score] : masks) answer.masks.push_back({.mask = mask, .score = score});
  return answer;
}

TEST(InteractiveScore, MaxFollowsTheScoreAndOracleTheIou) {
  const PromptAnswer answer =
      Answer({{Mask(0, 2), 0.3}, {Mask(0, 8), 0.9}, {Mask(0, 4), 0.9}, {Mask(0, 4), 0.1}});
  const RunLengths truth = Mask(0, 4);
  const PromptScore score = ScorePrompt(answer, {&truth});
  EXPECT_DOUBLE_EQ(score.max_iou, 0.5);
  EXPECT_DOUBLE_EQ(score.oracle_iou, 1.0);
  EXPECT_EQ(score.oracle_mask, 2);
}

TEST(InteractiveScore, CountsUnsurePixelsNeitherWay) {
  const RunLengths truth = Mask(2, 6), unsure = Mask(6, 8), nothing = Mask(0, 0);
  EXPECT_EQ(IouWithTruth(Mask(2, 8), {&truth, &unsure}), 1.0);
  EXPECT_EQ(IouWithTruth(Mask(2, 6), {&truth, &unsure}), 1.0);
  EXPECT_EQ(IouWithTruth(Mask(2, 10), {&truth, &unsure}), 4.0 / 6);
  EXPECT_EQ(IouWithTruth(Mask(2, 8), {&truth}), 4.0 / 6);
  EXPECT_EQ(IouWithTruth(Mask(6, 8), {&nothing, &unsure}), 0.0);
}

TEST(InteractiveScore, OfNoMasksIsZero) {
  const RunLengths truth = Mask(0, 4);
  const PromptScore score = ScorePrompt({}, {&truth});
  EXPECT_EQ(score.max_iou, 0);
  EXPECT_EQ(score.oracle_iou, 0);
  EXPECT_EQ(score.oracle_mask, -1);
  EXPECT_THAT(*ScoreGranularity({}, std::vector<TrueMask>{{&truth}}, {}), ElementsAre(0));
  EXPECT_TRUE(ScoreGranularity(Answer({{Mask(0, 4), 1}}), {}, {})->empty());
}

TEST(InteractiveScore, MatchesEachTrueMaskWithAMaskOfItsOwn) {
  const RunLengths small = Mask(0, 4), large = Mask(0, 8);
  const std::vector<TrueMask> truths = {{&small}, {&large}};
  // The first is best for both: the pair that gives it to `large` is better together.
  EXPECT_THAT(*ScoreGranularity(Answer({{Mask(0, 6), 1}, {Mask(0, 3), 1}}), truths, {}),
              ElementsAre(DoubleNear(0.75, 1e-12), DoubleNear(0.75, 1e-12)));
  // Masks ran out.
  EXPECT_THAT(*ScoreGranularity(Answer({{Mask(0, 8), 1}}), truths, {}), ElementsAre(0, 1));
}

TEST(InteractiveScore, MatchesByTheLogitsWhereThereAreAny) {
  // By IoU both true masks would get the other mask: logits and boxes say otherwise.
  PromptAnswer answer = Answer({{Mask(0, 4), 1}, {Mask(0, 8), 1}});
  answer.geometry = {.original = kPicture, .network = kPicture, .padded = kPicture};
  for (int i = 0; i < 2; ++i) {
    answer.masks[i].grid = kPicture;
    for (int x = 0; x < 10; ++x) answer.masks[i].logits.push_back(x < (i == 0 ? 8 : 4) ? 9 : -9);
    answer.masks[i].box = {i == 0 ? 0.4f : 0.2f, 0.5f, i == 0 ? 0.8f : 0.4f, 1};
  }
  ASSERT_TRUE(ValidateAnswer(answer, kPicture).ok()) << ValidateAnswer(answer, kPicture);
  const RunLengths small = Mask(0, 4), large = Mask(0, 8);
  const auto ious =
      ScoreGranularity(answer, std::vector<TrueMask>{{&small}, {&large}}, MakeMatchPoints(1, 500));
  EXPECT_THAT(*ious, ElementsAre(0.5, 0.5));
}

TEST(InteractiveScore, CountsMasksThatDiffer) {
  EXPECT_EQ(CountDistinctMasks(Answer({{Mask(0, 9), 1},
                                       {Mask(0, 10), 1},  // IoU 0.9 with the first
                                       {Mask(0, 8), 1},   // 8/9 with the first
                                       {Mask(5, 5), 1},   // empty
                                       {Mask(0, 8), 1}}),
                               0.9),
            2);
  EXPECT_EQ(CountDistinctMasks({}, 0.9), 0);
}

TEST(InteractiveScore, NamesWhatIsWrongWithAnAnswer) {
  const auto message = [](const PromptAnswer& answer) {
    return std::string(ValidateAnswer(answer, kPicture).message());
  };
  EXPECT_EQ(message(Answer({{Mask(0, 4), 1}})), "");
  EXPECT_THAT(
      message(Answer({{Mask(0, 4), 1}, {Mask(0, 4), std::numeric_limits<double>::quiet_NaN()}})),
      HasSubstr("predicted mask 1: the score is nan"));
  EXPECT_THAT(message(Answer({{{.size = {2, 5}, .counts = {10}}, 1}})), HasSubstr("in 5 x 2"));
  EXPECT_THAT(message(Answer({{{.size = kPicture, .counts = {9}}, 1}})), HasSubstr("runs of 9 px"));

  PromptAnswer answer = Answer({{Mask(0, 4), 1}, {Mask(0, 4), 1}});
  answer.geometry = {.original = kPicture, .network = kPicture, .padded = kPicture};
  answer.masks[0].grid = kPicture;
  answer.masks[0].logits.assign(10, 0);
  EXPECT_THAT(message(answer), HasSubstr("predicted mask 1: some masks have logits"));
  answer.masks[1] = answer.masks[0];
  EXPECT_EQ(message(answer), "");
  answer.masks[1].logits[3] = std::numeric_limits<float>::infinity();
  EXPECT_THAT(message(answer), HasSubstr("a logit is not finite"));
  answer.masks[1].logits.resize(9);
  EXPECT_THAT(message(answer), HasSubstr("9 logits for 10 x 1"));
  answer.masks[1] = answer.masks[0];
  answer.geometry.network = {};
  EXPECT_NE(message(answer), "");
}

// Masks of the published network (formula weights, Swin-T) for the clicks of
// crit/eval_points.npy, as `semsam-inspect dump` gives their logits, upsampled to 224 px
// and cut at 0.
TEST(InteractiveScore, GivesThePublishedMaxAndOracle) {
  const std::string folder = SEMSAM_PARITY_DIR "/crit/";
  if (!testing::FileExists(folder + "gt_masks.npy")) {
    GTEST_SKIP() << "the numeric reference is not here";
  }
  std::ifstream fixture(SEMSAM_SOURCE_DIR "/tests/model/evaluation/interactive_masks.json");
  const json counts = json::parse(fixture, nullptr, /*allow_exceptions=*/false);
  ASSERT_TRUE(counts.is_array());
  const auto scores = testing::ReadNpy<float>(folder + "eval_pred_ious.npy");
  const auto masks = testing::ReadNpy<uint8_t>(folder + "gt_masks.npy");
  const json expected = json::parse(testing::ReadPythonJson(folder + "eval_interactive.json"));
  constexpr ImageSize kSize = {224, 224};
  double max_sum = 0, oracle_sum = 0;
  for (size_t click = 0; click < 7; ++click) {
    PromptAnswer answer;
    for (size_t token = 0; token < 6; ++token) {
      const auto mask = DecodeCocoString(counts[click][token].get<std::string>(), kSize);
      ASSERT_TRUE(mask.ok()) << mask.status();
      answer.masks.push_back({.mask = *mask, .score = scores.data[click * 6 + token]});
    }
    BinaryMask truth{.size = kSize};
    for (int64_t i = 0; i < kSize.area(); ++i) {
      truth.pixels.push_back(masks.data[click * kSize.area() + i] != 0);
    }
    const RunLengths runs = EncodeRunLengths(truth);
    const PromptScore score = ScorePrompt(answer, {&runs});
    // A pixel at the edge may fall on the other side: 1 of some 40,000.
    EXPECT_NEAR(score.max_iou, expected["iou_max"][click].get<double>(), 5e-5) << click;
    EXPECT_NEAR(score.oracle_iou, expected["iou_oracle"][click].get<double>(), 5e-5) << click;
    max_sum += score.max_iou;
    oracle_sum += score.oracle_iou;
  }
  EXPECT_NEAR(max_sum / 7, expected["mean_max"].get<double>(), 1e-5);
  EXPECT_NEAR(oracle_sum / 7, expected["mean_oracle"].get<double>(), 1e-5);
}

}  // namespace
}  // namespace semsam
