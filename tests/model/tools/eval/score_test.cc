#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/model/tools/eval/eval_fixture.h"

namespace semsam {
namespace {

using nlohmann::json;
using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr char kTruth[] = R"({
  "images": [{"id": 4, "file_name": "a.jpg", "height": 20, "width": 30},
             {"id": 2, "file_name": "b.jpg", "height": 20, "width": 30}],
  "categories": [{"id": 1, "name": "house"}, {"id": 9, "name": "tree"}],
  "annotations": [
    {"id": 1, "image_id": 4, "category_id": 1, "iscrowd": 0, "area": 100, "bbox": [0, 0, 10, 10],
     "segmentation": [[0, 0, 10, 0, 10, 10, 0, 10]]},
    {"id": 2, "image_id": 2, "category_id": 9, "iscrowd": 0, "area": 100, "bbox": [5, 5, 10, 10],
     "segmentation": [[5, 5, 15, 5, 15, 15, 5, 15]]}]})";

// The house found, the tree by half of it.
constexpr char kBoxes[] = R"([
  {"image_id": 4, "category_id": 1, "score": 0.9, "bbox": [0, 0, 10, 10]},
  {"image_id": 2, "category_id": 9, "score": 0.8, "bbox": [5, 5, 10, 6]}])";

class ScoreTest : public testing::EvalTest {
 protected:
  int Score(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), "score");
    arguments.insert(arguments.end(), {"--out", folder_ / "scores.json"});
    out_.str("");
    err_.str("");
    return RunRaw(std::move(arguments));
  }
  json Scores() const {
    return json::parse(testing::ReadText(folder_ / "scores.json"), nullptr, false);
  }
  std::string File(const std::string& name, const std::string& text) {
    testing::WriteText(folder_ / name, text);
    return folder_ / name;
  }
};

TEST_F(ScoreTest, GivesTheAveragePrecisionOfBoxes) {
  const std::string truth = File("truth.json", kTruth), found = File("found.json", kBoxes);
  ASSERT_EQ(Score({"--kind", "boxes", "--gt", truth, "--predictions", found}), 0) << err_.str();
  // The tree's IoU is 0.6: found at 0.50, 0.55 and 0.60.
  const json scores = Scores();
  EXPECT_NEAR(scores["ap"]["value"].get<double>(), (1 + 0.3) / 2, 1e-12);
  EXPECT_NEAR(scores["ap50"]["value"].get<double>(), 1, 1e-12);
  EXPECT_EQ(scores["classes"][1]["name"], "tree");
  EXPECT_NEAR(scores["classes"][1]["ap"]["value"].get<double>(), 0.3, 1e-12);
  EXPECT_THAT(out_.str(), AllOf(HasSubstr("AP box"), HasSubstr("65.0 (2)")));
}

TEST_F(ScoreTest, ComparesMasksOfPolygons) {
  const std::string truth = File("truth.json", kTruth);
  const std::string found = File("found.json", R"([
      {"image_id": 4, "category_id": 1, "score": 0.9,
       "segmentation": {"size": [20, 30], "counts": [0, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10,
                        10, 10, 10, 10, 10, 10, 10, 10, 410]}}])");
  ASSERT_EQ(Score({"--kind", "instances", "--gt", truth, "--predictions", found}), 0) << err_.str();
  EXPECT_NEAR(Scores()["ap"]["value"].get<double>(), 0.5, 1e-12);
}

