#include "model/tools/eval/evaluate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/model/tools/eval/eval_fixture.h"
#include "tests/model/tools/eval/truth_segmenter.h"

namespace semsam {
namespace {

using nlohmann::json;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

class EvaluateTest : public testing::EvalTest {
 protected:
  // Models that know the answers to `spec`; `side_px`: of its pictures.
  SegmenterFactory Knowing(const std::string& spec, int side_px,
                           const std::function<void(ModelConfig&)>& change = {}) {
    auto source = OpenDataSource(spec, {.part = SampleChoice::Part::kAll});
    EXPECT_TRUE(source.ok()) << source.status();
    if (!source.ok()) return NoModel;
    ModelConfig config = testing::TruthConfig(side_px);
    if (change) change(config);
    auto samples = std::make_shared<std::vector<LoadedSample>>();
    for (size_t i = 0; i < source->dataset->size(); ++i) {
      auto sample = LoadWithPicture(*source->dataset, i);
      EXPECT_TRUE(sample.ok()) << sample.status();
      if (sample.ok()) samples->push_back(*std::move(sample));
    }
    return [samples, config, this](const EvaluateOptions& /*options*/) {
      ++networks_;
      return std::make_unique<testing::TruthSegmenter>(samples, config, counts_);
    };
  }

  // All samples, and the model's row.
  json RunKnowing(const std::string& spec, const SegmenterFactory& factory,
                  std::vector<std::string> more = {}) {
    more.insert(more.end(), {"--weights", "w", "--data", spec, "--split", "all"});
    EXPECT_EQ(Run(std::move(more), factory), 0) << err_.str();
    return Results();
  }

  static double Value(const json& figure) {
    return figure["value"].is_number() ? figure["value"].get<double>() : -1;
  }

