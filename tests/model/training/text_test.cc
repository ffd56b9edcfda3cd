// The text encoder learns from a teacher: gradients, the order of the names, a small
// distillation from start to end, and what happens to files that are broken.
#include <c10/core/GradMode.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <limits>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "model/net/text_encoder.h"
#include "model/text/prompt_templates.h"
#include "model/training/text_distillation.h"
#include "model/training/text_start.h"
#include "model/training/uniform.h"
#include "model/weights/safetensors.h"
#include "tests/model/training/text_fixture.h"

namespace semsam {
namespace {

constexpr char kTower[] = "sem_seg_head.predictor.lang_encoder.lang_encoder.";

std::unique_ptr<TextDistillation> Made(const TextDistillationOptions& options) {
  auto made = TextDistillation::Create(Names(), options);
  EXPECT_TRUE(made.ok()) << made.status();
  return *std::move(made);
}

void Train(TextDistillation& distillation, int64_t steps) {
  for (int64_t i = 0; i < steps; ++i) {
    const auto step = distillation.Step();
    ASSERT_TRUE(step.ok()) << step.status();
    ASSERT_TRUE(step->optimizer.applied);
  }
}

void ExpectSame(const NamedTensors& a, const NamedTensors& b) {
  ASSERT_EQ(a.size(), b.size());
  for (const auto& [name, tensor] : a) {
    ASSERT_TRUE(b.contains(name)) << name;
    EXPECT_TRUE(at::equal(tensor, b.at(name))) << name;
  }
}

// Weights in double precision that learn, with rows that are not all alike.
NamedTensors DoubleWeights(const ModelConfig& config) {
  NamedTensors weights;
  SeededUniform random(4);
  for (const auto& [name, tensor] : StartText(config, {{5, 6}, {7}}, at::eye(2), 1)) {
    weights[name] = (tensor + (random.Draw(tensor.sizes()) - 0.5) * 0.2).to(at::kDouble);
    weights[name].requires_grad_(true);
  }
  return weights;
}

class TextGradient : public ::testing::TestWithParam<int> {};

TEST_P(TextGradient, EqualsCentralDifferencesInEveryWeight) {
  const ModelConfig config = TextModelConfig(TinyText(GetParam()), /*text_dim=*/8);
  const NamedTensors weights = DoubleWeights(config);
  // Of different lengths, so that padding takes part.
  const std::vector<std::vector<int32_t>> sequences = {
      {49406, 5, 6, 49407}, {49406, 7, 49407}, {49406, 8, 5, 9, 6, 49407}};
  SeededUniform random(8);
  at::Tensor targets = random.Draw({3, 8}).to(at::kDouble) - 0.5;
  targets = targets / at::linalg_vector_norm(targets, 2, {1}, true);
  const auto loss = [&] {
    const TextEncoder encoder(*config.text, TensorMap(weights), ops::Path::kTraining);
    return CompareTexts(encoder.Forward(sequences), targets,
                        {.relation_weight = 0.7, .relation_temperature = 0.5})
        .total;
  };
  loss().backward();
  const c10::NoGradGuard no_grad;
  constexpr double kStep = 1e-6;
  for (const auto& [name, weight] : weights) {
    ASSERT_TRUE(weight.grad().defined()) << name;
    const at::Tensor kept = weight.clone();
    // Rows that no sequence has do not matter: the direction is that of the others.
    const at::Tensor direction =
        (random.Draw(weight.sizes()).to(at::kDouble) - 0.5) * weight.grad().ne(0);
    const double expected = (weight.grad() * direction).sum().item<double>();
    weight.copy_(kept + direction * kStep);
    const double above = loss().item<double>();
    weight.copy_(kept - direction * kStep);
    const double below = loss().item<double>();
    weight.copy_(kept);
    EXPECT_NEAR((above - below) / (2 * kStep), expected, 1e-4 * std::abs(expected) + 1e-8) << name;
    EXPECT_NE(expected, 0) << name;
  }
}

INSTANTIATE_TEST_SUITE_P(WholeTableAndNarrowOne, TextGradient, ::testing::Values(0, 12));

TEST(TextEncoder, ThePathOfTrainingComputesWhatTheOthersDo) {
  const ModelConfig config = TextModelConfig(TinyText(/*token_rank=*/12), /*text_dim=*/8);
  const TensorMap weights(StartText(config, {{5, 6}, {7}}, at::eye(2), 1));
  const std::vector<std::vector<int32_t>> sequences = {{49406, 5, 6, 49407}, {49406, 7, 49407}};
  const auto run = [&](ops::Path path) {
    return TextEncoder(*config.text, weights, path).Forward(sequences);
  };
  const at::Tensor trained = run(ops::Path::kTraining);
  EXPECT_LT((run(ops::Path::kReference) - trained).abs().max().item<double>(), 1e-5);
  EXPECT_LT((run(ops::Path::kNative) - trained).abs().max().item<double>(), 1e-5);
}

TEST(TextStart, PiecesOfANameAddUpToItsTarget) {
  SeededUniform random(2);
  const at::Tensor truth = random.Draw({6, 4}) - 0.5;
  std::vector<std::vector<int32_t>> pieces;
  std::vector<at::Tensor> rows;
  for (int32_t a = 0; a < 6; ++a) {
    for (int32_t b = 0; b < 6; ++b) {
      for (int repeat = 0; repeat < 20; ++repeat) {
        pieces.push_back({a, b});
        rows.push_back((truth[a] + truth[b]) / 2);
      }
    }
  }
  const at::Tensor fitted = FitPieceRows(pieces, at::stack(rows), /*vocabulary=*/8, 4);
  EXPECT_LT((fitted.slice(0, 0, 6) - truth).abs().max().item<double>(), 0.05);
  EXPECT_EQ(fitted.slice(0, 6).abs().max().item<double>(), 0);
}

TEST(TextBatches, EveryNameComesOnceAnEpochAndBatchesDependOnTheirNumberAlone) {
  const TextTargets targets = Names();
  const TextBatchOptions options = {.seed = 4, .texts = 10};
  auto batches = TextBatches::Create(targets.texts, options);
  ASSERT_TRUE(batches.ok()) << batches.status();
  ASSERT_EQ(batches->size(), 10);
  std::vector<TextBatch> epoch;
  std::multiset<int64_t> met;
  bool phrase = false;
  bool unknown = false;
  for (int64_t step = 0; step < 10; ++step) {
    epoch.push_back(batches->Get(step));
    met.insert(epoch.back().names.begin(), epoch.back().names.end());
    for (const std::vector<int32_t>& ids : epoch.back().sequences) {
      EXPECT_LE(ids.size(), 18u);
      EXPECT_EQ(ids.front(), Tokenizer::kStart);
      EXPECT_EQ(ids.back(), Tokenizer::kEnd);
      phrase |= ids.size() > 7;
      unknown |= std::count(ids.begin(), ids.end(), batches->unmet().front()) > 0;
    }
  }
  EXPECT_EQ(met.size(), 100u);
  EXPECT_EQ(std::set<int64_t>(met.begin(), met.end()).size(), 100u);
  EXPECT_TRUE(phrase);
  EXPECT_TRUE(unknown);
  // Another order in the next epoch, and the same again for who starts there.
  auto again = TextBatches::Create(targets.texts, options);
  ASSERT_TRUE(again.ok());
  EXPECT_NE(batches->Get(10).names, epoch[0].names);
  EXPECT_EQ(again->Get(13).sequences, batches->Get(13).sequences);
  EXPECT_EQ(again->Get(3).sequences, epoch[3].sequences);
}

TEST(TextBatches, ANameInAPhraseHasThePiecesOfTheWholePhrase) {
  const std::vector<std::string> names = {"fire hydrant", "dog"};
  auto batches = TextBatches::Create(names, {.texts = 2, .phrase_share = 1, .unknown_share = 0});
  ASSERT_TRUE(batches.ok()) << batches.status();
  const auto tokenizer = Tokenizer::Create();
  ASSERT_TRUE(tokenizer.ok());
  std::set<std::vector<int32_t>> phrases;
  for (const std::string& name : names) {
    for (const std::string& phrase : EnsemblePhrases(name)) {
      phrases.insert(*tokenizer->Encode(phrase, 18));
    }
  }
  for (int64_t step = 0; step < 100; ++step) {
    for (const std::vector<int32_t>& ids : batches->Get(step).sequences) {
      EXPECT_TRUE(phrases.contains(ids)) << step;
    }
  }
}

TEST(TextBatches, NamesThatAreBlankOrNoTextAreNamed) {
  const auto error = [](const std::string& name) {
    return std::string(TextBatches::Create({"dog", name}, {}).status().message());
  };
  EXPECT_TRUE(absl::StrContains(error(" "), "names[1]")) << error(" ");
  EXPECT_TRUE(absl::StrContains(error("\xff"), "names[1]")) << error("\xff");
  EXPECT_FALSE(TextBatches::Create({}, {}).ok());
  EXPECT_FALSE(TextBatches::Create({"dog"}, {.phrase_share = 2}).ok());
}

TEST(TextScore, CountsNeighboursThatAreKept) {
  // Four pairs of near names; the student puts the last pair apart.
  const at::Tensor axes = at::eye(8);
  std::vector<at::Tensor> rows;
  for (int64_t i = 0; i < 4; ++i) {
    rows.push_back(axes[2 * i]);
    rows.push_back(axes[2 * i] * 0.8 + axes[2 * i + 1] * 0.6);
  }
  const at::Tensor targets = at::stack(rows);
  const TextScore exact = ScoreTexts(targets, targets);
  EXPECT_EQ(exact.names, 8);
  EXPECT_NEAR(exact.cosine, 1, 1e-6);
  EXPECT_DOUBLE_EQ(exact.neighbours, 1);
  at::Tensor apart = targets.clone();
  apart[7] = -apart[6];
  EXPECT_DOUBLE_EQ(ScoreTexts(apart, targets).neighbours, 0.75);
  EXPECT_NEAR(ScoreTexts(apart, targets).cosine, (7 - 0.8) / 8, 1e-6);
  EXPECT_EQ(ScoreTexts(targets.slice(0, 0, 1), targets.slice(0, 0, 1)).names, 0);
}

TEST(TextDistillation, BringsUnseenNamesNearTheirTargets) {
  const auto distillation = Made(Options());
  EXPECT_EQ(distillation->names(), 90);
  const auto before = distillation->Score(10);
  Train(*distillation, 150);
  const auto after = distillation->Score(10);
  ASSERT_TRUE(before.ok() && after.ok()) << after.status();
  EXPECT_EQ(after->names, 10);
  EXPECT_LT(before->cosine, 0.5);
  EXPECT_GT(after->cosine, 0.9);
  EXPECT_GT(after->neighbours, 0.8);
}

TEST(TextDistillation, APhraseIsNearItsName) {
  const auto distillation = Made(Options());
  Train(*distillation, 150);
  const auto rows = EmbedNames(distillation->config(), distillation->Weights(),
                               {"red dog", "a photo of a red dog.", "quiet boat"});
  ASSERT_TRUE(rows.ok()) << rows.status();
  EXPECT_GT(at::dot((*rows)[0], (*rows)[1]).item<double>(), 0.9);
  EXPECT_LT(at::dot((*rows)[0], (*rows)[2]).item<double>(), 0.7);
}

TEST(TextDistillation, GoesOnBitForBitFromACheckpoint) {
  const auto whole = Made(Options());
  Train(*whole, 6);
  const auto half = Made(Options());
  Train(*half, 3);
  const std::string path = TemporaryPath("text_checkpoint");
  ASSERT_TRUE(SaveCheckpoint(path, half->Save()).ok());
  const auto checkpoint = LoadCheckpoint(path);
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.status();
  std::filesystem::remove(path);
  const auto resumed = Made(Options());
  ASSERT_TRUE(resumed->Resume(*checkpoint).ok());
  EXPECT_EQ(resumed->steps(), 3);
  Train(*resumed, 3);
  ExpectSame(whole->Weights(), resumed->Weights());

  TextDistillationOptions other = Options();
  other.loss.relation_weight = 0.3;
  EXPECT_EQ(Made(other)->Resume(*checkpoint).code(), absl::StatusCode::kFailedPrecondition);
}

TEST(TextDistillation, PiecesThatWereNeverMetShareTheRowOfTheUnknownOne) {
  const auto distillation = Made(Options());
  Train(*distillation, 2);
  const NamedTensors weights = distillation->Weights();
  const at::Tensor& rows = weights.at(std::string(kTower) + "token_embedding.weight");
  EXPECT_GT(distillation->unmet_pieces(), 49000);
  // Two scripts of which no name has anything.
  EXPECT_TRUE(at::equal(rows[49000], rows[49001]));
  EXPECT_FALSE(at::equal(rows[Tokenizer::kStart], rows[Tokenizer::kEnd]));
}

TEST(TextWeights, ComeBackFromAFileAndStartATraining) {
  const auto distillation = Made(Options());
  Train(*distillation, 1);
  const std::string path = TemporaryPath("text_weights");
  const ModelConfig& config = distillation->config();
  ASSERT_TRUE(WriteTextWeights(path, config, distillation->Weights(), DType::kFloat16).ok());
  auto weights = ReadTextWeights(path, config);
  ASSERT_TRUE(weights.ok()) << weights.status();
  for (const auto& [name, tensor] : distillation->Weights()) {
    EXPECT_TRUE(at::equal(weights->at(name), tensor.to(at::kHalf).to(at::kFloat))) << name;
  }
  const auto started = TextDistillation::Create(Names(), Options(), *weights);
  ASSERT_TRUE(started.ok()) << started.status();
  const auto other = ReadTextWeights(path, TextModelConfig(TinyText(/*token_rank=*/0), 16));
  EXPECT_TRUE(absl::StrContains(other.status().message(), path)) << other.status();
  EXPECT_TRUE(absl::StrContains(other.status().message(), "token_embedding")) << other.status();
  std::filesystem::remove(path);
}

// A file of targets, whole or with something wrong in it.
class TargetsFile : public ::testing::Test {
 protected:
  void TearDown() override { std::filesystem::remove(path_); }

