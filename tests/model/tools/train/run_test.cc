// The program itself: processes together, signals, a disk that is full.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmath>
#include <csignal>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "model/weights/model_file.h"
#include "model/weights/tensor_view.h"
#include "tests/model/data/data_test_util.h"

namespace semsam {
namespace {

using ::semsam::testing::ReadText;
using ::semsam::testing::Replaced;
using ::semsam::testing::ScratchFolder;
using ::semsam::testing::WriteText;
using ::testing::HasSubstr;

// Steps in proportion to the gradients: AdamW as it is published steps as far by a
// gradient that is nothing but rounding.
constexpr char kRecipe[] = R"({
  "model": "swin-tiny",
  "data": [{"source": "scenes:count=30,size=64,seed=7", "min_scale": 0.8}],
  "size_px": 64, "batch": 2, "steps": 4,
  "criterion": {"points": 256, "matcher_points": 256}, "prompts": {"count": 4},
  "optimizer": {"learning_rate": 0.01, "epsilon": 1e-3, "clip_norm": 1, "weight_decay": 0,
                "decay_at": [], "average_decay": 0},
  "words": {"max_objects": 6, "max_parts": 6}, "queries": {"count": 8, "denoising_groups": 1},
  "checkpoint_every": 1, "metrics_every": 1
})";

class RunTest : public ::testing::Test {
 protected:
  void SetUp() override { WriteText(folder_ / "recipe.json", kRecipe); }

  struct Child {
    pid_t pid = 0;
    int output = -1;  // where it writes to
    std::string log;  // what it has said so far
  };

