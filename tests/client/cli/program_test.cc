// The program from end to end: its binary runs against a server in this
// process, and what it wrote and printed is read back.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <sstream>

#include "client/cli/commands.h"
#include "client/mask_codec.h"
#include "grpcpp/health_check_service_interface.h"
#include "nlohmann/json.hpp"
#include "opencv2/imgcodecs.hpp"
#include "tests/client/cli/program_fixture.h"

namespace semsam::client {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

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
  server_.service().info.mutable_limits()->set_max_open_clicks(17);
  const Outcome text = Run({"info", "--server", server_.address()});
  ASSERT_EQ(text.exit_code, 0) << text.err;
  EXPECT_THAT(text.out, HasSubstr("scripted on cpu"));
  EXPECT_THAT(text.out, HasSubstr("3 instance"));
  EXPECT_THAT(text.out, HasSubstr("clicks, boxes\n"));
  EXPECT_THAT(text.out, HasSubstr("none: the model has no text"));
  EXPECT_THAT(text.out, HasSubstr("33 points a side"));
  EXPECT_THAT(text.out, Not(HasSubstr("tenant")));
  EXPECT_THAT(text.out, HasSubstr("17 clicks open on a stream"));
  const Outcome json = Run({"info", "--server", server_.address(), "--json"});
  EXPECT_EQ(nlohmann::json::parse(json.out, nullptr, false)["model"]["name"], "scripted");
  EXPECT_EQ(nlohmann::json::parse(json.out, nullptr, false)["limits"]["max_words"], 2000);
  server_.service().KnowWords();
  const Outcome words = Run({"info", "--server", server_.address()});
  EXPECT_THAT(words.out, HasSubstr("object labels, part labels, regions of words"));
  EXPECT_THAT(words.out, HasSubstr("2000 a list"));
  server_.service().info.mutable_quota()->set_tenant("lab");
  EXPECT_THAT(Run({"info", "--server", server_.address()}).out, HasSubstr("tenant        lab\n"));
  server_.service().info.mutable_quota()->set_max_sessions(3);
  server_.service().info.mutable_quota()->set_max_queries(500);
  EXPECT_THAT(Run({"info", "--server", server_.address()}).out,
              HasSubstr("lab: 3 sessions, 500 queries of those at most\n"));
  const auto quota = nlohmann::json::parse(
      Run({"info", "--server", server_.address(), "--json"}).out, nullptr, false)["quota"];
  EXPECT_EQ(quota["max_sessions"], 3);
  EXPECT_FALSE(quota.contains("max_requests"));
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

TEST_F(ProgramTest, SessionsAreListedShownRenewedAndEnded) {
  const Outcome nobody = Run({"sessions", "--server", server_.address()});
  EXPECT_EQ(nobody.exit_code, 1);
  EXPECT_THAT(nobody.err, HasSubstr("TENANT_REQUIRED"));
  EXPECT_EQ(nobody.out, "");

  for (int i = 0; i < 3; ++i) {
    ASSERT_EQ(Segment({"--image", image_.string(), "--click", "30,20", "--keep"}).exit_code, 0);
  }
  const auto sessions = [&](std::vector<std::string> args) {
    args.insert(args.begin(), {"sessions", "--server", server_.address(), "--tenant", "lab"});
    return Run(args);
  };
  const Outcome listed = sessions({});
  ASSERT_EQ(listed.exit_code, 0) << listed.err;
  EXPECT_EQ(std::count(listed.out.begin(), listed.out.end(), '\n'), 4) << "with a header";
  EXPECT_THAT(listed.out, HasSubstr("1970-01-01T00:16:40Z"));
  const auto json = nlohmann::json::parse(sessions({"--json"}).out);
  ASSERT_EQ(json.size(), 3);
  const std::string id = json[0]["session_id"];

  const Outcome shown = sessions({"--show", id});
  EXPECT_THAT(shown.out, HasSubstr("64 x 48 px"));
  const Outcome renewed = sessions({"--renew", id, "--ttl", "90", "--json"});
  ASSERT_EQ(renewed.exit_code, 0) << renewed.err;
  EXPECT_EQ(nlohmann::json::parse(renewed.out)["ttl_s"], 90);
  EXPECT_EQ(sessions({"--delete", id}).exit_code, 0);
  EXPECT_EQ(nlohmann::json::parse(sessions({"--json"}).out).size(), 2);
  EXPECT_THAT(sessions({"--show", id}).err, HasSubstr("SESSION_NOT_FOUND"));
  EXPECT_THAT(sessions({"--show", id, "--delete", id}).err, HasSubstr("one at a time"));
  EXPECT_THAT(sessions({"--ttl", "9"}).err, HasSubstr("--renew"));
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
