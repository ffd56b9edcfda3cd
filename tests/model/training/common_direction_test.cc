#include "model/training/common_direction.h"

#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

#include "model/net/text_embedder.h"
#include "model/training/initialise.h"

namespace semsam {
namespace {

constexpr char kLogitScale[] = "sem_seg_head.predictor.lang_encoder.logit_scale";

NamedTensors Weights(const ModelConfig& config) { return *InitialWeights(config, /*seed=*/5); }

// Cosines of some words. [words, words]
at::Tensor Cosines(const ModelConfig& config, const NamedTensors& weights) {
  const std::vector<std::string> words = {"cat",  "dog",   "house", "window", "red wagon", "tree",
                                          "boat", "apple", "train", "wheel",  "old man",   "sky"};
  const auto embedder =
      *TextEmbedder::Create(*config.text, TensorMap(weights), ops::Path::kReference);
  const std::vector<float> rows = *embedder->Embed(words, TextMode::kPlain);
  const at::Tensor all =
      at::tensor(at::ArrayRef<float>(rows)).view({static_cast<int64_t>(words.size()), -1});
  return at::matmul(all, all.t());
}

TEST(CommonDirection, AddsTheShareToEveryCosineAndShrinksTheRest) {
  const ModelConfig config = SwinTiny();
  NamedTensors weights = Weights(config);
  const at::Tensor before = Cosines(config, weights);
  for (const double share : {0.3, 0.6}) {
    NamedTensors moved = Weights(config);
    ASSERT_TRUE(AddCommonDirection(share, moved).ok());
    const at::Tensor expected = before * (1 - share) + share;
    const at::Tensor off = (Cosines(config, moved) - expected).abs();
    EXPECT_LT(off.max().item<float>(), 0.1) << share;
    EXPECT_LT(off.mean().item<float>(), 0.04) << share;
  }
}

TEST(CommonDirection, TheScaleMakesUpForWhatTheRestShrankBy) {
  NamedTensors weights = Weights(SwinTiny());
  ASSERT_TRUE(AddCommonDirection(0.5, weights).ok());
  EXPECT_NEAR(weights[kLogitScale].item<float>(), std::log(std::sqrt(2.0) / 0.07), 1e-5);
}

TEST(CommonDirection, NothingButNormBiasAndScaleChanges) {
  const NamedTensors before = Weights(SwinTiny());
  NamedTensors after = Weights(SwinTiny());
  ASSERT_TRUE(AddCommonDirection(0.5, after).ok());
  std::vector<std::string> changed;
  for (const auto& [name, tensor] : after) {
    if (!at::equal(tensor, before.at(name))) changed.push_back(name);
  }
  EXPECT_EQ(changed,
            (std::vector<std::string>{
                "sem_seg_head.predictor.lang_encoder.lang_encoder.ln_final.bias", kLogitScale}));
}

TEST(CommonDirection, BadSharesAndWordlessModelsAreRefused) {
  NamedTensors weights = Weights(SwinTiny());
  for (const double share : {0.0, 1.0, -0.5, std::nan("")}) {
    EXPECT_EQ(AddCommonDirection(share, weights).code(), absl::StatusCode::kInvalidArgument)
        << share;
  }
  NamedTensors wordless = Weights(SwinTinyWordless());
  EXPECT_EQ(AddCommonDirection(0.5, wordless).code(), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace semsam
