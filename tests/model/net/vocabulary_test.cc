// SegmentVocabulary through the Segmenter interface, and what it takes from the
// network.
#include <c10/core/InferenceMode.h>
#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <set>

#include "model/base/errors.h"
#include "model/net/load_model.h"
#include "model/net/vocabulary_run.h"
#include "tests/model/net/segmenter_fixture.h"

namespace semsam {
namespace {

using testing::Click;
using testing::EncodeOne;
using testing::MakeImage;
using testing::MakeSegmenter;

constexpr char kTiny[] = "formula:swin-tiny";

// Rows of unit norm.
std::vector<float> Words(int count, uint32_t seed, int width = SwinTiny().decoder.text_dim) {
  std::mt19937 engine(seed);
  std::normal_distribution<float> normal;
  std::vector<float> rows;
  for (int i = 0; i < count; ++i) {
    std::vector<float> row;
    double square = 0;
    for (int k = 0; k < width; ++k) {
      row.push_back(normal(engine));
      square += row.back() * row.back();
    }
    for (float value : row) rows.push_back(static_cast<float>(value / std::sqrt(square)));
  }
  return rows;
}

class VocabularyTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { segmenter_ = MakeSegmenter(kTiny).release(); }
  static void TearDownTestSuite() { delete segmenter_; }

  VocabularyTest() : embedding_(EncodeOne(*segmenter_, MakeImage({100, 130}, 1))) {}

  VocabularyResult Segment(const VocabularyRequest& request) {
    auto results = segmenter_->SegmentVocabulary({&request, 1});
    EXPECT_EQ(results.size(), 1u);
    EXPECT_TRUE(results[0].ok()) << results[0].status();
    return results[0].ok() ? *std::move(results[0]) : VocabularyResult();
  }
  absl::Status Error(const VocabularyRequest& request) {
    return segmenter_->SegmentVocabulary({&request, 1})[0].status();
  }
  VocabularyRequest Request(std::vector<float> objects, std::vector<float> parts = {}) const {
    return {
        .embedding = embedding_, .object_text = std::move(objects), .part_text = std::move(parts)};
  }

