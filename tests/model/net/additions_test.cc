// Segmenters with what our own model adds to the decoder.
#include <c10/core/InferenceMode.h>
#include <gtest/gtest.h>

#include <cstring>
#include <random>
#include <utility>

#include "model/net/load_model.h"
#include "model/net/prompt_tensors.h"
#include "tests/model/net/segmenter_fixture.h"

namespace semsam {
namespace {

using testing::Click;
using testing::EncodeOne;
using testing::MakeImage;
using testing::MakeSegmenter;

constexpr char kExtended[] = "formula:swin-tiny-extended";
constexpr char kLite[] = "formula:semsam-lite";

Prompt Box(float x, float y, float w, float h) { return {.cx = x, .cy = y, .w = w, .h = h}; }

DecodeRequest AllLevels(std::shared_ptr<const Embedding> embedding, std::vector<Prompt> prompts) {
  return {.embedding = std::move(embedding),
          .prompts = std::move(prompts),
          .levels = {1, 2, 3, 4, 5, 6}};
}

DecodeResult DecodeOne(Segmenter& segmenter, const DecodeRequest& request) {
  auto results = segmenter.Decode({&request, 1});
  EXPECT_TRUE(results[0].ok()) << results[0].status();
  return results[0].ok() ? *std::move(results[0]) : DecodeResult();
}

double Distance(const std::vector<float>& a, const std::vector<float>& b) {
  EXPECT_EQ(a.size(), b.size());
  double largest = 0;
  for (size_t i = 0; i < std::min(a.size(), b.size()); ++i) {
    largest = std::max(largest, std::abs(double{a[i]} - b[i]));
  }
  return largest;
}

std::vector<float> Ious(const DecodeResult& result) {
  std::vector<float> ious;
  for (const MaskScores& score : result.scores) ious.push_back(score.predicted_iou);
  return ious;
}

class Additions : public ::testing::TestWithParam<const char*> {};

TEST_P(Additions, NativeAndReferencePathsAgree) {
  const auto native = MakeSegmenter(GetParam());
  const auto reference = MakeSegmenter(GetParam(), /*reference_path=*/true);
  const Rgb8Image image = MakeImage({100, 130}, 1);
  const std::vector<Prompt> prompts = {Click(.3f, .5f), Click(0, 1), Box(.6f, .4f, .3f, .5f)};
  const DecodeResult ours = DecodeOne(*native, AllLevels(EncodeOne(*native, image), prompts));
  const DecodeResult theirs =
      DecodeOne(*reference, AllLevels(EncodeOne(*reference, image), prompts));
  EXPECT_LT(Distance(ours.logits, theirs.logits), 3e-4);
  EXPECT_LT(Distance(Ious(ours), Ious(theirs)), 3e-4);
  EXPECT_LT(Distance(ours.query_embeddings, theirs.query_embeddings), 3e-4);
}

// As BatchInvariance of the published models, and to the last bit in all that is
// answered.
TEST_P(Additions, ThirtyTwoPromptsOverEightImagesEqualSingleRuns) {
  const auto segmenter = MakeSegmenter(GetParam());
  std::vector<std::shared_ptr<const Embedding>> embeddings;
  for (int i = 0; i < 8; ++i) {
    embeddings.push_back(EncodeOne(*segmenter, MakeImage({64 + 21 * i, 160 - 13 * i}, i)));
  }
  std::mt19937 engine(5);
  std::uniform_real_distribution<float> uniform(0, 1);
  std::vector<DecodeRequest> batch;
  for (int i = 0; i < 16; ++i) {
    std::vector<Prompt> prompts;
    for (int p = 0; p < 2; ++p) {
      const float x = uniform(engine);
      prompts.push_back(Click(x, uniform(engine)));
    }
    if (i % 5 == 0) prompts[1] = Box(prompts[1].cx, prompts[1].cy, .3f, .2f);
    batch.push_back(AllLevels(embeddings[i % 8], prompts));
    if (i % 3 == 0) batch.back().levels = {4, 1};
  }
  const auto together = segmenter->Decode(batch);
  for (size_t i = 0; i < batch.size(); ++i) {
    ASSERT_TRUE(together[i].ok()) << together[i].status();
    const size_t levels = batch[i].levels.size();
    for (size_t p = 0; p < 2; ++p) {
      DecodeRequest one = batch[i];
      one.prompts = {batch[i].prompts[p]};
      const DecodeResult alone = DecodeOne(*segmenter, one);
      const auto equal = [&](const std::vector<float>& all, const std::vector<float>& part) {
        return std::memcmp(all.data() + p * part.size(), part.data(),
                           part.size() * sizeof(float)) == 0;
      };
      EXPECT_TRUE(equal(together[i]->logits, alone.logits)) << i;
      EXPECT_TRUE(equal(Ious(*together[i]), Ious(alone))) << i;
      EXPECT_TRUE(equal(together[i]->query_embeddings, alone.query_embeddings)) << i;
      EXPECT_EQ(together[i]->scores[p * levels].box.w, alone.scores[0].box.w);
    }
  }
}

TEST_P(Additions, WordsFindTheSameOnBothPaths) {
  const auto native = MakeSegmenter(GetParam());
  const auto reference = MakeSegmenter(GetParam(), /*reference_path=*/true);
  const Rgb8Image image = MakeImage({100, 130}, 1);
  VocabularyRequest request = {.embedding = EncodeOne(*native, image)};
  const auto words =
      native->EncodeText(std::vector<std::string>{"dog", "cat", "sky"}, TextMode::kPlain);
  ASSERT_TRUE(words.ok());
  request.object_text = *words;
  request.part_text = *words;
  const auto ours = native->SegmentVocabulary({&request, 1});
  request.embedding = EncodeOne(*reference, image);
  const auto theirs = reference->SegmentVocabulary({&request, 1});
  ASSERT_TRUE(ours[0].ok() && theirs[0].ok());
  EXPECT_LT(Distance(ours[0]->mask_logits, theirs[0]->mask_logits), 1e-3);
  EXPECT_LT(Distance(ours[0]->object_logits, theirs[0]->object_logits), 2e-3);
  EXPECT_LT(Distance(ours[0]->part_logits, theirs[0]->part_logits), 2e-3);
}

// What training sees after the last layer is what users get.
TEST_P(Additions, TheLastLayerOfTrainingIsWhatTheSegmenterAnswers) {
  const auto segmenter = MakeSegmenter(GetParam());
  const Rgb8Image image = MakeImage({100, 130}, 1);
  const std::vector<Prompt> prompts = {Click(.3f, .5f), Box(.6f, .4f, .3f, .5f)};
  const DecodeResult answer =
      DecodeOne(*segmenter, AllLevels(EncodeOne(*segmenter, image), prompts));

  const c10::InferenceMode inference;
  const auto model = LoadModel(GetParam(), at::kCPU, ops::Path::kTraining);
  ASSERT_TRUE(model.ok()) << model.status();
  const SemanticSam& network = *model->network;
  const ImageSize padded = PaddedSize(network.config(), image.size);
  const at::Tensor pixels =
      at::from_blob(const_cast<uint8_t*>(image.pixels.data()), {1, 100, 130, 3}, at::kByte);
  const auto layers =
      network.PredictLayers(network.Encode(network.Preprocess(pixels, padded)),
                            DecoderInput{.image_of_prompt = {0, 0},
                                         .boxes = PromptBoxes(prompts, image.size, padded),
                                         .point_or_box = PromptRows(prompts)});
  ASSERT_EQ(layers.size(), 1u);
  ASSERT_EQ(static_cast<int>(layers[0].size()), network.config().decoder.layers);
  const Predictions& last = layers[0].back();
  const std::vector<int>& token_of = network.config().level_to_token;
  for (int64_t row = 0; row < 12; ++row) {
    const int64_t token = row / 6 * 6 + token_of[static_cast<size_t>(row % 6)];
    const MaskScores& scores = answer.scores[static_cast<size_t>(row)];
    const LogitsView logits = answer.mask_logits(static_cast<size_t>(row));
    const at::Tensor mask = at::from_blob(const_cast<float*>(logits.data),
                                          {logits.size.height, logits.size.width}, at::kFloat);
    EXPECT_LT((last.masks[token] - mask).abs().max().item<float>(), 3e-4f);
    EXPECT_NEAR(last.ious[token].item<float>(), scores.predicted_iou, 3e-4);
    EXPECT_NEAR(last.boxes[token][2].item<float>(), scores.box.w, 1e-4);
    const at::Tensor query = at::from_blob(
        const_cast<float*>(answer.query_embeddings.data()) + row * answer.embedding_dim,
        {answer.embedding_dim}, at::kFloat);
    EXPECT_LT((last.label_queries[token] - query).abs().max().item<float>(), 3e-4f);
  }
}

INSTANTIATE_TEST_SUITE_P(Models, Additions, ::testing::Values(kExtended, kLite),
                         [](const auto& info) {
                           return std::string(info.param == kLite ? "Lite" : "Extended");
                         });

// --- What each addition does ---

class OneAddition : public ::testing::Test {
 protected:
  // The tiny model with its additions, `weights` of them zero.
  SemanticSam Network(const DecoderAdditions& additions, const std::string& silent = "none") {
    auto file = *ModelFile::Open(kExtended);
    ModelConfig config = file->config();
    config.decoder.additions = additions;
    auto tensors = *CopyWeights(file->weights(), at::kCPU);
    for (auto& [name, tensor] : tensors) {
      if (name.find(silent) != std::string::npos) tensor.zero_();
    }
    return {config, TensorMap(std::move(tensors)), ops::Path::kNative};
  }

