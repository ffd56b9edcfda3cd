// Embeddings with projected values: larger, otherwise the same.
#include <gtest/gtest.h>

#include "model/base/errors.h"
#include "tests/model/net/segmenter_fixture.h"

namespace semsam {
namespace {

using testing::Click;
using testing::EncodeOne;
using testing::MakeImage;
using testing::MakeSegmenter;

void ExpectNearlyEqual(const DecodeResult& a, const DecodeResult& b) {
  ASSERT_EQ(a.logits.size(), b.logits.size());
  for (size_t i = 0; i < a.logits.size(); ++i) ASSERT_NEAR(a.logits[i], b.logits[i], 2e-4);
  for (size_t i = 0; i < a.scores.size(); ++i) {
    ASSERT_NEAR(a.scores[i].predicted_iou, b.scores[i].predicted_iou, 1e-4);
    ASSERT_NEAR(a.scores[i].box.cx, b.scores[i].box.cx, 1e-5);
  }
}

void ExpectEqual(const DecodeResult& a, const DecodeResult& b) {
  EXPECT_EQ(a.logits, b.logits);
  EXPECT_EQ(a.query_embeddings, b.query_embeddings);
}

// Heads of 16 channels (the kernel's least) and of 32 (the published width).
class ProjectedValues : public ::testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    segmenter_ = MakeSegmenter(GetParam());
    for (uint32_t i = 0; i < 2; ++i) {
      raw_.push_back(EncodeOne(*segmenter_, MakeImage({100, 130 - 40 * static_cast<int>(i)}, i)));
      auto projected = segmenter_->ProjectValues(raw_.back());
      ASSERT_TRUE(projected.ok()) << projected.status();
      projected_.push_back(*projected);
    }
  }

  DecodeRequest Request(std::shared_ptr<const Embedding> embedding, bool joint) const {
    return {.embedding = std::move(embedding),
            .prompts = {Click(.2f, .3f), Click(.7f, .6f), Click(.5f, .9f)},
            .levels = {1, 2, 3, 4, 5, 6},
            .joint_attention = joint};
  }
  DecodeResult Decode(const DecodeRequest& request) const {
    auto results = segmenter_->Decode({&request, 1});
    EXPECT_TRUE(results[0].ok()) << results[0].status();
    return *std::move(results[0]);
  }

  std::unique_ptr<Segmenter> segmenter_;
  std::vector<std::shared_ptr<const Embedding>> raw_;
  std::vector<std::shared_ptr<const Embedding>> projected_;
};

TEST_P(ProjectedValues, DecodeLikeTheOriginalUpToRounding) {
  for (const bool joint : {false, true}) {
    ExpectNearlyEqual(Decode(Request(projected_[0], joint)), Decode(Request(raw_[0], joint)));
  }
}

TEST_P(ProjectedValues, AndRawOnesDecodeInOneCallEachAsAlone) {
  std::vector<DecodeRequest> requests;
  for (const auto* embeddings : {&raw_, &projected_}) {
    for (const auto& embedding : *embeddings) requests.push_back(Request(embedding, false));
  }
  requests.push_back(Request(projected_[1], true));
  const auto together = segmenter_->Decode(requests);
  for (size_t i = 0; i < requests.size(); ++i) {
    ASSERT_TRUE(together[i].ok()) << together[i].status();
    ExpectEqual(*together[i], Decode(requests[i]));
  }
}

TEST_P(ProjectedValues, PromptsDoNotDependOnTheOthersInTheLastBit) {
  const DecodeRequest all = Request(projected_[0], false);
  const DecodeResult together = Decode(all);
  for (size_t p = 0; p < all.prompts.size(); ++p) {
    DecodeRequest one = all;
    one.prompts = {all.prompts[p]};
    const DecodeResult alone = Decode(one);
    for (size_t i = 0; i < alone.logits.size(); ++i) {
      ASSERT_EQ(alone.logits[i], together.logits[p * alone.logits.size() + i]);
    }
  }
}

TEST_P(ProjectedValues, AreCountedInBytes) {
  const ModelConfig& config = segmenter_->info().config;
  const int64_t row = int64_t{config.pixel_decoder.hidden_dim} * 4;
  const int64_t tokens = 16 * 20 + 8 * 10 + 4 * 5 + 2 * 3;  // of 128 x 160
  EXPECT_EQ(projected_[0]->size_bytes() - raw_[0]->size_bytes(),
            config.decoder.layers * tokens * row);
  EXPECT_EQ(projected_[0]->network_size(), raw_[0]->network_size());
}

TEST_P(ProjectedValues, OfAProjectedEmbeddingAreItsOwn) {
  const auto again = segmenter_->ProjectValues(projected_[0]);
  ASSERT_TRUE(again.ok());
  EXPECT_EQ(again->get(), projected_[0].get());
}

INSTANTIATE_TEST_SUITE_P(Models, ProjectedValues,
                         ::testing::Values("formula:swin-tiny", "formula:swin-t"),
                         [](const auto& info) { return "Model" + std::to_string(info.index); });

TEST(ProjectValues, OfAnotherModelsEmbeddingAreRefused) {
  const std::unique_ptr<Segmenter> ours = MakeSegmenter("formula:swin-tiny");
  const std::unique_ptr<Segmenter> other = MakeSegmenter("formula:swin-tiny");
  const auto embedding = EncodeOne(*ours, MakeImage({64, 64}, 1));
  EXPECT_EQ(ErrorField(other->ProjectValues(embedding).status()), "embedding");
  EXPECT_EQ(ErrorField(ours->ProjectValues(nullptr).status()), "embedding");
}

TEST(ProjectValues, OnTheReferencePathAgreesWithTheNativeOne) {
  const std::unique_ptr<Segmenter> native = MakeSegmenter("formula:swin-tiny");
  auto reference = CreateTorchSegmenter({.weights = "formula:swin-tiny", .reference_path = true});
  ASSERT_TRUE(reference.ok()) << reference.status();
  std::vector<DecodeResult> results;
  for (Segmenter* segmenter : {native.get(), reference->get()}) {
    const auto projected =
        segmenter->ProjectValues(EncodeOne(*segmenter, MakeImage({100, 130}, 1)));
    ASSERT_TRUE(projected.ok()) << projected.status();
    const DecodeRequest request = {
        .embedding = *projected, .prompts = {Click(.3f, .5f), Click(.9f, .1f)}, .levels = {1, 6}};
    auto decoded = segmenter->Decode({&request, 1});
    ASSERT_TRUE(decoded[0].ok()) << decoded[0].status();
    results.push_back(*std::move(decoded[0]));
  }
  ExpectNearlyEqual(results[0], results[1]);
}

}  // namespace
}  // namespace semsam