  static Segmenter* segmenter_;
  std::shared_ptr<const Embedding> embedding_;
};
Segmenter* VocabularyTest::segmenter_ = nullptr;

void ExpectEqual(const VocabularyResult& a, const VocabularyResult& b) {
  EXPECT_EQ(a.object_logits, b.object_logits);
  EXPECT_EQ(a.part_logits, b.part_logits);
  EXPECT_EQ(a.mask_logits, b.mask_logits);
  ASSERT_EQ(a.boxes.size(), b.boxes.size());
  for (size_t i = 0; i < a.boxes.size(); ++i) EXPECT_EQ(a.boxes[i].cx, b.boxes[i].cx);
}

void ExpectNear(const std::vector<float>& a, const std::vector<float>& b, float tolerance) {
  ASSERT_EQ(a.size(), b.size());
  for (size_t i = 0; i < a.size(); ++i) ASSERT_NEAR(a[i], b[i], tolerance) << i;
}

TEST_F(VocabularyTest, AnswersChosenAndLearnedQueries) {
  const VocabularyResult result = Segment(Request(Words(7, 1), Words(3, 2)));
  EXPECT_EQ(result.chosen_queries, SwinTiny().vocabulary->queries);
  EXPECT_EQ(result.queries, SwinTiny().vocabulary->queries + 5);
  EXPECT_EQ(result.padded_size, (ImageSize{128, 160}));
  EXPECT_EQ(result.grid, (ImageSize{32, 40}));
  EXPECT_EQ(result.boxes.size(), 25u);
  EXPECT_EQ(result.object_logits.size(), 25u * 7);
  EXPECT_EQ(result.part_logits.size(), 25u * 3);
  EXPECT_EQ(result.mask_logits.size(), 25u * 32 * 40);
  for (const CenterBox& box : result.boxes) {
    for (const float value : {box.cx, box.cy, box.w, box.h}) {
      EXPECT_GT(value, 0);
      EXPECT_LT(value, 1);
    }
  }
}

TEST_F(VocabularyTest, ARequestDoesNotDependOnItsNeighbours) {
  const auto other = EncodeOne(*segmenter_, MakeImage({90, 70}, 2));
  std::vector<VocabularyRequest> requests = {Request(Words(7, 1)), Request(Words(40, 2)),
                                             Request({}, Words(5, 3)), Request(Words(7, 1))};
  requests[1].embedding = other;
  std::vector<VocabularyResult> alone;
  for (const VocabularyRequest& request : requests) alone.push_back(Segment(request));
  requests.push_back(Request({}));  // fails
  auto together = segmenter_->SegmentVocabulary(requests);
  ASSERT_EQ(together.size(), 5u);
  EXPECT_FALSE(together[4].ok());
  for (size_t i = 0; i < alone.size(); ++i) {
    ASSERT_TRUE(together[i].ok()) << together[i].status();
    ExpectEqual(*together[i], alone[i]);
  }
  ExpectEqual(alone[0], alone[3]);
}

TEST_F(VocabularyTest, PartsAreScoredOnTheQueriesOfTheObjects) {
  const VocabularyResult objects = Segment(Request(Words(7, 1)));
  const VocabularyResult both = Segment(Request(Words(7, 1), Words(3, 2)));
  EXPECT_EQ(both.object_logits, objects.object_logits);
  EXPECT_EQ(both.mask_logits, objects.mask_logits);
  EXPECT_TRUE(objects.part_logits.empty());
}

TEST_F(VocabularyTest, PartsAloneChooseTheQueriesThemselves) {
  const VocabularyResult parts = Segment(Request({}, Words(3, 2)));
  EXPECT_TRUE(parts.object_logits.empty());
  EXPECT_EQ(parts.part_logits.size(), 25u * 3);
  EXPECT_NE(parts.mask_logits, Segment(Request(Words(3, 2))).mask_logits)
      << "the two heads must choose differently";
}

TEST_F(VocabularyTest, TheOrderOfWordsIsTheOrderOfLogitsAlone) {
  const std::vector<float> words = Words(6, 4);
  std::vector<float> reversed;
  const size_t width = words.size() / 6;
  for (size_t i = 6; i-- > 0;) {
    reversed.insert(reversed.end(), words.begin() + i * width, words.begin() + (i + 1) * width);
  }
  const VocabularyResult one = Segment(Request(words));
  const VocabularyResult two = Segment(Request(reversed));
  ExpectNear(one.mask_logits, two.mask_logits, 1e-4f);
  for (size_t q = 0; q < 25; ++q) {
    for (size_t c = 0; c < 6; ++c) {
      ASSERT_NEAR(one.object_logits[q * 6 + c], two.object_logits[q * 6 + 5 - c], 1e-4f);
    }
  }
}

TEST_F(VocabularyTest, ProjectedValuesGiveTheSameUpToRounding) {
  VocabularyRequest request = Request(Words(7, 1));
  const VocabularyResult raw = Segment(request);
  request.embedding = *segmenter_->ProjectValues(embedding_);
  const VocabularyResult projected = Segment(request);
  ExpectNear(raw.mask_logits, projected.mask_logits, 1e-3f);
  ExpectNear(raw.object_logits, projected.object_logits, 1e-3f);
}

TEST_F(VocabularyTest, TheReferencePathAgrees) {
  auto reference = CreateTorchSegmenter({.weights = kTiny, .reference_path = true});
  ASSERT_TRUE(reference.ok()) << reference.status();
  VocabularyRequest request = Request(Words(7, 1), Words(2, 5));
  const VocabularyResult native = Segment(request);
  request.embedding = EncodeOne(**reference, MakeImage({100, 130}, 1));
  auto results = (*reference)->SegmentVocabulary({&request, 1});
  ASSERT_TRUE(results[0].ok()) << results[0].status();
  ExpectNear(native.mask_logits, results[0]->mask_logits, 1e-3f);
  ExpectNear(native.object_logits, results[0]->object_logits, 1e-3f);
  ExpectNear(native.part_logits, results[0]->part_logits, 1e-3f);
}

TEST_F(VocabularyTest, ErrorsNameTheFieldOrTheCapability) {
  EXPECT_EQ(ErrorField(Error(Request({}))), "object_text");
  std::vector<float> odd = Words(2, 1);
  odd.pop_back();
  EXPECT_EQ(ErrorField(Error(Request(odd))), "object_text");
  EXPECT_EQ(ErrorField(Error(Request(Words(1, 1), odd))), "part_text");
  VocabularyRequest foreign = Request(Words(1, 1));
  foreign.embedding = nullptr;
  EXPECT_EQ(ErrorField(Error(foreign)), "embedding");

  const VocabularyRequest words = {.embedding = nullptr, .object_text = Words(1, 1)};
  const absl::Status wordless = CheckVocabularyRequest(SwinTinyWordless(), words);
  EXPECT_EQ(wordless.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(ErrorReason(wordless), reason::kCapabilityMissing);
  VocabularyRequest parts = {.embedding = nullptr, .part_text = Words(1, 1, 512)};
  EXPECT_EQ(CheckVocabularyRequest(OpenSeedSwinT(), parts).code(),
            absl::StatusCode::kFailedPrecondition);
}

TEST(WordlessVocabulary, FailsAsAnAnswerNotAsACrash) {
  const std::unique_ptr<Segmenter> segmenter = MakeSegmenter("formula:swin-tiny-wordless");
  const VocabularyRequest request = {.embedding = EncodeOne(*segmenter, MakeImage({64, 64}, 1)),
                                     .object_text = Words(1, 1)};
  EXPECT_EQ(segmenter->SegmentVocabulary({&request, 1})[0].status().code(),
            absl::StatusCode::kFailedPrecondition);
}

// --- What the published code cannot do ---

class SelectionTest : public ::testing::Test {
 protected:
  SelectionTest() : model_(*LoadModel(kTiny, at::kCPU, ops::Path::kNative)) {}

  ImageFeatures Encode(ImageSize size) const {
    const Rgb8Image image = MakeImage(size, 3);
    const at::Tensor pixels = at::from_blob(const_cast<uint8_t*>(image.pixels.data()),
                                            {1, size.height, size.width, 3}, at::kByte);
    const SemanticSam& network = *model_.network;
    return network.Encode(network.Preprocess(pixels, PaddedSize(network.config(), size))).front();
  }
  static at::Tensor Text(int count) {
    const std::vector<float> words = Words(count, 1);
    return at::tensor(words).view({count, -1});
  }

  c10::InferenceMode inference_;
  LoadedModel model_;
};

TEST_F(SelectionTest, TakesAllValidTokensWhereThereAreFewerThanWanted) {
  const ImageFeatures features = Encode({32, 64});
  const VocabularyTensors run =
      RunVocabulary(*model_.network, {features, {}, {32, 64}}, {.objects = Text(3)}, 1000);
  const int64_t tokens = 4 * 8 + 2 * 4 + 1 * 2 + 1 * 1;
  EXPECT_EQ(run.selected.scores.numel(), tokens);
  EXPECT_EQ(run.selected.tokens.numel(), tokens);
  EXPECT_EQ(run.boxes.size(0), tokens + 5);
  EXPECT_TRUE(run.mask_logits.isfinite().all().item<bool>());
}

TEST_F(SelectionTest, NeverChoosesATokenWhoseBoxTouchesTheBorder) {
  // 56 tokens wide on the finest level: the centres of the outer columns are closer
  // than a hundredth to the border.
  const ImageFeatures features = Encode({32, 448});
  const VocabularyTensors run =
      RunVocabulary(*model_.network, {features, {}, {32, 448}}, {.objects = Text(3)}, 1000);
  const int64_t tokens = 4 * 56 + 2 * 28 + 1 * 14 + 1 * 7;
  EXPECT_EQ(run.selected.scores.numel(), tokens);
  EXPECT_EQ(run.selected.tokens.numel(), tokens - 2 * 4);
  const at::Tensor valid = run.proposals.valid.index_select(0, run.selected.tokens);
  EXPECT_TRUE(valid.all().item<bool>());
  EXPECT_EQ(run.proposals.memory[tokens - 1].abs().max().item<float>(), 0);
  EXPECT_TRUE(run.proposals.boxes[tokens - 1].isinf().all().item<bool>());
}

TEST_F(SelectionTest, TiesGoToTheFirstToken) {
  const ImageFeatures features = Encode({64, 64});
  const SemanticSam& network = *model_.network;
  const QuerySelection& selection = *network.query_selection();
  TokenProposals proposals = selection.Propose(features.memory);
  proposals.features.copy_(proposals.features[0].expand_as(proposals.features).clone());
  const SelectedQueries selected =
      selection.Select(proposals, network.class_heads(), LabelHead::kObject, Text(2),
                       network.decoder(), /*queries=*/20);
  for (int64_t i = 0; i < 20; ++i) EXPECT_EQ(selected.tokens[i].item<int64_t>(), i);
}

TEST_F(SelectionTest, MaxLogitsAreTheLargestLogits) {
  const ClassHeads& heads = model_.network->class_heads();
  const at::Tensor rows = at::arange(0, 200 * 64, at::kFloat).sin().view({200, 64});
  const at::Tensor text = Text(70'000);  // several blocks
  const at::Tensor expected = heads.Logits(LabelHead::kPart, rows, text).amax(1);
  const at::Tensor actual = heads.MaxLogits(LabelHead::kPart, rows, text);
  EXPECT_LE((expected - actual).abs().max().item<float>(), 1e-4f);
}

}  // namespace
}  // namespace semsam
