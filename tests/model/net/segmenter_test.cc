// TorchSegmenter through the interface that the service knows.
#include "model/segmenter.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <random>

#include "model/base/errors.h"
#include "tests/model/net/segmenter_fixture.h"

namespace semsam {
namespace {

using testing::Click;
using testing::EncodeOne;
using testing::MakeImage;
using testing::MakeSegmenter;

class TinySegmenter : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    segmenter_ = MakeSegmenter("formula:swin-tiny").release();
    embedding_ =
        new std::shared_ptr<const Embedding>(EncodeOne(*segmenter_, MakeImage({100, 130}, 1)));
  }

  static Segmenter* segmenter_;
  static std::shared_ptr<const Embedding>* embedding_;
};

Segmenter* TinySegmenter::segmenter_ = nullptr;
std::shared_ptr<const Embedding>* TinySegmenter::embedding_ = nullptr;

TEST_F(TinySegmenter, InfoTellsWhatTheModelIs) {
  EXPECT_EQ(segmenter_->info().config, SwinTiny());
  EXPECT_EQ(segmenter_->info().digest.size(), 64u);
  EXPECT_FALSE(segmenter_->info().trained);
  EXPECT_EQ(segmenter_->info().device, "cpu");
}

TEST_F(TinySegmenter, MemoryIsThatOfTheDevice) {
  const absl::StatusOr<MemoryUse> memory = segmenter_->Memory();
  ASSERT_TRUE(memory.ok()) << memory.status();
  EXPECT_GE(memory->used_bytes, (*embedding_)->size_bytes());
  EXPECT_LE(memory->used_bytes, memory->total_bytes);
}

TEST_F(TinySegmenter, EmbeddingKnowsItsSizeInBytes) {
  EXPECT_EQ((*embedding_)->network_size(), (ImageSize{100, 130}));
  // Padded to 128 x 160: memory of strides 8 to 64 and a map of stride 4, each
  // row 64 float32 channels; the map is held in whole panels of columns.
  const int64_t memory_rows = 16 * 20 + 8 * 10 + 4 * 5 + 2 * 3;
  const int64_t map_rows = 32 * 40;
  EXPECT_GE((*embedding_)->size_bytes(), (memory_rows + map_rows) * 64 * 4);
  EXPECT_LT((*embedding_)->size_bytes(), (memory_rows + map_rows + 32) * 64 * 4);
}

TEST_F(TinySegmenter, AnswersPromptMajorInTheAskedOrderOfLevels) {
  const DecodeRequest request = {
      .embedding = *embedding_, .prompts = {Click(.2f, .3f), Click(.7f, .6f)}, .levels = {4, 1}};
  const auto results = segmenter_->Decode({&request, 1});
  ASSERT_TRUE(results[0].ok()) << results[0].status();
  const DecodeResult& result = *results[0];
  EXPECT_EQ(result.padded_size, (ImageSize{128, 160}));
  EXPECT_EQ(result.grid, (ImageSize{32, 40}));
  ASSERT_EQ(result.scores.size(), 4u);
  EXPECT_EQ(result.logits.size(), 4u * 32 * 40);
  EXPECT_EQ(result.embedding_dim, 64);
  EXPECT_EQ(result.query_embeddings.size(), 4u * 64);
  const int prompts[] = {0, 0, 1, 1};
  const int levels[] = {4, 1, 4, 1};
  for (int i = 0; i < 4; ++i) {
    EXPECT_EQ(result.scores[i].prompt, prompts[i]);
    EXPECT_EQ(result.scores[i].level, levels[i]);
  }
}

TEST_F(TinySegmenter, ChosenLevelsEqualTheSameLevelsOfAll) {
  DecodeRequest all = {
      .embedding = *embedding_, .prompts = {Click(.4f, .4f)}, .levels = {1, 2, 3, 4, 5, 6}};
  DecodeRequest one = all;
  one.levels = {5};
  const auto results = segmenter_->Decode(std::vector<DecodeRequest>{all, one});
  ASSERT_TRUE(results[0].ok() && results[1].ok());
  EXPECT_EQ(results[0]->scores[4].predicted_iou, results[1]->scores[0].predicted_iou);
  const LogitsView expected = results[0]->mask_logits(4);
  const LogitsView actual = results[1]->mask_logits(0);
  for (int64_t i = 0; i < expected.size.area(); ++i) {
    ASSERT_EQ(expected.data[i], actual.data[i]);
  }
}

TEST_F(TinySegmenter, JointPromptsSeeEachOtherAndIsolatedOnesDoNot) {
  DecodeRequest alone = {.embedding = *embedding_, .prompts = {Click(.2f, .3f)}, .levels = {3}};
  DecodeRequest isolated = alone;
  isolated.prompts.push_back(Click(.7f, .6f));
  DecodeRequest joint = isolated;
  joint.joint_attention = true;
  const auto results = segmenter_->Decode(std::vector<DecodeRequest>{alone, isolated, joint});
  const float expected = results[0]->scores[0].predicted_iou;
  EXPECT_EQ(results[1]->scores[0].predicted_iou, expected);
  EXPECT_GT(std::abs(results[2]->scores[0].predicted_iou - expected), 1e-4);
}