  // Two clicks on one picture, last layer.
  static Predictions Run(const SemanticSam& network, float x = .3f) {
    at::manual_seed(1);
    return network
        .PredictLayers(network.Encode(at::randn({1, 3, 96, 64})),
                       DecoderInput{.image_of_prompt = {0, 0},
                                    .boxes = at::tensor({x, .4f, .005f, .005f,  //
                                                         .7f, .2f, .005f, .005f})
                                                 .view({2, 4}),
                                    .point_or_box = at::zeros({2}, at::kLong)})[0]
        .back();
  }

  static double Difference(const at::Tensor& a, const at::Tensor& b) {
    return (a - b).abs().max().item<double>();
  }

  c10::InferenceMode inference_;
  DecoderAdditions all_ = SwinTinyExtended().decoder.additions;
  Predictions none_ = Run(Network({}));
};

TEST_F(OneAddition, PromptMapsChangeMasksAlone) {
  const DecoderAdditions maps = {.prompt_maps = all_.prompt_maps};
  const Predictions with = Run(Network(maps));
  EXPECT_GT(Difference(with.masks, none_.masks), 0.5);
  EXPECT_EQ(Difference(with.boxes, none_.boxes), 0);
  EXPECT_EQ(Difference(with.ious, none_.ious), 0);
  EXPECT_EQ(Difference(with.label_queries, none_.label_queries), 0);
  // As a trainer starts: a head of zeros adds nothing.
  EXPECT_EQ(Difference(Run(Network(maps, "prompt_map_head.layers.1")).masks, none_.masks), 0);
}

TEST_F(OneAddition, ClickFeaturesReachTheQueries) {
  const DecoderAdditions click = {.click_features = true};
  const Predictions with = Run(Network(click));
  EXPECT_GT(Difference(with.masks, none_.masks), 1e-2);
  EXPECT_EQ(Difference(Run(Network(click, ".click_features.")).masks, none_.masks), 0);
  // Nothing but the place differs between prompts: what is there must count.
  EXPECT_GT(Difference(with.masks.slice(0, 0, 6), with.masks.slice(0, 6, 12)), 1e-2);
}

TEST_F(OneAddition, PooledFeaturesChangeWhatIsSaidOfMasksNotTheMasks) {
  const DecoderAdditions pooled = {.pooled_features = true};
  const Predictions with = Run(Network(pooled));
  EXPECT_EQ(Difference(with.masks, none_.masks), 0);
  EXPECT_EQ(Difference(with.boxes, none_.boxes), 0);
  EXPECT_GT(Difference(with.ious, none_.ious), 1e-3);
  EXPECT_GT(Difference(with.label_queries, none_.label_queries), 1e-2);
  EXPECT_EQ(Difference(Run(Network(pooled, ".pooled_features.")).ious, none_.ious), 0);
  // They are read under the whole mask, maps included.
  const Predictions both = Run(Network({.prompt_maps = all_.prompt_maps, .pooled_features = true}));
  EXPECT_GT(Difference(both.label_queries, with.label_queries), 1e-4);
}

}  // namespace
}  // namespace semsam
