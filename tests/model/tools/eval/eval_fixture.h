// Runs the program in a folder of its own, and makes small data sets there.
#ifndef SEMSAM_TESTS_MODEL_TOOLS_EVAL_EVAL_FIXTURE_H_
#define SEMSAM_TESTS_MODEL_TOOLS_EVAL_EVAL_FIXTURE_H_

#include <gtest/gtest.h>

#include <memory>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "model/data/folder_sample.h"
#include "model/evaluation/disc_predictor.h"
#include "model/tools/eval/program.h"
#include "tests/model/data/data_test_util.h"

namespace semsam::testing {

inline constexpr ImageSize kPondSize = {64, 64};

// A round pond, of the size of a baseline's disc, in a meadow; in the pond an island,
// its part. `number` tells pictures apart.
inline LoadedSample Pond(int number) {
  LoadedSample pond;
  pond.picture = {.size = kPondSize, .pixels = std::vector<uint8_t>(kPondSize.area() * 3, 90)};
  pond.picture.pixels[0] = static_cast<uint8_t>(number);
  pond.sample.size = kPondSize;
  pond.sample.vocabulary =
      std::make_shared<const Vocabulary>(Vocabulary{.name = "ponds",
                                                    .objects = {"meadow", "pond", "unicorn"},
                                                    .parts = {"bridge", "island"},
                                                    .closed_world = true});
  const RunLengths water = EllipseMask(kPondSize, 20.5, 32.5, 9.6, 9.6);
  const RunLengths island = Rectangle(kPondSize, 18, 30, 5, 5);
  pond.sample.annotations = {
      {.id = 1, .mask = FullMask(kPondSize), .object_name = "meadow"},
      {.id = 2, .mask = water, .object_name = "pond", .parent = 0},
      {.id = 3, .mask = island, .object_name = "pond", .part_name = "island", .parent = 1}};
  for (Annotation& annotation : pond.sample.annotations) {
    annotation.box = TightBox(*annotation.mask);
  }
  return pond;
}

class EvalTest : public ::testing::Test {
 protected:
  // `count` ponds as a folder of our own form; returns its path.
  std::string WritePonds(int count) {
    std::string folder = folder_ / "ponds";
    std::filesystem::create_directories(folder);
    for (int i = 0; i < count; ++i) {
      const std::string name = "pond" + std::to_string(100 + i);
      const absl::Status status =
          WriteFolderSample(folder, name, Pond(i), FolderOptions{.jpeg_quality = 0});
      EXPECT_TRUE(status.ok()) << status;
    }
    return folder;
  }

  // The exit status; tables are in out_, what went wrong in err_.
  int Run(std::vector<std::string> arguments, const SegmenterFactory& factory = NoModel) {
    out_.str("");
    err_.str("");
    arguments.insert(arguments.end(), {"--out", folder_ / "out"});
    return RunRaw(std::move(arguments), factory);
  }
  int RunRaw(std::vector<std::string> arguments, const SegmenterFactory& factory = NoModel) {
    return RunEval(arguments, factory, {.out = out_, .err = err_, .clock = clock_});
  }

  nlohmann::json Results() const {
    return nlohmann::json::parse(ReadText(folder_ / "out/results.json"), nullptr,
                                 /*allow_exceptions=*/false);
  }

  // The row of a set, kind of click and predictor; null where there is none.
  static nlohmann::json Row(const nlohmann::json& results, const std::string& set,
                            const std::string& clicks, const std::string& predictor) {
    for (const nlohmann::json& row : results["interactive"]["rows"]) {
      if (row["set"] == set && row["clicks"] == clicks && row["predictor"] == predictor) return row;
    }
    return nullptr;
  }

  static absl::StatusOr<std::unique_ptr<Segmenter>> NoModel(const EvaluateOptions& /*options*/) {
    return absl::InternalError("no model is wanted here");
  }

  ScratchFolder folder_;
  FakeClock clock_;
  std::ostringstream out_, err_;
};

}  // namespace semsam::testing

#endif  // SEMSAM_TESTS_MODEL_TOOLS_EVAL_EVAL_FIXTURE_H_