TEST_F(TinySegmenter, ABadRequestFailsAloneAndNamesItsField) {
  const DecodeRequest good = {
      .embedding = *embedding_, .prompts = {Click(.5f, .5f)}, .levels = {1}};
  std::vector<DecodeRequest> requests(6, good);
  requests[1].levels = {1, 7};
  requests[2].levels = {};
  requests[3].prompts = {};
  requests[4].embedding = nullptr;
  requests[5].prompts[0].point_or_box = 2;
  const auto results = segmenter_->Decode(requests);
  EXPECT_TRUE(results[0].ok());
  const char* fields[] = {"levels[1]", "levels", "prompts", "embedding", "prompts[0].point_or_box"};
  for (int i = 0; i < 5; ++i) {
    EXPECT_EQ(ErrorField(results[i + 1].status()), fields[i]) << results[i + 1].status();
  }
  EXPECT_EQ(ErrorReason(results[1].status()), reason::kUnknownLevel);
}

TEST_F(TinySegmenter, RefusesEmbeddingsOfAnotherModel) {
  const std::unique_ptr<Segmenter> other = MakeSegmenter("formula:swin-tiny");
  const DecodeRequest request = {
      .embedding = *embedding_, .prompts = {Click(.5f, .5f)}, .levels = {1}};
  EXPECT_EQ(ErrorField(other->Decode({&request, 1})[0].status()), "embedding");
}

TEST_F(TinySegmenter, AnImageWhosePixelsAreMissingFailsAlone) {
  const Rgb8Image good = MakeImage({64, 64}, 2);
  Rgb8Image bad = good;
  bad.pixels.pop_back();
  const Rgb8Image* images[] = {&bad, &good};
  const auto results = segmenter_->Encode(images);
  EXPECT_EQ(ErrorField(results[0].status()), "image");
  EXPECT_TRUE(results[1].ok());
}

TEST_F(TinySegmenter, NativeAndReferencePathsAgree) {
  absl::StatusOr<std::unique_ptr<Segmenter>> reference =
      CreateTorchSegmenter({.weights = "formula:swin-tiny", .reference_path = true});
  ASSERT_TRUE(reference.ok()) << reference.status();
  const Rgb8Image image = MakeImage({100, 130}, 1);
  DecodeRequest request = {.embedding = *embedding_,
                           .prompts = {Click(.3f, .5f), Click(.9f, .1f)},
                           .levels = {1, 2, 3, 4, 5, 6}};
  const auto ours = segmenter_->Decode({&request, 1});
  request.embedding = EncodeOne(**reference, image);
  const auto theirs = (*reference)->Decode({&request, 1});
  ASSERT_TRUE(ours[0].ok() && theirs[0].ok());
  for (size_t i = 0; i < ours[0]->logits.size(); ++i) {
    ASSERT_NEAR(ours[0]->logits[i], theirs[0]->logits[i], 2e-4);
  }
}

TEST(Segmenter, UnknownDevicesAreRefused) {
  EXPECT_EQ(
      ErrorField(CreateTorchSegmenter({.weights = "formula:swin-tiny", .device = "tpu"}).status()),
      "device");
  EXPECT_EQ(
      ErrorField(CreateTorchSegmenter({.weights = "formula:swin-tiny", .device = "xla"}).status()),
      "device");
}

TEST(Segmenter, MissingWeightsAreNotFound) {
  EXPECT_EQ(CreateTorchSegmenter({.weights = "/nowhere/model.safetensors"}).status().code(),
            absl::StatusCode::kNotFound);
}

// The promise to every user of a shared server: what a prompt gets does not
// depend on what it was batched with; on a CPU not in the last bit.
TEST(BatchInvariance, ThirtyTwoPromptsOverEightImagesEqualSingleRuns) {
  const std::unique_ptr<Segmenter> segmenter = MakeSegmenter("formula:swin-t");
  std::vector<Rgb8Image> images;
  std::vector<const Rgb8Image*> pointers;
  for (int i = 0; i < 8; ++i) images.push_back(MakeImage({64 + 21 * i, 160 - 13 * i}, i));
  for (const Rgb8Image& image : images) pointers.push_back(&image);
  const auto batched_embeddings = segmenter->Encode(pointers);

  std::mt19937 engine(5);
  std::uniform_real_distribution<float> uniform(0, 1);
  std::vector<DecodeRequest> batch, single;
  for (int i = 0; i < 32; ++i) {
    DecodeRequest request;
    request.embedding = *batched_embeddings[i % 8];
    const float x = uniform(engine);
    request.prompts = {Click(x, uniform(engine))};
    if (i % 5 == 0) request.prompts[0].w = request.prompts[0].h = 0.3f;  // a box
    request.levels = {1, 2, 3, 4, 5, 6};
    batch.push_back(request);
    request.embedding = EncodeOne(*segmenter, images[i % 8]);
    single.push_back(request);
  }
  const auto together = segmenter->Decode(batch);
  for (int i = 0; i < 32; ++i) {
    const auto alone = segmenter->Decode({&single[i], 1});
    ASSERT_TRUE(together[i].ok() && alone[0].ok());
    ASSERT_EQ(together[i]->logits.size(), alone[0]->logits.size());
    for (size_t j = 0; j < alone[0]->logits.size(); ++j) {
      ASSERT_EQ(together[i]->logits[j], alone[0]->logits[j]) << i;
    }
    for (int level = 0; level < 6; ++level) {
      ASSERT_NEAR(together[i]->scores[level].predicted_iou, alone[0]->scores[level].predicted_iou,
                  1e-5);
      ASSERT_EQ(together[i]->scores[level].box.w, alone[0]->scores[level].box.w);
    }
  }
}

}  // namespace
}  // namespace semsam
