// Whole trainings of a tiny network on a tiny pack.
#include "model/training/trainer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <memory>
#include <sstream>
#include <string>
#include <utility>

#include "model/net/load_model.h"
#include "model/training/checkpoint.h"
#include "model/training/export.h"
#include "model/training/glob.h"
#include "model/training/weights_io.h"
#include "model/weights/model_file.h"
#include "tests/model/data/data_test_util.h"

namespace semsam {
namespace {

using ::semsam::testing::ReadText;
using ::semsam::testing::Replaced;
using ::semsam::testing::ScratchFolder;
using ::semsam::testing::WriteText;
using ::testing::HasSubstr;

const std::atomic<bool> kNeverStop = false;

std::string SmokeRecipe() {
  return ReadText(SEMSAM_SOURCE_DIR "/model/training/recipes/smoke.json");
}

// Everything that training teaches, in six steps: words, queries, denoising, frozen
// weights, accumulation, copy-paste.
constexpr char kSmallRecipe[] = R"({
  "model": "swin-tiny",
  "frozen": ["backbone.layers.0.*"],
  "data": [
    {"source": "scenes:count=20,size=64,seed=7", "copy_paste": 0.5, "min_scale": 0.8},
    {"source": "scenes:count=30,size=80,seed=8", "share": 0.5}
  ],
  "size_px": 64, "batch": 2, "accumulate": 2, "steps": 6,
  "criterion": {"points": 256, "matcher_points": 256},
  "prompts": {"count": 4},
  "words": {"max_objects": 8, "max_parts": 6},
  "queries": {"count": 10, "denoising_groups": 2, "share": 0.7},
  "checkpoint_every": 2, "metrics_every": 2
})";

class TrainerTest : public ::testing::Test {
 protected:
  static Recipe Parsed(const std::string& text) {
    absl::StatusOr<Recipe> recipe = ParseRecipe(text, {});
    EXPECT_TRUE(recipe.ok()) << recipe.status();
    return recipe.ok() ? *std::move(recipe) : Recipe();
  }

  TrainerOptions Options(const std::string& folder, bool resume = false) const {
    return {.output = folder_ / folder, .resume = resume};
  }

  absl::StatusOr<std::unique_ptr<Trainer>> Create(const std::string& text,
                                                  const TrainerOptions& options) {
    return Trainer::Create(Parsed(text), options, clock_, progress_);
  }

  // The weights after all steps, by a training that starts or goes on in `options`.
  NamedTensors Trained(const std::string& text, const TrainerOptions& options) {
    auto trainer = Create(text, options);
    EXPECT_TRUE(trainer.ok()) << trainer.status();
    if (!trainer.ok()) return {};
    const absl::StatusOr<TrainingEnd> end = (*trainer)->Run(kNeverStop);
    EXPECT_TRUE(end.ok() && end->finished) << end.status();
    return Copies((*trainer)->weights());
  }

  static NamedTensors Copies(const NamedTensors& weights) {
    NamedTensors copies;
    for (const auto& [name, tensor] : weights) copies[name] = tensor.detach().clone();
    return copies;
  }

  static void ExpectSame(const NamedTensors& a, const NamedTensors& b) {
    ASSERT_EQ(a.size(), b.size());
    for (const auto& [name, tensor] : a) EXPECT_TRUE(at::equal(tensor, b.at(name))) << name;
  }

  // What the smoke recipe ends with when every gradient of a weight that fits
  // `pattern` is multiplied by `factor` on its way.
  Metrics Smoke(const std::string& folder, const std::string& pattern, double factor) {
    auto trainer = Create(SmokeRecipe(), Options(folder));
    EXPECT_TRUE(trainer.ok()) << trainer.status();
    if (!trainer.ok()) return {};
    int spoilt = 0;
    for (const auto& [name, tensor] : (*trainer)->weights()) {
      if (!tensor.requires_grad() || !GlobMatches(pattern, name)) continue;
      tensor.register_hook([factor](const at::Tensor& gradient) { return gradient * factor; });
      ++spoilt;
    }
    EXPECT_EQ(spoilt > 0, !pattern.empty());
    const absl::StatusOr<TrainingEnd> end = (*trainer)->Run(kNeverStop);
    EXPECT_TRUE(end.ok()) << end.status();
    return end.ok() ? end->last : Metrics();
  }

