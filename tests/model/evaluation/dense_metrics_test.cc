// Panoptic quality, mean IoU and label accuracy: what the comparison with the published
// libraries does not reach.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "model/evaluation/label_accuracy.h"
#include "model/evaluation/panoptic_quality.h"
#include "model/evaluation/semantic_iou.h"

namespace semsam {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class PanopticQualityTest : public ::testing::Test {
 protected:
  using Ids = std::vector<uint32_t>;
  using Segments = std::vector<PqSegment>;

  // One row of pixels.
  absl::Status Add(const Ids& truth, const Segments& truth_segments, const Ids& prediction,
                   const Segments& prediction_segments) {
    const ImageSize truth_size = {1, static_cast<int>(truth.size())};
    const ImageSize size = {1, static_cast<int>(prediction.size())};
    return accumulator_.Add({truth_size, truth, truth_segments},
                            {size, prediction, prediction_segments});
  }
  std::string Message(const Ids& truth, const Segments& truth_segments, const Ids& prediction,
                      const Segments& prediction_segments) {
    return std::string(Add(truth, truth_segments, prediction, prediction_segments).message());
  }

  const std::vector<PanopticClass> classes_ = {{1, true}, {2, false}};
  PanopticAccumulator accumulator_{classes_};
};

TEST_F(PanopticQualityTest, OfNothingIsNotANumber) {
  const PanopticResult result = accumulator_.Result();
  EXPECT_TRUE(std::isnan(result.all.pq.value));
  EXPECT_TRUE(std::isnan(result.classes[0].sq.value));
  EXPECT_EQ(result.classes[0].pq.count, 0);
}

TEST_F(PanopticQualityTest, CountsPicturesOfVoidAlone) {
  ASSERT_TRUE(Add({0, 0}, {}, {0, 0}, {}).ok());
  EXPECT_EQ(accumulator_.Result().pictures, 1);
  EXPECT_EQ(accumulator_.Result().all.pq.count, 0);
}

TEST_F(PanopticQualityTest, ExcusesWhatLiesInVoidOrInACrowd) {
  const Segments crowd = {{.id = 9, .category = 1, .crowd = true}};
  ASSERT_TRUE(Add({0, 9, 9, 0}, crowd, {5, 5, 5, 6}, {{5, 1}, {6, 2}}).ok());
  EXPECT_EQ(accumulator_.Result().all.pq.count, 0);
  // Half is not more than half.
  ASSERT_TRUE(Add({9, 3}, {{9, 1, true}, {3, 2}}, {5, 5}, {{5, 1}}).ok());
  EXPECT_EQ(accumulator_.Result().classes[0].false_positives, 1);
  EXPECT_EQ(accumulator_.Result().classes[1].false_negatives, 1);
}

TEST_F(PanopticQualityTest, KnowsTheLastCrowdOfAClass) {
  const Segments crowds = {{.id = 9, .category = 1, .crowd = true},
                           {.id = 8, .category = 1, .crowd = true}};
  ASSERT_TRUE(Add({8, 9}, crowds, {5, 6}, {{5, 1}, {6, 1}}).ok());
  EXPECT_EQ(accumulator_.Result().classes[0].false_positives, 1);
}

TEST_F(PanopticQualityTest, DoesNotMatchAtExactlyHalf) {
  ASSERT_TRUE(Add({3, 3, 4}, {{3, 1}, {4, 2}}, {5, 6, 6}, {{5, 1}, {6, 2}}).ok());
  const PanopticResult result = accumulator_.Result();
  EXPECT_EQ(result.classes[0].true_positives, 0);
  EXPECT_EQ(result.classes[0].false_positives, 1);
  EXPECT_EQ(result.classes[0].false_negatives, 1);
  EXPECT_EQ(result.all.pq.value, 0);
  EXPECT_EQ(result.all.sq.value, 0);
}

TEST_F(PanopticQualityTest, NamesWhatItCannotUse) {
  const Segments one = {{3, 1}};
  EXPECT_THAT(Message({3, 3}, one, {3}, one),
              HasSubstr("the truth is 2 x 1, the prediction 1 x 1"));
  EXPECT_THAT(Message({3}, {{3, 1}, {3, 2}}, {3}, one), HasSubstr("truth: lists segment 3 twice"));
  EXPECT_THAT(Message({3}, one, {3}, {{3, 7}}),
              HasSubstr("prediction: segment 3 is of unknown class 7"));
  EXPECT_THAT(Message({3}, one, {4}, {}), HasSubstr("segment 4 is in the map and not in the list"));
  EXPECT_THAT(Message({3}, one, {3}, {{3, 1}, {4, 1}}),
              HasSubstr("segment 4 is in the list and not in the map"));
  EXPECT_THAT(Message({3}, one, {0}, {{0, 1}}), HasSubstr("lists segment 0"));
  EXPECT_THAT(Message({3, 3}, {{3, 1, false, 1}}, {3, 3}, one),
              HasSubstr("segment 3 states 1 px and holds 2"));
  EXPECT_THAT(Message({}, {}, {}, {}), HasSubstr("has 0 px"));
  EXPECT_FALSE(accumulator_.Add({{2, 2}, Ids{3}, one}, {{2, 2}, Ids{3}, one}).ok());
  EXPECT_EQ(accumulator_.Result().pictures, 0);
  EXPECT_EQ(accumulator_.Result().all.pq.count, 0);
  EXPECT_FALSE(accumulator_.Merge(PanopticAccumulator(std::vector<PanopticClass>{{1, true}})).ok());
}

TEST(SemanticIou, IgnoresWhatTheTruthDoesNotSay) {
  SemanticAccumulator accumulator({.classes = 3});
  using Labels = std::vector<uint16_t>;
  ASSERT_TRUE(accumulator.Add(Labels{0, 0, 1, 255}, Labels{0, 1, 1, 9999}).ok());
  const SemanticResult result = accumulator.Result();
  EXPECT_DOUBLE_EQ(result.classes[0].iou.value, 0.5);
  EXPECT_DOUBLE_EQ(result.classes[1].iou.value, 0.5);
  EXPECT_TRUE(std::isnan(result.classes[2].iou.value));
  EXPECT_DOUBLE_EQ(result.mean_iou.value, 0.5);
  EXPECT_EQ(result.mean_iou.count, 2);
  EXPECT_DOUBLE_EQ(result.pixel_accuracy.value, 2.0 / 3);
}

TEST(SemanticIou, RefusesForeignLabels) {
  SemanticAccumulator accumulator({.classes = 3});
  using Labels = std::vector<uint16_t>;
  EXPECT_THAT(std::string(accumulator.Add(Labels{0, 3}, Labels{0, 0}).message()),
              HasSubstr("true label 3 at px 1"));
  EXPECT_THAT(std::string(accumulator.Add(Labels{0, 0}, Labels{0, 3}).message()),
              HasSubstr("predicted label 3 at px 1"));
  EXPECT_FALSE(accumulator.Add(Labels{0}, Labels{0, 0}).ok());
  EXPECT_EQ(accumulator.Result().pictures, 0);
  EXPECT_TRUE(std::isnan(accumulator.Result().mean_iou.value));
  SemanticAccumulator other({.classes = 4});
  EXPECT_FALSE(accumulator.Merge(other).ok());
  EXPECT_FALSE((SemanticIouOptions{.classes = 0}).Validate().ok());
  EXPECT_FALSE((SemanticIouOptions{.classes = 300, .ignore_label = 255}).Validate().ok());
  EXPECT_TRUE((SemanticIouOptions{.classes = 255}).Validate().ok());
}

TEST(SemanticIou, MergesWhatTwoHaveSeen) {
  SemanticAccumulator a({.classes = 2}), b({.classes = 2}), both({.classes = 2});
  const std::vector<uint16_t> x = {0, 1, 1}, y = {0, 0, 1}, z = {1, 1, 1};
  ASSERT_TRUE(a.Add(x, y).ok());
  ASSERT_TRUE(b.Add(y, z).ok());
  ASSERT_TRUE(both.Add(y, z).ok());
  ASSERT_TRUE(both.Add(x, y).ok());
  ASSERT_TRUE(a.Merge(b).ok());
  EXPECT_EQ(a.Result().mean_iou.value, both.Result().mean_iou.value);
  EXPECT_EQ(a.Result().pictures, 2);
}

TEST(LabelAccuracy, CountsTheFirstAndTheFirstFive) {
  LabelAccumulator accumulator;
  const auto add = [&](LabelHead head, const std::vector<int>& ranked,
                       const std::vector<int>& truths) {
    return accumulator.Add(head, ranked, truths);
  };
  ASSERT_TRUE(add(LabelHead::kObject, {1, 2, 3, 4, 5, 6}, {1}).ok());
  ASSERT_TRUE(add(LabelHead::kObject, {1, 2, 3, 4, 5, 6}, {9, 5}).ok());
  ASSERT_TRUE(add(LabelHead::kObject, {1, 2, 3, 4, 5, 6}, {6}).ok());
  ASSERT_TRUE(add(LabelHead::kObject, {}, {6}).ok());
  const LabelResult result = accumulator.Result(LabelHead::kObject);
  EXPECT_DOUBLE_EQ(result.top1.value, 0.25);
  EXPECT_DOUBLE_EQ(result.top5.value, 0.5);
  EXPECT_EQ(result.top5.count, 4);
  EXPECT_TRUE(std::isnan(accumulator.Result(LabelHead::kPart).top1.value));
  LabelAccumulator other;
  ASSERT_TRUE(other.Add(LabelHead::kPart, std::vector<int>{1}, std::vector<int>{1}).ok());
  accumulator.Merge(other);
  EXPECT_EQ(accumulator.Result(LabelHead::kPart).top1.value, 1);
  EXPECT_FALSE(add(LabelHead::kObject, {1}, {}).ok());
  EXPECT_FALSE(add(LabelHead::kObject, {1, 2, 1}, {1}).ok());
  EXPECT_EQ(accumulator.Result(LabelHead::kObject).top1.count, 4);
}

TEST(LabelAccuracy, RanksLabelsLowerOnesFirstAmongEquals) {
  const std::vector<float> scores = {0.1f, 0.9f, 0.5f, 0.9f, -1};
  EXPECT_THAT(*RankLabels(scores), ElementsAre(1, 3, 2, 0, 4));
  EXPECT_THAT(*RankLabels(scores, 2), ElementsAre(1, 3));
  EXPECT_TRUE(RankLabels({})->empty());
  EXPECT_FALSE(RankLabels(std::vector<float>{1, std::numeric_limits<float>::quiet_NaN()}).ok());
}

}  // namespace
}  // namespace semsam