  // Starts `semsam-train run` on the recipe; `limit` runs in the new process first.
  Child Start(const std::string& output, const std::vector<std::string>& more = {},
              const std::function<void()>& limit = nullptr) {
    std::vector<std::string> arguments = {
        "run", "--recipe", folder_ / "recipe.json", "--output", folder_ / output, "--threads", "1"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return StartProgram(std::move(arguments), limit);
  }

  static Child StartProgram(std::vector<std::string> arguments,
                            const std::function<void()>& limit = nullptr) {
    arguments.insert(arguments.begin(), SEMSAM_TRAIN_PROGRAM);
    std::vector<char*> raw;
    for (std::string& argument : arguments) raw.push_back(argument.data());
    raw.push_back(nullptr);
    int ends[2] = {-1, -1};
    EXPECT_EQ(::pipe2(ends, O_CLOEXEC), 0);
    Child child = {.pid = ::fork(), .output = ends[0]};
    if (child.pid == 0) {
      ::dup2(ends[1], STDERR_FILENO);
      ::dup2(ends[1], STDOUT_FILENO);
      if (limit) limit();
      ::execv(raw[0], raw.data());
      ::_exit(127);
    }
    ::close(ends[1]);
    return child;
  }

  // Reads on until the child has said `text`, or ends. Returns whether it has said it.
  static bool Hears(Child& child, const std::string& text) {
    char buffer[4096];
    while (child.log.find(text) == std::string::npos) {
      const ssize_t count = ::read(child.output, buffer, sizeof(buffer));
      if (count <= 0) return false;
      child.log.append(buffer, static_cast<size_t>(count));
    }
    return true;
  }

  // The exit code, or minus the signal that ended it.
  static int Wait(Child& child) {
    Hears(child, "\x01");  // never said: reads to the end
    ::close(child.output);
    int status = 0;
    ::waitpid(child.pid, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
  }

  int Run(const std::string& output, const std::vector<std::string>& more = {},
          const std::function<void()>& limit = nullptr) {
    last_ = Start(output, more, limit);
    return Wait(last_);
  }

  // The largest difference of any weight of two results.
  double Difference(const std::string& a, const std::string& b) {
    const auto one = ModelFile::Open(folder_ / (a + "/weights.safetensors"));
    const auto other = ModelFile::Open(folder_ / (b + "/weights.safetensors"));
    EXPECT_TRUE(one.ok() && other.ok()) << one.status() << other.status();
    if (!one.ok() || !other.ok()) return HUGE_VAL;
    double largest = 0;
    for (const auto& [name, view] : (*one)->weights()) {
      std::vector<float> x(Elements(view)), y(x.size());
      EXPECT_TRUE(CopyToFloat32(view, x).ok());
      EXPECT_TRUE(CopyToFloat32(*(*other)->weights().Find(name), y).ok());
      for (size_t i = 0; i < x.size(); ++i) {
        largest = std::max(largest, static_cast<double>(std::abs(x[i] - y[i])));
      }
    }
    return largest;
  }

  ScratchFolder folder_;
  Child last_;
};

TEST_F(RunTest, TwoProcessesTakeTheStepsOfOneWithBothBatches) {
  const std::string recipe = Replaced(kRecipe, "\"steps\": 4", "\"steps\": 3");
  WriteText(folder_ / "recipe.json", recipe);
  ASSERT_EQ(Run("one"), 0) << last_.log;
  WriteText(folder_ / "recipe.json", Replaced(recipe, "\"batch\": 2", "\"batch\": 1"));
  const std::string meeting = "file:" + (folder_ / "meeting");
  Child first = Start("two", {"--processes", "2", "--rank", "0", "--meeting", meeting});
  Child second = Start("two", {"--processes", "2", "--rank", "1", "--meeting", meeting});
  EXPECT_EQ(Wait(first), 0) << first.log;
  EXPECT_EQ(Wait(second), 0) << second.log;
  EXPECT_LT(Difference("one", "two"), 1e-5);
  // And both have been trained at all.
  WriteText(folder_ / "recipe.json", Replaced(recipe, "\"steps\": 3", "\"steps\": 2"));
  ASSERT_EQ(Run("less"), 0) << last_.log;
  EXPECT_GT(Difference("one", "less"), 1e-3);
}

TEST_F(RunTest, AProcessThatEndsIsAnErrorOfTheOther) {
  const std::string meeting = "file:" + (folder_ / "meeting");
  WriteText(folder_ / "recipe.json", Replaced(kRecipe, "\"steps\": 4", "\"steps\": 4000"));
  Child first = Start("two", {"--processes", "2", "--rank", "0", "--meeting", meeting});
  Child second = Start("two", {"--processes", "2", "--rank", "1", "--meeting", meeting});
  ASSERT_TRUE(Hears(first, "step 1/")) << first.log;
  ::kill(second.pid, SIGKILL);
  EXPECT_EQ(Wait(second), -SIGKILL);
  EXPECT_EQ(Wait(first), 1);
  EXPECT_THAT(first.log, HasSubstr("the processes lost each other"));
}

// A picture that is missing, and that one process meets first.
TEST_F(RunTest, ABadSampleOfOneProcessEndsAllByItsName) {
  std::filesystem::copy(testing::Fixture("folder"), folder_ / "data",
                        std::filesystem::copy_options::recursive);
  std::filesystem::remove(folder_ / "data/garden.png");
  const std::string source = R"([{"source": "folder:images=)" + (folder_ / "data") +
                             R"(", "hold_out": false, "share": 0.1}, {"source": "scenes:)";
  const std::string recipe = Replaced(kRecipe, R"([{"source": "scenes:)", source);
  WriteText(folder_ / "recipe.json", Replaced(recipe, "\"steps\": 4", "\"steps\": 4000"));
  const std::string meeting = "file:" + (folder_ / "meeting");
  Child first = Start("two", {"--processes", "2", "--rank", "0", "--meeting", meeting});
  Child second = Start("two", {"--processes", "2", "--rank", "1", "--meeting", meeting});
  EXPECT_EQ(Wait(first), 1);
  EXPECT_EQ(Wait(second), 1);
  const auto met = [](const Child& child) {
    return child.log.find("left out: ") != std::string::npos;
  };
  EXPECT_NE(met(first), met(second)) << first.log << second.log;
  const std::string error = absl::StrCat("semsam-train run: process ", met(first) ? 0 : 1, ": ");
  for (const Child& child : {first, second}) {
    const size_t said = child.log.find(error);
    ASSERT_NE(said, std::string::npos) << child.log;
    EXPECT_THAT(child.log.substr(said), HasSubstr("garden.jpg"));
  }
}

TEST_F(RunTest, ATerminationSignalLeavesACheckpointThatGoesOnExactly) {
  WriteText(folder_ / "recipe.json",
            Replaced(kRecipe, "\"checkpoint_every\": 1", "\"checkpoint_every\": 1000"));
  ASSERT_EQ(Run("whole"), 0) << last_.log;
  Child child = Start("parts");
  ASSERT_TRUE(Hears(child, "step 1/")) << child.log;
  ::kill(child.pid, SIGTERM);
  ASSERT_EQ(Wait(child), 0) << child.log;
  ASSERT_TRUE(std::filesystem::exists(folder_ / "parts/checkpoint.safetensors"));
  ASSERT_EQ(Run("parts", {"--resume"}), 0) << last_.log;
  EXPECT_EQ(Difference("whole", "parts"), 0);
}

// A disk that holds the checkpoint once, and no more: the limit on a file's size is cut
// below the checkpoint's.
TEST_F(RunTest, AFullDiskIsNamedAndLeavesTheOldCheckpoint) {
  WriteText(folder_ / "recipe.json", Replaced(kRecipe, "\"steps\": 4", "\"steps\": 4000"));
  Child child = Start("full");
  const std::string path = folder_ / "full/checkpoint.safetensors";
  ASSERT_TRUE(Hears(child, "step 1/")) << child.log;
  ::kill(child.pid, SIGTERM);
  ASSERT_EQ(Wait(child), 0);
  const std::string before = ReadText(path);
  const rlim_t size = before.size() / 2;
  EXPECT_EQ(Run("full", {"--resume"},
                [size] {
                  const rlimit limit = {size, size};
                  ::setrlimit(RLIMIT_FSIZE, &limit);
                }),
            1);
  EXPECT_THAT(last_.log, HasSubstr("checkpoint.safetensors"));
  EXPECT_THAT(last_.log, HasSubstr("File too large"));
  EXPECT_TRUE(ReadText(path) == before);
  // Nothing half written is left behind.
  for (const auto& entry : std::filesystem::directory_iterator(folder_ / "full")) {
    EXPECT_THAT((std::vector<std::string>{"checkpoint.safetensors", "metrics.jsonl", "curves.svg",
                                          "recipe.json"}),
                ::testing::Contains(entry.path().filename().string()));
  }
}

// Killed at any moment, thus also while a checkpoint is written.
TEST_F(RunTest, AKilledTrainingGoesOnExactly) {
  ASSERT_EQ(Run("whole"), 0) << last_.log;
  Child child = Start("killed");
  // The checkpoint of the first step is there, and the next one may be on its way.
  ASSERT_TRUE(Hears(child, "step 2/")) << child.log;
  ::kill(child.pid, SIGKILL);
  EXPECT_EQ(Wait(child), -SIGKILL);
  ASSERT_EQ(Run("killed", {"--resume"}), 0) << last_.log;
  EXPECT_EQ(Difference("whole", "killed"), 0);
}

TEST_F(RunTest, ACheckpointIsExportedWhileTheTrainingRuns) {
  WriteText(folder_ / "recipe.json", Replaced(kRecipe, "\"steps\": 4", "\"steps\": 4000"));
  Child training = Start("long");
  ASSERT_TRUE(Hears(training, "step 2/")) << training.log;
  const std::string checkpoint = folder_ / "long/checkpoint.safetensors";
  const std::string model = folder_ / "model.safetensors";
  Child exported = StartProgram({"export", "--checkpoint", checkpoint, "--out", model});
  EXPECT_EQ(Wait(exported), 0);
  EXPECT_THAT(exported.log, HasSubstr("averaged weights of semantic-sam-swin-tiny after step "));
  ::kill(training.pid, SIGTERM);
  EXPECT_EQ(Wait(training), 0) << training.log;
  EXPECT_TRUE(ModelFile::Open(model).ok());
  EXPECT_FALSE(std::filesystem::exists(folder_ / "long/weights.safetensors"));
  exported = StartProgram({"export", "--checkpoint", folder_ / "none", "--out", model});
  EXPECT_EQ(Wait(exported), 1);
  EXPECT_THAT(exported.log, HasSubstr(folder_ / "none"));
  exported = StartProgram({"export", "--checkpoint", checkpoint});
  EXPECT_EQ(Wait(exported), 2);
}

TEST_F(RunTest, MistakesOnTheCommandLineAreToldFromThoseOfTheRecipe) {
  EXPECT_EQ(Run("x", {"--rank", "two"}), 2);
  EXPECT_EQ(Run("x", {"--processes", "2"}), 2);  // they meet nowhere
  EXPECT_EQ(Run("x", {"--device", "tpu"}), 1);
  WriteText(folder_ / "recipe.json", Replaced(kRecipe, "batch", "bach"));
  EXPECT_EQ(Run("x"), 1);
  EXPECT_THAT(last_.log, HasSubstr("recipe.json: bach: is no field of a recipe"));
}

}  // namespace
}  // namespace semsam
