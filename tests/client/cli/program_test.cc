// The program from end to end: its binary runs against a server in this
// process, and what it wrote and printed is read back.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>

#include "absl/strings/str_cat.h"
#include "client/cli/commands.h"
#include "client/mask_codec.h"
#include "grpcpp/health_check_service_interface.h"
#include "nlohmann/json.hpp"
#include "opencv2/imgcodecs.hpp"
#include "tests/client/scripted_server.h"

namespace semsam::client {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

std::string ReadAll(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

struct Outcome {
  int exit_code = -1;
  std::string out;
  std::string err;
};

class ProgramTest : public ::testing::Test {
 protected:
  void SetUp() override {
    dir_ =
        std::filesystem::path(testing::TempDir()) /
        absl::StrCat("semsam_program_",
                     testing::UnitTest::GetInstance()->current_test_info()->name(), "_", getpid());
    std::filesystem::create_directories(dir_);
    image_ = dir_ / "photo.png";
    cv::imwrite(image_.string(), cv::Mat(48, 64, CV_8UC3, cv::Scalar(10, 120, 60)));
  }
  void TearDown() override { std::filesystem::remove_all(dir_); }

  // Runs the built program; arguments must not hold quotes.
  Outcome Run(const std::vector<std::string>& args) {
    std::string command = absl::StrCat("'", SEMSAM_PROGRAM, "'");
    for (const std::string& arg : args) absl::StrAppend(&command, " '", arg, "'");
    absl::StrAppend(&command, " >'", (dir_ / "out").string(), "' 2>'", (dir_ / "err").string(),
                    "'");
    const int status = std::system(command.c_str());
    return {.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : -1,
            .out = ReadAll(dir_ / "out"),
            .err = ReadAll(dir_ / "err")};
  }

  Outcome Segment(std::vector<std::string> args) {
    args.insert(args.begin(), {"segment", "--server", server_.address(), "--out-dir",
                               (dir_ / "results").string()});
    return Run(args);
  }

  ScriptedServer server_;
  std::filesystem::path dir_;
  std::filesystem::path image_;
};

TEST_F(ProgramTest, SegmentWritesAPictureAFileAndATable) {
  const Outcome run = Segment({"--image", image_, "--click", "30,20", "--click=10,10", "--box",
                               "5,5,40,30", "--levels", "1,3"});
  ASSERT_EQ(run.exit_code, 0) << run.err;
  EXPECT_THAT(run.err, IsEmpty());

  EXPECT_THAT(run.out, HasSubstr("prompt"));
  EXPECT_THAT(run.out, HasSubstr("1 click 30,20"));
  EXPECT_THAT(run.out, HasSubstr("3 box 5,5,40,30"));
  EXPECT_THAT(run.out, HasSubstr("0.870"));
  EXPECT_THAT(run.out, HasSubstr("photo_overlay.png"));

  const cv::Mat picture = cv::imread((dir_ / "results/photo_overlay.png").string());
  ASSERT_FALSE(picture.empty());
  EXPECT_GT(picture.cols, 300);

  const auto json =
      nlohmann::json::parse(ReadAll(dir_ / "results/photo_masks.json"), nullptr, false);
  ASSERT_FALSE(json.is_discarded());
  ASSERT_THAT(json["annotations"], SizeIs(6));
  for (const auto& annotation : json["annotations"]) {
    const auto bitmap = DecodeCocoRle(annotation["segmentation"]["counts"].get<std::string>(),
                                      {.height = annotation["segmentation"]["size"][0].get<int>(),
                                       .width = annotation["segmentation"]["size"][1].get<int>()});
    ASSERT_TRUE(bitmap.ok()) << bitmap.status();
    int64_t area = 0;
    for (const uint8_t pixel : bitmap->pixels) area += pixel;
    EXPECT_EQ(area, annotation["area"].get<int64_t>());
  }
  EXPECT_EQ(server_.service().uploads().back().bytes, ReadAll(image_));
}

TEST_F(ProgramTest, TheSessionEndsUnlessItIsKept) {
  ASSERT_EQ(Segment({"--image", image_, "--click", "1,1"}).exit_code, 0);
  EXPECT_EQ(server_.service().open_sessions(), 0);
  ASSERT_EQ(Segment({"--image", image_, "--click", "1,1", "--keep"}).exit_code, 0);
  EXPECT_EQ(server_.service().open_sessions(), 1);
}

TEST_F(ProgramTest, AKeptSessionTakesAnotherClickWithoutUpload) {
  const Outcome first = Segment({"--image", image_, "--click", "1,1", "--keep", "--json"});
  ASSERT_EQ(first.exit_code, 0) << first.err;
  const auto json = nlohmann::json::parse(first.out, nullptr, false);
  ASSERT_FALSE(json.is_discarded()) << first.out;
  const std::vector<std::string> again = {"--session",  json["session_id"].get<std::string>(),
                                          "--image-id", json["image_id"].get<std::string>(),
                                          "--click",    "40,20"};
  const Outcome second = Segment(again);
  ASSERT_EQ(second.exit_code, 0) << second.err;
  EXPECT_THAT(second.err, HasSubstr("overlay is plain"));
  EXPECT_TRUE(std::filesystem::exists(dir_ / "results/image_overlay.png"));
  EXPECT_THAT(server_.service().uploads(), SizeIs(1));

  // With the file at hand, an image that the server lost comes back by itself.
  server_.service().ForgetImages();
  EXPECT_EQ(Segment(again).exit_code, 1);
  std::vector<std::string> with_image = again;
  with_image.insert(with_image.end(), {"--image", image_});
  const Outcome third = Segment(with_image);
  ASSERT_EQ(third.exit_code, 0) << third.err;
  EXPECT_THAT(server_.service().uploads(), SizeIs(2));
}

TEST_F(ProgramTest, FlagsReachTheServer) {
  ASSERT_EQ(Segment({"--image", image_, "--click", "0.5,0.25", "--normalized", "--levels", "2,5",
                     "--min-iou", "0.1", "--min-stability", "0.2", "--max-duplicate-iou", "0.9",
                     "--min-region-area", "7", "--joint-attention"})
                .exit_code,
            0);
  const v1::SegmentRequest sent = server_.service().segment_requests().back();
  EXPECT_EQ(sent.prompts(0).frame(), v1::COORDINATE_FRAME_NORMALIZED);
  EXPECT_EQ(sent.prompts(0).click().y(), 0.25f);
  EXPECT_THAT(sent.options().levels(), testing::ElementsAre(2, 5));
  EXPECT_EQ(sent.options().min_predicted_iou(), 0.1f);
  EXPECT_EQ(sent.options().min_stability(), 0.2f);
  EXPECT_EQ(sent.options().max_duplicate_iou(), 0.9f);
  EXPECT_EQ(sent.options().min_region_area_px(), 7);
  EXPECT_TRUE(sent.options().joint_attention());
}

TEST_F(ProgramTest, FilteredMasksAreCountedAndTheirPanelsSaySo) {
  const Outcome run = Segment({"--image", image_, "--click", "1,1", "--min-iou", "2"});
  ASSERT_EQ(run.exit_code, 0) << run.err;
  EXPECT_THAT(run.out, HasSubstr("6 more were filtered out"));
  EXPECT_TRUE(std::filesystem::exists(dir_ / "results/photo_overlay.png"));
}

// The document that a run wrote.
nlohmann::json ReadJson(const std::filesystem::path& path) {
  auto json = nlohmann::json::parse(ReadAll(path), nullptr, false);
  EXPECT_FALSE(json.is_discarded()) << path;
  return json;
}

TEST_F(ProgramTest, WordsNameTheMasksOfClicks) {
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

TEST_F(ProgramTest, WordsFindRegionsAndAMap) {
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

TEST_F(ProgramTest, AMapThatIsNoPictureFailsTheProgram) {
  server_.service().KnowWords();
  const Outcome run = Segment({"--image", image_, "--text", "dog", "--panoptic"});
  EXPECT_EQ(run.exit_code, 1);
  EXPECT_THAT(run.err, HasSubstr("panoptic map is no picture"));
}

TEST_F(ProgramTest, EverythingHasATree) {
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

TEST_F(ProgramTest, EverythingShowsItsProgressOnATerminal) {
  const std::vector<std::string> args = {"segment",   "--server",   server_.address(),
                                         "--image",   image_,       "--everything",
                                         "--out-dir", dir_.string()};
  std::ostringstream out;
  std::ostringstream terminal;
  ASSERT_EQ(RunProgram(args, {.out = out, .err = terminal, .err_is_terminal = true}), 0);
  EXPECT_THAT(terminal.str(), HasSubstr("decoding points 4 of 9 (44%)"));
  EXPECT_THAT(terminal.str(), testing::EndsWith("\r\x1b[K"));
}

TEST_F(ProgramTest, AModelWithoutTextRefusesWordsInOneLine) {
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

TEST_F(ProgramTest, RelabelNamesKeptMasksAnew) {
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

TEST_F(ProgramTest, RelabelSaysWhatItNeeds) {
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

TEST_F(ProgramTest, UntrainedWeightsAreSaid) {
  server_.service().info.mutable_model()->set_trained(false);
  EXPECT_THAT(Segment({"--image", image_, "--click", "1,1"}).err, HasSubstr("untrained"));
}

TEST_F(ProgramTest, AServersErrorNamesItsFieldAndFailsTheProgram) {
  server_.service().OnSegment([](auto&, const auto&, auto&) {
    return MakeError({.code = grpc::StatusCode::INVALID_ARGUMENT,
                      .message = "lies outside the image",
                      .reason = "POINT_OUTSIDE_IMAGE",
                      .field = "prompts[0].click.x"});
  });
  const Outcome run = Segment({"--image", image_, "--click", "900,20"});
  EXPECT_EQ(run.exit_code, 1);
  EXPECT_THAT(run.err, HasSubstr("field: prompts[0].click.x"));
  EXPECT_THAT(run.err, HasSubstr("POINT_OUTSIDE_IMAGE"));
  EXPECT_EQ(server_.service().open_sessions(), 0);  // also after an error
}

TEST_F(ProgramTest, WrongUsageNamesTheFlag) {
  const std::pair<std::vector<std::string>, const char*> cases[] = {
      {{"--click", "1,2"}, "--image"},
      {{"--image", image_}, "--click or --box"},
      {{"--image", image_, "--click", "1"}, "--click: "},
      {{"--image", image_, "--click", "nan,1"}, "--click: "},
      {{"--image", image_, "--box", "1,2,3"}, "--box: "},
      {{"--image", (dir_ / "none.jpg").string(), "--click", "1,2"}, "--image: "},
      {{"--image", dir_, "--click", "1,2"}, "--image: "},
      {{"--image-id", "i", "--click", "1,2"}, "--session: "},
      {{"--image", image_, "--click", "1,2", "--colour", "red"}, "--colour: "},
      {{"--image", image_, "--click", "1,2", "--levels", "0"}, "options.levels[0]"},
  };
  for (const auto& [args, text] : cases) {
    const Outcome run = Segment(args);
    EXPECT_EQ(run.exit_code, 1) << text;
    EXPECT_THAT(run.err, HasSubstr(text));
    EXPECT_THAT(run.out, IsEmpty());
  }
}

TEST_F(ProgramTest, AnImageAboveTheServersLimitIsNotSent) {
  server_.service().info.mutable_limits()->set_max_image_bytes(10);
  const Outcome run = Segment({"--image", image_, "--click", "1,1"});
  EXPECT_EQ(run.exit_code, 1);
  EXPECT_THAT(run.err, HasSubstr("the limit is 10"));
  EXPECT_THAT(server_.service().uploads(), IsEmpty());
}

TEST_F(ProgramTest, InfoShowsTheModelAsTextAndAsJson) {
  server_.service().info.mutable_limits()->set_max_points_per_side(33);
  server_.service().info.mutable_limits()->set_max_words(2000);
  const Outcome text = Run({"info", "--server", server_.address()});
  ASSERT_EQ(text.exit_code, 0) << text.err;
  EXPECT_THAT(text.out, HasSubstr("scripted on cpu"));
  EXPECT_THAT(text.out, HasSubstr("3 instance"));
  EXPECT_THAT(text.out, HasSubstr("clicks, boxes\n"));
  EXPECT_THAT(text.out, HasSubstr("none: the model has no text"));
  EXPECT_THAT(text.out, HasSubstr("33 points a side"));
  const Outcome json = Run({"info", "--server", server_.address(), "--json"});
  EXPECT_EQ(nlohmann::json::parse(json.out, nullptr, false)["model"]["name"], "scripted");
  EXPECT_EQ(nlohmann::json::parse(json.out, nullptr, false)["limits"]["max_words"], 2000);
  server_.service().KnowWords();
  const Outcome words = Run({"info", "--server", server_.address()});
  EXPECT_THAT(words.out, HasSubstr("object labels, part labels, regions of words"));
  EXPECT_THAT(words.out, HasSubstr("2000 a list"));
}

TEST_F(ProgramTest, HealthFailsUnlessTheServerServes) {
  auto* health = server_.server().GetHealthCheckService();
  health->SetServingStatus("semsam.v1.SegmentationService", true);
  const Outcome good = Run({"health", "--server", server_.address()});
  EXPECT_EQ(good.exit_code, 0);
  EXPECT_EQ(good.out, "SERVING\n");
  health->SetServingStatus("semsam.v1.SegmentationService", false);
  const Outcome bad = Run({"health", "--server", server_.address()});
  EXPECT_EQ(bad.exit_code, 1);
  EXPECT_EQ(bad.out, "NOT_SERVING\n");
}

TEST_F(ProgramTest, HelpSucceedsAndShowsExamples) {
  for (const std::vector<std::string>& args :
       {std::vector<std::string>{"--help"}, {"segment", "--help"}}) {
    const Outcome run = Run(args);
    EXPECT_EQ(run.exit_code, 0);
    EXPECT_THAT(run.out, HasSubstr("semsam segment --server localhost:50051"));
  }
  EXPECT_EQ(Run({}).exit_code, 1);
  EXPECT_EQ(Run({"dance"}).exit_code, 1);
}

TEST_F(ProgramTest, ProgressAppearsOnATerminalAlone) {
  const std::vector<std::string> args = {"segment", "--server",  server_.address(),
                                         "--image", image_,      "--click",
                                         "1,1",     "--out-dir", dir_.string()};
  std::ostringstream out;
  std::ostringstream terminal;
  ASSERT_EQ(RunProgram(args, {.out = out, .err = terminal, .err_is_terminal = true}), 0);
  EXPECT_THAT(terminal.str(), HasSubstr("uploading"));
  EXPECT_THAT(terminal.str(), HasSubstr("encodes the image"));
  EXPECT_THAT(terminal.str(), testing::EndsWith("\r\x1b[K"));  // the line is wiped
  std::ostringstream pipe;
  ASSERT_EQ(RunProgram(args, {.out = out, .err = pipe}), 0);
  EXPECT_THAT(pipe.str(), Not(HasSubstr("uploading")));
}

}  // namespace
}  // namespace semsam::client