  // The bound: no training with a wrong gradient reaches it.
  static bool HasLearnt(const Metrics& end) {
    return end.loss < 18 && end.terms[1] < 0.45 && end.terms[5] < 0.4;
  }

  ScratchFolder folder_;
  FakeClock clock_;
  std::ostringstream progress_;
};

TEST_F(TrainerTest, FiftyStepsOnATinyPackLowerTheLossFarBelowItsStart) {
  const Metrics end = Smoke("smoke", "", 1);
  const auto lines = ReadMetrics(folder_ / "smoke/metrics.jsonl", 1000);
  ASSERT_TRUE(lines.ok()) << lines.status();
  ASSERT_EQ(lines->size(), 10u);
  EXPECT_GT(lines->front().loss, 30);
  EXPECT_GT(lines->front().terms[1], 0.8);  // dice
  EXPECT_TRUE(HasLearnt(end)) << MetricsToJson(end);
  // The result is a model like any other.
  const auto file = ModelFile::Open(folder_ / "smoke/weights.safetensors");
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_EQ((*file)->ComputeDigest().value(), (*file)->digest());
  EXPECT_TRUE((*file)->trained());
  EXPECT_FALSE((*file)->vocabulary().objects.empty());
  EXPECT_TRUE(LoadModel(folder_ / "smoke/weights.safetensors", at::kCPU, ops::Path::kNative).ok());
  EXPECT_THAT(ReadText(folder_ / "smoke/curves.svg"), HasSubstr("<polyline"));
}

// That the bound means something: seen so were also the whole gradient times 0 and -1,
// and that of the decoder's layers times -1.
TEST_F(TrainerTest, AWrongGradientDoesNotReachTheBoundOfTheSmokeTest) {
  const std::pair<const char*, double> mistakes[] = {{"sem_seg_head.predictor.*", 0},
                                                     {"sem_seg_head.predictor.mask_embed.*", -1},
                                                     {"sem_seg_head.pixel_decoder.*", -1}};
  int run = 0;
  for (const auto& [pattern, factor] : mistakes) {
    const Metrics end = Smoke("wrong" + std::to_string(++run), pattern, factor);
    EXPECT_FALSE(HasLearnt(end)) << pattern << " x " << factor << ": " << MetricsToJson(end);
  }
}

// Where the CPU has it; elsewhere this says that float32 is taken instead.
TEST_F(TrainerTest, BFloat16LearnsTheSameWay) {
  const std::string text = Replaced(SmokeRecipe(), "\"steps\": 50", "\"steps\": 15");
  Trained(text, Options("float32"));
  Trained(Replaced(text, "\"batch\"", "\"precision\": \"bfloat16\", \"batch\""),
          Options("bfloat16"));
  const auto wide = ReadMetrics(folder_ / "float32/metrics.jsonl", 100);
  const auto narrow = ReadMetrics(folder_ / "bfloat16/metrics.jsonl", 100);
  ASSERT_TRUE(wide.ok() && narrow.ok());
  ASSERT_EQ(narrow->size(), 3u);
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_NEAR((*narrow)[i].loss, (*wide)[i].loss, 0.15 * (*wide)[i].loss) << i;
  }
}

TEST_F(TrainerTest, AResumedTrainingEqualsAnUninterruptedOneBitForBit) {
  const NamedTensors whole = Trained(kSmallRecipe, Options("whole"));
  // Stopped in the middle, with another number of loader threads from then on.
  {
    auto trainer = Create(kSmallRecipe, Options("parts"));
    ASSERT_TRUE(trainer.ok()) << trainer.status();
    for (int i = 0; i < 3; ++i) ASSERT_TRUE((*trainer)->Step().ok());
    ASSERT_TRUE((*trainer)->SaveCheckpoint().ok());
  }
  TrainerOptions options = Options("parts", /*resume=*/true);
  options.loader.threads = 3;
  ExpectSame(Trained(kSmallRecipe, options), whole);
  EXPECT_EQ(ReadText(folder_ / "parts/weights.safetensors"),
            ReadText(folder_ / "whole/weights.safetensors"));
  // Frozen weights and the text encoder stay where they started.
  const auto start = StartWeights(Parsed(kSmallRecipe));
  ASSERT_TRUE(start.ok());
  int moved = 0;
  for (const auto& [name, tensor] : whole) {
    const bool same = at::equal(tensor, start->at(name));
    if (GlobMatches("backbone.layers.0.*", name) || GlobMatches("*.lang_encoder.lang*", name)) {
      EXPECT_TRUE(same) << name;
    }
    moved += same ? 0 : 1;
  }
  EXPECT_GT(moved, 100);
}

