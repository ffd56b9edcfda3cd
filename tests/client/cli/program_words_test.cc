// The program where words and whole pictures are concerned.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "client/cli/commands.h"
#include "nlohmann/json.hpp"
#include "opencv2/imgcodecs.hpp"
#include "tests/client/cli/program_fixture.h"

namespace semsam::client {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class ProgramWordsTest : public ProgramTest {};

// The document that a run wrote.
nlohmann::json ReadJson(const std::filesystem::path& path) {
  auto json = nlohmann::json::parse(ReadAll(path), nullptr, false);
  EXPECT_FALSE(json.is_discarded()) << path;
  return json;
}

TEST_F(ProgramWordsTest, WordsNameTheMasksOfClicks) {
  server_.service().KnowWords();
  const Outcome run =
      Segment({"--image", image_, "--click", "30,20", "--levels", "1,2", "--objects",
               "dog, ch\xc3\xa8vre", "--parts", "head", "--max-labels", "2", "--min-score", "0.1"});
  ASSERT_EQ(run.exit_code, 0) << run.err;
  EXPECT_THAT(run.out, HasSubstr("dog 0.88"));
  EXPECT_THAT(run.out, HasSubstr("head 0.88"));
  EXPECT_THAT(run.out, HasSubstr("mask id"));
  const v1::LabelOptions sent = server_.service().segment_requests().back().labels();
  EXPECT_THAT(sent.objects().words(), testing::ElementsAre("dog", "ch\xc3\xa8vre"));
  EXPECT_EQ(sent.max_labels(), 2);
  EXPECT_EQ(sent.min_score(), 0.1f);

  const auto json = ReadJson(dir_ / "results/photo_masks.json");
  const auto& annotation = json["annotations"][1];
  EXPECT_EQ(annotation["mask_id"], 2);
  EXPECT_EQ(annotation["object_labels"][1]["name"], "ch\xc3\xa8vre");
  EXPECT_EQ(annotation["object_labels"][1]["word_index"], 1);
  EXPECT_EQ(annotation["object_labels"][1]["logit"], 1);
  EXPECT_EQ(annotation["part_labels"][0]["name"], "head");
  ASSERT_THAT(json["words"], SizeIs(3));
  EXPECT_EQ(json["words"][0]["regions"], 2);
  EXPECT_EQ(json["words"][1]["number"], 2);
  EXPECT_EQ(json["words"][2]["list"], "parts");
  EXPECT_FALSE(cv::imread((dir_ / "results/photo_overlay.png").string()).empty());
}

TEST_F(ProgramWordsTest, TheModelsOwnWordsNameTheMasksOfClicks) {
  server_.service().KnowWords();
  auto& own = *server_.service().info.mutable_model()->mutable_vocabulary();
  own.add_objects("dog");
  own.add_objects("cat");
  const Outcome run = Segment({"--image", image_, "--click", "30,20", "--objects", "@model"});
  ASSERT_EQ(run.exit_code, 0) << run.err;
  EXPECT_THAT(run.out, HasSubstr("dog 0.88"));
  const v1::LabelOptions sent = server_.service().segment_requests().back().labels();
  EXPECT_TRUE(sent.objects().model_vocabulary());
  EXPECT_EQ(sent.objects().words_size(), 0);
  EXPECT_FALSE(sent.has_parts());
  const auto json = ReadJson(dir_ / "results/photo_masks.json");
  ASSERT_THAT(json["words"], SizeIs(2));
  EXPECT_EQ(json["words"][1]["name"], "cat");
  EXPECT_GT(json["words"][0]["regions"], 0);
}

TEST_F(ProgramWordsTest, WordsFindRegionsAndAMap) {
  server_.service().KnowWords();
  cv::Mat ids(48, 64, CV_8UC3, cv::Scalar(0, 0, 1));  // segment 1
  ids(cv::Rect(0, 0, 5, 2)) = cv::Scalar(0, 0, 2);
  std::vector<unsigned char> png;
  cv::imencode(".png", ids, png);
  server_.service().panoptic_png.assign(png.begin(), png.end());
  std::ofstream(dir_ / "words.txt") << "sky\ngrass\n";

  const Outcome run = Segment({"--image", image_, "--text", "dog,cat", "--stuff",
                               "@" + (dir_ / "words.txt").string(), "--parts", "head",
                               "--instances", "--semantic", "--panoptic"});
  ASSERT_EQ(run.exit_code, 0) << run.err;
  EXPECT_THAT(run.out, HasSubstr("instance"));
  EXPECT_THAT(run.out, HasSubstr("panoptic 2"));
  EXPECT_THAT(run.out, HasSubstr("photo_panoptic.png"));
  EXPECT_EQ(ReadAll(dir_ / "results/photo_panoptic.png"), server_.service().panoptic_png);
  EXPECT_THAT(server_.service().vocabulary_requests().back().stuff().words(),
              testing::ElementsAre("sky", "grass"));

  const auto json = ReadJson(dir_ / "results/photo_masks.json");
  ASSERT_THAT(json["annotations"], SizeIs(5));
  EXPECT_EQ(json["annotations"][1]["name"], "cat");
  EXPECT_EQ(json["annotations"][1]["kind"], "instance");
  EXPECT_EQ(json["annotations"][1]["category_id"], 2);
  EXPECT_EQ(json["annotations"][2]["kind"], "part");
  EXPECT_EQ(json["annotations"][2]["category_id"], 5);
  EXPECT_EQ(json["annotations"][4]["name"], "grass");
  EXPECT_EQ(json["annotations"][4]["category_id"], 4);
  ASSERT_THAT(json["categories"], SizeIs(5));
  EXPECT_EQ(json["categories"][3]["name"], "grass");
  EXPECT_EQ(json["categories"][3]["isthing"], 0);
  EXPECT_EQ(json["panoptic"]["file_name"], "photo_panoptic.png");
  EXPECT_EQ(json["panoptic"]["segments_info"][1]["id"], 2);
  EXPECT_EQ(json["panoptic"]["segments_info"][1]["category_id"], 2);
  const cv::Mat picture = cv::imread((dir_ / "results/photo_overlay.png").string());
  EXPECT_GT(picture.cols, 4 * 200);
}

TEST_F(ProgramWordsTest, AMapThatIsNoPictureFailsTheProgram) {
  server_.service().KnowWords();
  const Outcome run = Segment({"--image", image_, "--text", "dog", "--panoptic"});
  EXPECT_EQ(run.exit_code, 1);
  EXPECT_THAT(run.err, HasSubstr("panoptic map is no picture"));
}

TEST_F(ProgramWordsTest, EverythingHasATree) {
  const Outcome run = Segment({"--image", image_, "--everything", "--points-per-side", "3"});
  ASSERT_EQ(run.exit_code, 0) << run.err;
  EXPECT_THAT(run.err, IsEmpty());
  EXPECT_THAT(run.out, HasSubstr("51 more were filtered out"));
  EXPECT_EQ(server_.service().generate_requests().back().options().points_per_side(), 3);
  const auto json = ReadJson(dir_ / "results/photo_masks.json");
  ASSERT_THAT(json["annotations"], SizeIs(3));
  EXPECT_TRUE(json["annotations"][0]["parent"].is_null());
  EXPECT_EQ(json["annotations"][1]["parent"], 1);
  EXPECT_EQ(json["annotations"][2]["parent"], 2);
  // The third point of the first of three rows, in pixels of 64 x 48.
  EXPECT_NEAR(json["annotations"][2]["point_coords"][0][0].get<double>(), 64 * 2.5 / 3, 1e-9);
  EXPECT_NEAR(json["annotations"][2]["point_coords"][0][1].get<double>(), 8, 1e-9);
  EXPECT_FALSE(json.contains("words"));
  EXPECT_FALSE(cv::imread((dir_ / "results/photo_overlay.png").string()).empty());
}

TEST_F(ProgramWordsTest, EverythingShowsItsProgressOnATerminal) {
  const std::vector<std::string> args = {"segment",   "--server",   server_.address(),
                                         "--image",   image_,       "--everything",
                                         "--out-dir", dir_.string()};
  std::ostringstream out;
  std::ostringstream terminal;
  ASSERT_EQ(RunProgram(args, {.out = out, .err = terminal, .err_is_terminal = true}), 0);
  EXPECT_THAT(terminal.str(), HasSubstr("decoding points 4 of 9 (44%)"));
  EXPECT_THAT(terminal.str(), testing::EndsWith("\r\x1b[K"));
}

TEST_F(ProgramWordsTest, AModelWithoutTextRefusesWordsInOneLine) {
  for (const std::vector<std::string>& words :
       {std::vector<std::string>{"--click", "1,1", "--objects", "dog"},
        {"--text", "dog"},
        {"--everything", "--parts", "head"}}) {
    std::vector<std::string> args = {"--image", image_};
    args.insert(args.end(), words.begin(), words.end());
    const Outcome run = Segment(args);
    EXPECT_EQ(run.exit_code, 1);
    EXPECT_THAT(run.err, testing::StartsWith("semsam: FAILED_PRECONDITION: "));
    EXPECT_THAT(run.err, HasSubstr("its checkpoint has no text"));
    EXPECT_EQ(std::count(run.err.begin(), run.err.end(), '\n'), 1) << run.err;
    EXPECT_THAT(run.out, IsEmpty());
  }
  EXPECT_EQ(server_.service().open_sessions(), 0);
}

TEST_F(ProgramWordsTest, RelabelNamesKeptMasksAnew) {
  server_.service().KnowWords();
  const Outcome first = Segment({"--image", image_, "--click", "1,1", "--keep", "--json"});
  ASSERT_EQ(first.exit_code, 0) << first.err;
  const auto json = nlohmann::json::parse(first.out, nullptr, false);
  const std::string session = json["session_id"].get<std::string>();
  const std::vector<std::string> relabel = {
      "relabel", "--server",  server_.address(), "--session", session, "--mask-ids",
      "2,1",     "--objects", "beagle,poodle",   "--parts",   "ear"};
  const Outcome text = Run(relabel);
  ASSERT_EQ(text.exit_code, 0) << text.err;
  EXPECT_EQ(text.out,
            "mask 2  objects: beagle 0.88, poodle 0.73  parts: ear 0.88\n"
            "mask 1  objects: beagle 0.88, poodle 0.73  parts: ear 0.88\n");
  std::vector<std::string> as_json = relabel;
  as_json.push_back("--json");
  const auto result = nlohmann::json::parse(Run(as_json).out, nullptr, false);
  EXPECT_EQ(result["masks"][1]["object_labels"][1]["name"], "poodle");

  std::vector<std::string> gone = relabel;
  gone[6] = "1,99";
  const Outcome error = Run(gone);
  EXPECT_EQ(error.exit_code, 1);
  EXPECT_THAT(error.err, HasSubstr("mask_ids[1]"));
}

TEST_F(ProgramWordsTest, RelabelSaysWhatItNeeds) {
  const std::pair<std::vector<std::string>, const char*> cases[] = {
      {{"--mask-ids", "1", "--objects", "dog"}, "--session: is needed"},
      {{"--session", "s", "--objects", "dog"}, "--mask-ids: is needed"},
      {{"--session", "s", "--mask-ids", "1"}, "--objects or --parts: "},
      {{"--session", "s", "--mask-ids", "1,-2"}, "--mask-ids: '1,-2' is no list"},
  };
  for (const auto& [args, text] : cases) {
    std::vector<std::string> all = {"relabel", "--server", server_.address()};
    all.insert(all.end(), args.begin(), args.end());
    const Outcome run = Run(all);
    EXPECT_EQ(run.exit_code, 1) << text;
    EXPECT_THAT(run.err, HasSubstr(text));
  }
}

}  // namespace
}  // namespace semsam::client