TEST_F(ScoreTest, NamesFileAndRecordOfWhatIsWrong) {
  const std::string truth = File("truth.json", kTruth), found = File("found.json", kBoxes);
  const auto error = [&](const std::string& gt, const std::string& predictions,
                         const std::string& kind = "boxes") {
    EXPECT_EQ(Score({"--kind", kind, "--gt", gt, "--predictions", predictions}), 1);
    return err_.str();
  };
  EXPECT_THAT(error(folder_ / "none.json", found), HasSubstr("none.json"));
  EXPECT_THAT(error(truth, folder_ / "none.json"), HasSubstr("none.json"));
  const std::string foreign = testing::Replaced(kBoxes, "\"image_id\": 2", "\"image_id\": 3");
  EXPECT_THAT(error(truth, File("foreign.json", foreign)),
              AllOf(HasSubstr("foreign.json: image_id 3 names no image of"), HasSubstr(truth)));
  const std::string category =
      testing::Replaced(kTruth, "\"category_id\": 9", "\"category_id\": 8");
  EXPECT_THAT(error(File("category.json", category), found),
              HasSubstr("annotations[1] (id 2): category_id 8 names nothing"));
  const std::string boxless = testing::Replaced(kTruth, "\"bbox\": [5, 5, 10, 10],", "");
  EXPECT_THAT(error(File("boxless.json", boxless), found),
              AllOf(HasSubstr("boxless.json: annotations[1] (id 2)"), HasSubstr("bbox")));
  EXPECT_THAT(error(truth, found, "instances"), HasSubstr("found.json: detection 0"));
  EXPECT_THAT(error(File("cut.json", std::string(kTruth).substr(0, 300)), found),
              HasSubstr("cut.json"));
  // A mask of another size than the picture's.
  const std::string size = File("size.json", R"([{"image_id": 4, "category_id": 1, "score": 1,
      "segmentation": {"size": [20, 31], "counts": [620]}}])");
  EXPECT_THAT(error(truth, size, "instances"), HasSubstr("size.json: image_id 4"));
}

TEST_F(ScoreTest, RefusesWrongCommandLines) {
  EXPECT_EQ(Score({"--kind", "best", "--gt", "a", "--predictions", "b"}), 2);
  EXPECT_THAT(err_.str(), HasSubstr("--kind must be instances, boxes, panoptic or semantic"));
  EXPECT_EQ(Score({"--kind", "semantic", "--gt", "a", "--predictions", "b"}), 2);
  EXPECT_THAT(err_.str(), HasSubstr("--classes"));
  EXPECT_EQ(Score({"--kind", "boxes"}), 2);
  out_.str("");
  EXPECT_EQ(RunRaw({"score", "--help"}), 0);
  EXPECT_THAT(out_.str(), HasSubstr("--gt-folder"));
}

TEST_F(ScoreTest, ScoresPanopticFilesAgainstThemselves) {
  const std::string fixture = testing::Fixture("coco_panoptic");
  const std::string truth = fixture + "/panoptic.json";
  ASSERT_EQ(Score({"--kind", "panoptic", "--gt", truth, "--predictions", truth}), 0) << err_.str();
  EXPECT_EQ(Scores()["all"]["pq"]["value"], 1.0);
  EXPECT_THAT(out_.str(), HasSubstr("PQ stuff"));
  const std::string empty = File("empty.json", R"({"annotations": []})");
  EXPECT_EQ(Score({"--kind", "panoptic", "--gt", truth, "--predictions", empty}), 1);
  EXPECT_THAT(err_.str(), AllOf(HasSubstr("empty.json: image_id"), HasSubstr("no prediction")));
  EXPECT_EQ(Score({"--kind", "panoptic", "--gt", truth, "--predictions", truth,
                   "--predictions-folder", folder_ / "nothing"}),
            1);
  EXPECT_THAT(err_.str(), HasSubstr("nothing/"));
}

TEST_F(ScoreTest, ScoresLabelMapsAgainstThemselves) {
  const std::string maps = testing::Fixture("label_maps/labels");
  ASSERT_EQ(Score({"--kind", "semantic", "--gt", maps, "--predictions", maps, "--classes", "3"}), 0)
      << err_.str();
  EXPECT_EQ(Scores()["mean_iou"]["value"], 1.0);
  EXPECT_EQ(Score({"--kind", "semantic", "--gt", maps, "--predictions", folder_.path(), "--classes",
                   "3"}),
            1);
  EXPECT_THAT(err_.str(), HasSubstr(".png"));
  EXPECT_EQ(Score({"--kind", "semantic", "--gt", maps, "--predictions", maps, "--classes", "1"}),
            1);
  EXPECT_THAT(err_.str(), HasSubstr(maps));
}

}  // namespace
}  // namespace semsam