TEST_F(TrainerTest, AStopWritesACheckpointAndNoResult) {
  auto trainer = Create(kSmallRecipe, Options("stopped"));
  ASSERT_TRUE(trainer.ok()) << trainer.status();
  const std::atomic<bool> stop = true;
  const absl::StatusOr<TrainingEnd> end = (*trainer)->Run(stop);
  ASSERT_TRUE(end.ok()) << end.status();
  EXPECT_EQ(end->steps, 1);
  EXPECT_FALSE(end->finished);
  EXPECT_TRUE(LoadCheckpoint(folder_ / "stopped/checkpoint.safetensors").ok());
  EXPECT_FALSE(std::filesystem::exists(folder_ / "stopped/weights.safetensors"));
}

TEST_F(TrainerTest, AnExportOfTheLastCheckpointIsTheResult) {
  const std::string checkpoint = folder_ / "whole/checkpoint.safetensors";
  const std::string early = folder_ / "early.safetensors", late = folder_ / "late.safetensors";
  {
    auto trainer = Create(kSmallRecipe, Options("whole"));
    ASSERT_TRUE(trainer.ok()) << trainer.status();
    for (int i = 0; i < 2; ++i) ASSERT_TRUE((*trainer)->Step().ok());
    ASSERT_TRUE((*trainer)->SaveCheckpoint().ok());
    const auto exported = ExportCheckpoint(checkpoint, early);
    ASSERT_TRUE(exported.ok()) << exported.status();
    EXPECT_EQ(exported->steps, 2);
    EXPECT_TRUE(LoadModel(early, at::kCPU, ops::Path::kNative).ok());
    ASSERT_TRUE((*trainer)->Run(kNeverStop).ok());
  }
  ASSERT_TRUE(ExportCheckpoint(checkpoint, late).ok());
  const auto digest = [](const std::string& path) { return (*ModelFile::Open(path))->digest(); };
  EXPECT_EQ(digest(late), digest(folder_ / "whole/weights.safetensors"));
  EXPECT_NE(digest(late), digest(early));
}

TEST_F(TrainerTest, AnExportNamesWhatIsWrongWithTheCheckpoint) {
  const std::string path = folder_ / "checkpoint", out = folder_ / "model.safetensors";
  const auto error = [&] { return ExportCheckpoint(path, out).status(); };
  EXPECT_EQ(error().code(), absl::StatusCode::kNotFound);
  const std::string recipe = Replaced(kSmallRecipe, "scenes:count=20", "{packs}:count=20");
  ASSERT_TRUE(SaveCheckpoint(path, {.recipe = recipe}).ok());
  EXPECT_THAT(std::string(error().message()), HasSubstr(path + ": it counts no steps"));
  ASSERT_TRUE(SaveCheckpoint(path, {.counters = {{"steps", 2}}, .recipe = "{}"}).ok());
  EXPECT_THAT(std::string(error().message()), HasSubstr(path + ": model: is missing"));
  Checkpoint checkpoint = {.counters = {{"steps", 2}}, .recipe = recipe};
  const auto start = StartWeights(Parsed(kSmallRecipe));
  ASSERT_TRUE(start.ok()) << start.status();
  for (const auto& [name, tensor] : *start) checkpoint.tensors[kAveragePrefix + name] = tensor;
  ASSERT_TRUE(SaveCheckpoint(path, checkpoint).ok());
  EXPECT_TRUE(error().ok()) << error();
  auto last = checkpoint.tensors.extract(std::prev(checkpoint.tensors.end()));
  ASSERT_TRUE(SaveCheckpoint(path, checkpoint).ok());
  EXPECT_THAT(std::string(error().message()), HasSubstr(path + ": it has no weights "));
  last.key() = kFrozenPrefix + last.key().substr(std::string(kAveragePrefix).size());
  last.mapped() = at::zeros({1, 2, 3});
  checkpoint.tensors.insert(std::move(last));
  ASSERT_TRUE(SaveCheckpoint(path, checkpoint).ok());
  EXPECT_THAT(std::string(error().message()), HasSubstr("is not of this model"));
}