  std::string ErrorOf(const std::string& texts, const std::vector<float>& rows,
                      const std::vector<uint8_t>& held_out, const char* rows_name = "targets") {
    const auto bytes = [](const auto& values) {
      return std::as_bytes(std::span(values.data(), values.size()));
    };
    const std::vector<TensorView> tensors = {
        {"texts", DType::kUInt8, {static_cast<int64_t>(texts.size())}, {}, bytes(texts)},
        {rows_name, DType::kFloat32, {static_cast<int64_t>(rows.size() / 2), 2}, {}, bytes(rows)},
        {"held_out", DType::kUInt8, {static_cast<int64_t>(held_out.size())}, {}, bytes(held_out)}};
    EXPECT_TRUE(WriteSafetensors(path_, tensors, {}).ok());
    targets_ = ReadTextTargets(path_);
    return std::string(targets_.status().message());
  }

  const std::string path_ = TemporaryPath("text_targets");
  absl::StatusOr<TextTargets> targets_;
};

TEST_F(TargetsFile, GivesNamesRowsAndMarks) {
  ErrorOf("dog\nfire hydrant\n", {1, 0, 0, 1}, {0, 1});
  ASSERT_TRUE(targets_.ok()) << targets_.status();
  EXPECT_EQ(targets_->texts, (std::vector<std::string>{"dog", "fire hydrant"}));
  EXPECT_TRUE(at::equal(targets_->rows, at::eye(2)));
  EXPECT_EQ(targets_->held_out, (std::vector<bool>{false, true}));
}

TEST_F(TargetsFile, WhatIsWrongWithItIsNamed) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const auto expect = [&](const std::string& error, const std::string& what) {
    EXPECT_TRUE(absl::StrContains(error, path_)) << error;
    EXPECT_TRUE(absl::StrContains(error, what)) << error;
  };
  expect(ErrorOf("dog\ncat\n", {1, 0}, {0, 1}), "2 names, 1 rows and 2 marks");
  expect(ErrorOf("dog\n", {1, 0}, {0, 1}), "1 names, 1 rows and 2 marks");
  expect(ErrorOf("dog\n", {0.5, 0}, {0}), "row 0 is not of norm 1");
  expect(ErrorOf("dog\ncat\n", {1, 0, nan, 0}, {0, 0}), "row 1 is not of norm 1");
  expect(ErrorOf("dog\n\n", {1, 0, 0, 1}, {0, 0}), "line 2 is empty");
  expect(ErrorOf("dog", {1, 0}, {0}), "texts: must end with a line");
  expect(ErrorOf("dog\n", {1, 0}, {0}, "rows"), "targets: is missing");
  std::ofstream(path_) << "no targets at all";
  EXPECT_EQ(ReadTextTargets(path_).status().code(), absl::StatusCode::kInvalidArgument);
  std::filesystem::remove(path_);
  EXPECT_EQ(ReadTextTargets(path_).status().code(), absl::StatusCode::kNotFound);
}

}  // namespace
}  // namespace semsam
