#include "model/evaluation/coco_results.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>

namespace semsam {
namespace {

using ::testing::HasSubstr;

absl::StatusOr<std::map<int64_t, std::vector<ApDetection>>> Parse(
    const std::string& text, ApKind kind = ApKind::kMask, const CocoResultLimits& limits = {}) {
  std::istringstream stream(text);
  return ParseCocoResults(stream, kind, limits);
}

std::string Message(const std::string& text, ApKind kind = ApKind::kMask) {
  return std::string(Parse(text, kind).status().message());
}

std::string WithMask(const std::string& segmentation) {
  return R"([{"image_id": 1, "category_id": 2, "score": 0.5, "segmentation": )" + segmentation +
         "}]";
}

TEST(CocoResults, ReadsBothFormsOfRunLengths) {
  // A 3 x 2 picture whose first column is set: runs 0, 3, 3.
  for (const char* counts : {"[0, 3, 3]", "\"033\""}) {
    const auto results =
        Parse(WithMask(std::string(R"({"size": [3, 2], "counts": )") + counts + "}"));
    ASSERT_TRUE(results.ok()) << results.status();
    const ApDetection& detection = results->at(1).at(0);
    EXPECT_EQ(detection.category, 2);
    EXPECT_EQ(detection.score, 0.5);
    EXPECT_EQ(detection.mask, (RunLengths{{3, 2}, {0, 3, 3}}));
    EXPECT_EQ(detection.area, 3.0);
  }
}

TEST(CocoResults, KeepsTheOrderOfTheFile) {
  const auto results = Parse(R"([
      {"image_id": 7, "category_id": 1, "score": 1, "bbox": [1, 2, 3, 4], "extra": [[{}], 1]},
      {"image_id": 5, "category_id": 2, "score": 2, "bbox": [0, 0, 0.5, 8]},
      {"image_id": 7, "category_id": 3, "score": 3, "bbox": [0, 0, 1, 1]}])",
                             ApKind::kBox);
  ASSERT_TRUE(results.ok()) << results.status();
  ASSERT_EQ(results->size(), 2);
  EXPECT_EQ(results->at(7)[0].category, 1);
  EXPECT_EQ(results->at(7)[0].box.width, 3);
  EXPECT_EQ(results->at(7)[1].category, 3);
  EXPECT_EQ(results->at(5)[0].area, 4.0);
}

TEST(CocoResults, ReadsAnEmptyList) {
  const auto results = Parse(" [ ] ");
  ASSERT_TRUE(results.ok()) << results.status();
  EXPECT_TRUE(results->empty());
}

TEST(CocoResults, NamesWhatIsWrong) {
  EXPECT_THAT(Message(""), HasSubstr("not a JSON list"));
  EXPECT_THAT(Message("{\"a\": [1]}"), HasSubstr("not a JSON list"));
  EXPECT_THAT(Message("[1]"), HasSubstr("detection 0: is not an object"));
  EXPECT_THAT(Message("[[]]"), HasSubstr("detection 0: is not an object"));
  EXPECT_THAT(Message(R"([{"image_id": 1)"), HasSubstr("not whole JSON"));
  EXPECT_THAT(Message(R"([{"category_id": 1, "score": 1}])"), HasSubstr("image_id: is missing"));
  EXPECT_THAT(Message(R"([{"image_id": 1.5}])"), HasSubstr("image_id: is not an integer"));
  EXPECT_THAT(Message(R"([{"image_id": 18446744073709551615}])"), HasSubstr("out of range"));
  EXPECT_THAT(Message(R"([{"image_id": 1, "category_id": 1, "score": "x"}])"),
              HasSubstr("score: is not a number"));
  EXPECT_THAT(Message(WithMask("[[1, 2, 3, 4, 5, 6]]")), HasSubstr("is not run lengths"));
  EXPECT_THAT(Message(WithMask(R"({"counts": [1]})")), HasSubstr("segmentation.size"));
  EXPECT_THAT(Message(WithMask(R"({"size": [0, 4], "counts": [0]})")), HasSubstr("1 to 65535"));
  EXPECT_THAT(Message(WithMask(R"({"size": [4294967297, 4], "counts": [4]})")),
              HasSubstr("1 to 65535"));
  EXPECT_THAT(Message(WithMask(R"({"size": [2, 2], "counts": [3]})")), HasSubstr("do not fill"));
  EXPECT_THAT(Message(WithMask(R"({"size": [2, 2], "counts": [5]})")), HasSubstr("do not fill"));
  EXPECT_THAT(Message(WithMask(R"({"size": [2, 2], "counts": [-1, 5]})")),
              HasSubstr("do not fill"));
  EXPECT_THAT(Message(WithMask(R"({"size": [2, 2], "counts": "~~"})")),
              HasSubstr("detection 0: segmentation.counts"));
  EXPECT_THAT(Message(WithMask(R"({"size": [2, 2], "counts": 4})")),
              HasSubstr("neither text nor list"));
  EXPECT_THAT(Message(R"([{"image_id": 1, "category_id": 1, "score": 1, "bbox": [1, 2, 3]}])",
                      ApKind::kBox),
              HasSubstr("bbox: is not four numbers"));
  EXPECT_THAT(Message(R"([{"image_id": 1, "category_id": 1, "score": 1, "bbox": [1, 2, 3, 4]},
                  {"image_id": 1, "category_id": 1, "score": 1}])",
                      ApKind::kBox),
              HasSubstr("detection 1: bbox: is missing"));
}

TEST(CocoResults, StopsAtTheLimit) {
  const std::string two = R"([{"image_id": 1, "category_id": 1, "score": 1, "bbox": [1, 2, 3, 4]},
                              {"image_id": 1, "category_id": 1, "score": 1, "bbox": [1, 2, 3, 4]}])";
  EXPECT_TRUE(Parse(two, ApKind::kBox, {.max_detections = 2}).ok());
  EXPECT_EQ(Parse(two, ApKind::kBox, {.max_detections = 1}).status().code(),
            absl::StatusCode::kResourceExhausted);
}

TEST(CocoResults, NamesTheFile) {
  const auto results = ReadCocoResults("/nowhere/results.json", ApKind::kBox);
  EXPECT_EQ(results.status().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(results.status().message()), HasSubstr("/nowhere/results.json"));
}

}  // namespace
}  // namespace semsam