  testing::TruthCounts counts_;
  int networks_ = 0;
};

TEST_F(EvaluateTest, GivesAModelThatKnowsAllFullMarks) {
  const std::string ponds = WritePonds(4);
  const json results = RunKnowing(ponds, Knowing(ponds, 64));
  for (const char* clicks : {"deepest", "random"}) {
    const json row = Row(results, "ponds", clicks, "truth");
    ASSERT_FALSE(row.is_null()) << results;
    EXPECT_EQ(row["point_oracle"]["count"], 12);
    for (const char* figure : {"point_oracle", "all_granularity", "object_top1", "object_top5",
                               "part_top1", "part_top5", "box_max", "box_oracle"}) {
      EXPECT_DOUBLE_EQ(Value(row[figure]), 1) << clicks << " " << figure;
    }
    EXPECT_EQ(row["object_top1"]["count"], 8);
    EXPECT_EQ(row["part_top1"]["count"], 4);
  }
  // The deepest pixels of pond and island are one: the surest mask is the island's.
  const json row = Row(results, "ponds", "deepest", "truth");
  EXPECT_DOUBLE_EQ(Value(row["categories"]["pond: island"]["point_max"]), 1);
  EXPECT_LT(Value(row["categories"]["pond"]["point_max"]), 0.1);
  EXPECT_EQ(Value(row["categories"]["pond"]["distinct_masks"]), 3.0);
  EXPECT_DOUBLE_EQ(Value(row["categories"]["pond"]["three_masks"]), 1);
  // The meadow is clicked beside the pond.
  EXPECT_DOUBLE_EQ(Value(row["categories"]["meadow"]["distinct_masks"]), 1);
  EXPECT_EQ(results["sources"][0]["evaluated"], 4);
  EXPECT_EQ(results["model"]["name"], "truth");
  EXPECT_THAT(out_.str(), AllOf(HasSubstr("ponds, deepest, truth"), HasSubstr("Part top-1"),
                                HasSubstr("AP mask")));
  EXPECT_EQ(testing::ReadText(folder_ / "out/results.txt"), out_.str());
}

TEST_F(EvaluateTest, SetsTheKnownBaselineBesideIt) {
  const std::string ponds = WritePonds(2);
  ASSERT_EQ(Run({"--weights", "none", "--data", ponds, "--split", "all"}), 0) << err_.str();
  const json row = Row(Results(), "ponds", "deepest", "six discs");
  // The pond is a disc of the baseline.
  EXPECT_DOUBLE_EQ(Value(row["categories"]["pond"]["point_oracle"]), 1);
  EXPECT_TRUE(Results()["model"].is_null());
  EXPECT_TRUE(Results()["segmentation"].is_null());
  EXPECT_TRUE(Row(Results(), "ponds", "deepest", "truth").is_null());
  EXPECT_TRUE(row["object_top1"]["value"].is_null());
}

TEST_F(EvaluateTest, FindsEverythingInScenesByClicksAndByWords) {
  const std::string spec = "scenes:count=6,seed=3,side=96";
  const json results = RunKnowing(spec, Knowing(spec, 96));
  const std::string set = results["sources"][0]["name"];
  const json row = Row(results, set, "random", "truth");
  EXPECT_DOUBLE_EQ(Value(row["point_oracle"]), 1);
  EXPECT_DOUBLE_EQ(Value(row["all_granularity"]), 1);
  EXPECT_GT(row["granularity"]["value"].get<double>(), 1.5);
  const json& segmentation = results["segmentation"]["rows"][0];
  EXPECT_DOUBLE_EQ(Value(segmentation["ap_mask"]), 1);
  EXPECT_DOUBLE_EQ(Value(segmentation["ap_box"]), 1);
  // Groups hold objects: there is no one map to be judged.
  EXPECT_TRUE(segmentation["pq"]["value"].is_null());
}

TEST_F(EvaluateTest, JudgesWholeMapsWhereEveryPixelIsAnnotated) {
  const std::string fixture = testing::Fixture("coco_panoptic");
  const std::string spec = "coco-panoptic:annotations=" + fixture +
                           "/panoptic.json,labels=" + fixture + "/panoptic,images=" + fixture +
                           "/images,name=maps";
  const auto source = OpenDataSource(spec, {.part = SampleChoice::Part::kAll});
  ASSERT_TRUE(source.ok()) << source.status();
  const auto sample = source->dataset->Load(0);
  ASSERT_TRUE(sample.ok());
  const int short_edge = std::min(sample->size.height, sample->size.width);
  const json results = RunKnowing(spec, Knowing(spec, short_edge));
  const json& row = results["segmentation"]["rows"][0];
  EXPECT_EQ(row["name"], "maps");
  for (const char* figure : {"pq", "pq_things", "pq_stuff", "miou", "ap_mask"}) {
    EXPECT_DOUBLE_EQ(Value(row[figure]), 1) << figure << " " << results["segmentation"];
  }
  EXPECT_GT(results["segmentation"]["details"]["maps"]["panoptic"]["classes"].size(), 0);
}

TEST_F(EvaluateTest, EncodesAPictureOnceAndAsksInBoundedChunks) {
  const std::string ponds = WritePonds(5);
  const json results = RunKnowing(ponds, Knowing(ponds, 64),
                                  {"--prompts", "4", "--threads", "3", "--networks", "2"});
  EXPECT_EQ(networks_, 2);
  EXPECT_EQ(counts_.encoded, 5);
  EXPECT_EQ(counts_.vocabulary_runs, 5);
  EXPECT_EQ(counts_.most_prompts, 4);
  EXPECT_EQ(counts_.overlapping, 0);
}

TEST_F(EvaluateTest, ReportsTheSameFromAnyNumberOfThreads) {
  const std::string spec = "scenes:count=8,seed=5,side=64";
  std::vector<std::string> reports;
  for (const char* threads : {"1", "4"}) {
    json results = RunKnowing(spec, Knowing(spec, 64), {"--threads", threads});
    reports.push_back(results["interactive"].dump() + results["segmentation"].dump());
  }
  EXPECT_EQ(reports[0], reports[1]);
}

TEST_F(EvaluateTest, SumsSeveralSourcesAndSaysWhatWasHeldOut) {
  const std::string ponds = WritePonds(10);
  ASSERT_EQ(Run({"--weights", "none", "--data", ponds + ",scenes:count=20,side=64"}), 0)
      << err_.str();
  const json results = Results();
  EXPECT_EQ(results["sources"][0]["samples"], 10);
  EXPECT_EQ(results["sources"][0]["evaluated"], 1);
  EXPECT_EQ(results["sources"][1]["evaluated"], 2);
  EXPECT_EQ(results["options"]["split"], "held-out");
  EXPECT_EQ(results["options"]["held_out_every"], 10);
  const json all = Row(results, "all", "deepest", "six discs");
  const json one = Row(results, "ponds", "deepest", "six discs");
  const json two = Row(results, results["sources"][1]["name"], "deepest", "six discs");
  EXPECT_EQ(all["point_oracle"]["count"].get<int>(),
            one["point_oracle"]["count"].get<int>() + two["point_oracle"]["count"].get<int>());
  EXPECT_THAT(err_.str(), HasSubstr("ponds: 1 of 1 pictures"));
}

TEST_F(EvaluateTest, ChoosesLabelsFromAGivenFile) {
  const std::string ponds = WritePonds(2);
  testing::WriteText(folder_ / "words.txt", "pond\nlake\n");
  const json results = RunKnowing(ponds, Knowing(ponds, 64), {"--words", folder_ / "words.txt"});
  const json row = Row(results, "ponds", "deepest", "truth");
  EXPECT_EQ(row["object_top1"]["count"], 2);  // ponds; meadows are unknown, islands too
  EXPECT_EQ(row["part_top1"]["count"], 0);
  EXPECT_EQ(results["sources"][0]["unknown_names"], 4);
  EXPECT_THAT(err_.str(), HasSubstr("4 masks have names that are not among the words"));
}

TEST_F(EvaluateTest, SaysWhatAModelCannotDoAndInventsNothing) {
  const std::string ponds = WritePonds(1);
  const auto wordless = [](ModelConfig& config) {
    config.capabilities = {.click_prompts = true, .box_prompts = false};
  };
  const json results = RunKnowing(ponds, Knowing(ponds, 64, wordless));
  const json row = Row(results, "ponds", "deepest", "truth");
  EXPECT_DOUBLE_EQ(Value(row["point_oracle"]), 1);
  for (const char* figure : {"object_top1", "part_top5", "box_max"}) {
    EXPECT_TRUE(row[figure]["value"].is_null()) << figure;
    EXPECT_EQ(row[figure]["count"], 0) << figure;
  }
  EXPECT_TRUE(results["segmentation"].is_null());
  EXPECT_THAT(err_.str(), AllOf(HasSubstr("no label accuracy"), HasSubstr("takes no boxes"),
                                HasSubstr("no PQ, AP and mIoU")));

  testing::WriteText(folder_ / "words.txt", "pond\n");
  EXPECT_EQ(
      Run({"--weights", "w", "--data", ponds, "--split", "all", "--words", folder_ / "words.txt"},
          Knowing(ponds, 64, wordless)),
      1);
  EXPECT_THAT(err_.str(), HasSubstr("w: has no text encoder or no class heads"));

  const auto clickless = [](ModelConfig& config) { config.capabilities.click_prompts = false; };
  const json words = RunKnowing(ponds, Knowing(ponds, 64, clickless));
  EXPECT_EQ(counts_.most_prompts, 6);  // of the run before; none of this
  EXPECT_DOUBLE_EQ(Value(words["segmentation"]["rows"][0]["ap_mask"]), 1);
  EXPECT_THAT(out_.str(), Not(HasSubstr("Point (Max)")));
}

TEST_F(EvaluateTest, NamesWhatIsBrokenAndKeepsWhatWasMeasured) {
  const std::string ponds = WritePonds(3);
  const std::vector<std::string> arguments = {
      "--weights", "none", "--data", "scenes:count=10,side=64," + ponds, "--split", "all"};
  std::filesystem::remove(folder_ / "ponds/pond101.png");
  EXPECT_EQ(Run(arguments), 1);
  EXPECT_THAT(err_.str(), HasSubstr("pond101.png"));
  ASSERT_EQ(Results()["sources"].size(), 1);  // the scenes

  std::vector<std::string> going = arguments;
  going.push_back("--keep-going");
  EXPECT_EQ(Run(going), 1);
  EXPECT_THAT(err_.str(), AllOf(HasSubstr("ponds: pond101: left out: "),
                                HasSubstr("1 samples could not be read")));
  ASSERT_EQ(Results()["sources"].size(), 2);
  EXPECT_EQ(Results()["sources"][1]["evaluated"], 2);
  EXPECT_EQ(Results()["sources"][1]["failed"][0]["name"], "pond101");

  testing::WriteText(folder_ / "ponds/pond100.json", "{\"height\": 64,");
  EXPECT_EQ(Run(arguments), 1);
  EXPECT_THAT(err_.str(), HasSubstr("pond100.json"));

  EXPECT_EQ(Run({"--weights", "none", "--data", ponds, "--words", folder_ / "none.txt"}), 1);
  EXPECT_THAT(err_.str(), HasSubstr("none.txt"));
}

TEST_F(EvaluateTest, NamesThePictureOnWhichAModelFails) {
  const std::string ponds = WritePonds(2);
  const SegmenterFactory knowing = Knowing("scenes:count=3,side=64", 64);
  EXPECT_EQ(Run({"--weights", "w", "--data", ponds, "--split", "all"}, knowing), 1);
  EXPECT_THAT(err_.str(), HasSubstr("ponds: pond100: truth: an unknown picture"));
  EXPECT_EQ(Run({"--weights", "w", "--data", ponds, "--split", "all"}), 1);
  EXPECT_THAT(err_.str(), HasSubstr("no model is wanted here"));
}

TEST_F(EvaluateTest, RefusesWrongCommandLines) {
  const auto refuse = [&](std::vector<std::string> more) {
    more.insert(more.begin(), {"--weights", "none", "--data", "scenes:count=10"});
    err_.str("");
    EXPECT_EQ(RunRaw(more), 2);
    return err_.str();
  };
  EXPECT_THAT(refuse({"--split", "some"}), HasSubstr("--split must be held-out, train or all"));
  EXPECT_THAT(refuse({"--held-out", "0"}), HasSubstr("--held-out"));
  EXPECT_THAT(refuse({"--clicks", "deepest,deepest"}), HasSubstr("--clicks"));
  EXPECT_THAT(refuse({"--clicks", ""}), HasSubstr("--clicks"));
  EXPECT_THAT(refuse({"--click-radius", "nan"}), HasSubstr("--click-radius"));
  EXPECT_THAT(refuse({"--short-edge", "5"}), HasSubstr("--short-edge"));
  EXPECT_THAT(refuse({"--text-mode", "loud"}), HasSubstr("--text-mode"));
  EXPECT_THAT(refuse({"--match", "best"}), HasSubstr("--match"));
  EXPECT_THAT(refuse({"--networks", "-1"}), HasSubstr("--networks"));
  EXPECT_THAT(refuse({"--wieghts", "x"}), HasSubstr("--wieghts"));
  EXPECT_EQ(RunRaw({}), 2);
  out_.str("");
  EXPECT_EQ(RunRaw({"--help"}), 0);
  EXPECT_THAT(out_.str(), AllOf(HasSubstr("--weights"), HasSubstr("score")));
}

}  // namespace
}  // namespace semsam