TEST_F(TrainerTest, AFolderWithATrainingIsResumedOnlyByItsOwnRecipe) {
  Trained(kSmallRecipe, Options("mine"));
  EXPECT_EQ(Create(kSmallRecipe, Options("mine")).status().code(),
            absl::StatusCode::kAlreadyExists);
  const std::string other = Replaced(kSmallRecipe, "\"steps\": 6", "\"steps\": 7");
  const absl::Status refused = Create(other, Options("mine", /*resume=*/true)).status();
  EXPECT_EQ(refused.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(refused.message(), HasSubstr("another recipe"));
}

// A folder data set, of which a file is then damaged.
class BadData : public TrainerTest {
 protected:
  void SetUp() override {
    std::filesystem::copy(testing::Fixture("folder"), folder_ / "data",
                          std::filesystem::copy_options::recursive);
  }

  // The error of a training on `source`, which allows so many bad samples.
  absl::Status Train(const std::string& source, int bad, const std::string& output) {
    const std::string text =
        R"({"model": "swin-tiny", "data": [{"source": ")" + source +
        R"(", "hold_out": false}], "size_px": 32, "batch": 1, "steps": 3, "prompts": {"count": 2},
           "criterion": {"points": 64, "matcher_points": 64}, "max_bad_samples": )" +
        std::to_string(bad) + "}";
    auto trainer = Create(text, Options(output));
    if (!trainer.ok()) return trainer.status();
    return (*trainer)->Run(kNeverStop).status();
  }

  std::string Folder() const { return "folder:images=" + (folder_ / "data"); }
};

TEST_F(BadData, AWholeDataSetTrains) { EXPECT_TRUE(Train(Folder(), 0, "out").ok()); }

TEST_F(BadData, AMissingPictureIsNamed) {
  std::filesystem::remove(folder_ / "data/garden.png");
  EXPECT_THAT(std::string(Train(Folder(), 0, "out").message()), HasSubstr("garden"));
}

TEST_F(BadData, ABrokenAnnotationFileIsNamed) {
  const std::string path = folder_ / "data/garden.json";
  WriteText(path, ReadText(path).substr(0, 100));
  EXPECT_THAT(std::string(Train(Folder(), 0, "out").message()), HasSubstr("garden.json"));
}

TEST_F(BadData, AMaskOfAnotherSizeIsNamed) {
  std::filesystem::copy(testing::Fixture("sa1b"), folder_ / "sa1b");
  const std::string path = folder_ / "sa1b/sa_7.json";
  const std::string text = ReadText(path);
  const size_t size = text.find("\"size\"");
  ASSERT_NE(size, std::string::npos);
  const size_t digit = text.find_first_of("0123456789", size);
  WriteText(path, text.substr(0, digit) + "9" + text.substr(digit));
  const absl::Status status = Train("sa1b:images=" + (folder_ / "sa1b"), 0, "out");
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("sa_7"));
}

TEST_F(BadData, BadSamplesAreLeftOutAsFarAsTheRecipeAllows) {
  std::filesystem::remove(folder_ / "data/garden.png");
  // One sample, three times; without a sample a step changes nothing.
  EXPECT_TRUE(Train(Folder(), 3, "three").ok());
  EXPECT_FALSE(Train(Folder(), 2, "two").ok());
  const auto lines = ReadMetrics(folder_ / "three/metrics.jsonl", 100);
  ASSERT_TRUE(lines.ok());
  EXPECT_EQ(lines->back().bad_samples, 3);
  EXPECT_THAT(progress_.str(), HasSubstr("left out: "));
}

}  // namespace
}  // namespace semsam
