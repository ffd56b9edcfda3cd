// EncodeText and ScoreLabels through the interface that the service knows.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <thread>

#include "model/base/errors.h"
#include "tests/model/net/segmenter_fixture.h"

namespace semsam {
namespace {

using testing::Click;
using testing::EncodeOne;
using testing::MakeImage;
using testing::MakeSegmenter;

constexpr size_t kTextDim = 64;  // of swin-tiny
constexpr size_t kWidth = 64;

class Words : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { segmenter_ = MakeSegmenter("formula:swin-tiny").release(); }

  static std::vector<float> Encode(const std::vector<std::string>& terms, TextMode mode) {
    absl::StatusOr<std::vector<float>> rows = segmenter_->EncodeText(terms, mode);
    EXPECT_TRUE(rows.ok()) << rows.status();
    return rows.ok() ? *rows : std::vector<float>();
  }

  static Segmenter* segmenter_;
};

Segmenter* Words::segmenter_ = nullptr;

bool SameBits(absl::Span<const float> a, absl::Span<const float> b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

TEST_F(Words, RowsHaveUnitNorm) {
  for (const TextMode mode : {TextMode::kEnsemble, TextMode::kPlain}) {
    const std::vector<float> rows = Encode({"dog", "", "caf\u00E9 table"}, mode);
    ASSERT_EQ(rows.size(), 3 * kTextDim);
    for (size_t i = 0; i < 3; ++i) {
      double squares = 0;
      for (size_t d = 0; d < kTextDim; ++d)
        squares += double{rows[i * kTextDim + d]} * rows[i * kTextDim + d];
      EXPECT_NEAR(squares, 1, 1e-5);
    }
  }
}

// Bit for bit: an embedding that was cached must be what a fresh one would be. With
// 500 terms the encoder runs in parts, and a long one has more tokens than fit.
TEST_F(Words, ARowDependsOnItsTermAlone) {
  std::vector<std::string> terms = {"dog", "a dog", "word " + std::string(300, 'x'), "dog", "DOG"};
  for (int i = 0; i < 500; ++i) terms.push_back("term" + std::to_string(i * i) + " of many");
  for (const TextMode mode : {TextMode::kPlain, TextMode::kEnsemble}) {
    const std::vector<float> together = Encode(terms, mode);
    ASSERT_EQ(together.size(), terms.size() * kTextDim);
    for (const size_t i : {size_t{0}, size_t{1}, size_t{2}, size_t{3}, size_t{4}, size_t{60},
                           size_t{250}, size_t{504}}) {
      EXPECT_TRUE(SameBits(Encode({terms[i]}, mode),
                           absl::MakeSpan(together).subspan(i * kTextDim, kTextDim)))
          << terms[i];
    }
  }
}

TEST_F(Words, TheTreeAndThePaddedBatchAgree) {
  const auto reference = MakeSegmenter("formula:swin-tiny", /*reference_path=*/true);
  const std::vector<std::string> terms = {"dog", "traffic light", "", std::string(40, 'q'),
                                          "a <|endoftext|> b"};
  for (const TextMode mode : {TextMode::kPlain, TextMode::kEnsemble}) {
    const auto expected = reference->EncodeText(terms, mode);
    ASSERT_TRUE(expected.ok());
    const std::vector<float> rows = Encode(terms, mode);
    for (size_t i = 0; i < rows.size(); ++i) ASSERT_NEAR(rows[i], (*expected)[i], 2e-6);
  }
}

TEST_F(Words, NoTermsNoRows) { EXPECT_TRUE(Encode({}, TextMode::kEnsemble).empty()); }

TEST_F(Words, TermsThatAreNotUtf8AreNamed) {
  const auto rows =
      segmenter_->EncodeText(std::vector<std::string>{"dog", "\xFF"}, TextMode::kPlain);
  EXPECT_EQ(rows.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(ErrorField(rows.status()), "terms[1]");
}

TEST_F(Words, AModelWithoutTextSaysSo) {
  const auto wordless = MakeSegmenter("formula:swin-tiny-wordless");
  const auto rows = wordless->EncodeText(std::vector<std::string>{"dog"}, TextMode::kPlain);
  EXPECT_EQ(rows.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(ErrorReason(rows.status()), reason::kCapabilityMissing);
  for (const LabelHead head : {LabelHead::kObject, LabelHead::kPart}) {
    const auto scores = wordless->ScoreLabels(head, std::vector<float>(kWidth, 1.f),
                                              std::vector<float>(kTextDim, 1.f));
    EXPECT_EQ(scores.status().code(), absl::StatusCode::kFailedPrecondition);
    EXPECT_EQ(ErrorReason(scores.status()), reason::kCapabilityMissing);
  }
}

TEST_F(Words, LabelsOfMasksAreCosinesOfTheirOwnHead) {
  const auto embedding = EncodeOne(*segmenter_, MakeImage({100, 130}, 1));
  const DecodeRequest request = {
      .embedding = embedding, .prompts = {Click(.2f, .3f), Click(.7f, .6f)}, .levels = {1, 2, 3}};
  const auto decoded = segmenter_->Decode({&request, 1});
  ASSERT_TRUE(decoded[0].ok());
  const std::vector<float> text = Encode({"dog", "cat", "sky", "leg"}, TextMode::kPlain);
  const auto objects =
      segmenter_->ScoreLabels(LabelHead::kObject, decoded[0]->query_embeddings, text);
  const auto parts = segmenter_->ScoreLabels(LabelHead::kPart, decoded[0]->query_embeddings, text);
  ASSERT_TRUE(objects.ok() && parts.ok());
  ASSERT_EQ(objects->size(), 6u * 4u);
  EXPECT_NE(*objects, *parts);
  // The order of the words is that of the columns.
  std::vector<float> swapped(text.begin() + kTextDim, text.end());
  swapped.insert(swapped.end(), text.begin(), text.begin() + kTextDim);
  const auto again =
      segmenter_->ScoreLabels(LabelHead::kObject, decoded[0]->query_embeddings, swapped);
  ASSERT_TRUE(again.ok());
  for (size_t row = 0; row < 6; ++row) {
    for (size_t column = 0; column < 4; ++column) {
      EXPECT_NEAR((*objects)[row * 4 + column], (*again)[row * 4 + (column + 3) % 4], 1e-4);
    }
  }
}

TEST_F(Words, ScoresOfNothingAreNothingAndHalfRowsAreRefused) {
  const std::vector<float> query(kWidth, 1.f), text(kTextDim, 1.f);
  EXPECT_TRUE(segmenter_->ScoreLabels(LabelHead::kObject, {}, text)->empty());
  EXPECT_TRUE(segmenter_->ScoreLabels(LabelHead::kObject, query, {})->empty());
  const absl::Span<const float> half(query.data(), kWidth / 2);
  EXPECT_EQ(ErrorField(segmenter_->ScoreLabels(LabelHead::kObject, half, text).status()),
            "query_embeddings");
  EXPECT_EQ(ErrorField(segmenter_->ScoreLabels(LabelHead::kObject, query, half).status()),
            "text_embeddings");
}

TEST_F(Words, ScoresAreTheSameWhileOthersAreAsked) {
  const std::vector<float> text = Encode({"dog", "cat"}, TextMode::kPlain);
  std::vector<float> queries(20 * kWidth);
  for (size_t i = 0; i < queries.size(); ++i) queries[i] = std::sin(static_cast<float>(i));
  const auto expected = segmenter_->ScoreLabels(LabelHead::kObject, queries, text);
  ASSERT_TRUE(expected.ok());
  std::vector<std::thread> threads;
  std::vector<int> equal(4, 0);
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 20; ++i) {
        equal[t] += segmenter_->ScoreLabels(LabelHead::kObject, queries, text) == expected;
      }
    });
  }
  for (int i = 0; i < 5; ++i) Encode({"tree", "house"}, TextMode::kEnsemble);
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(equal, std::vector<int>(4, 20));
}

}  // namespace
}  // namespace semsam
