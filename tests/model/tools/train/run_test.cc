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
#include <vector>

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

constexpr char kRecipe[] = R"({
  "model": "swin-tiny",
  "data": [{"source": "scenes:count=30,size=64,seed=7", "min_scale": 0.8}],
  "size_px": 64, "batch": 2, "steps": 4,
  "criterion": {"points": 256, "matcher_points": 256}, "prompts": {"count": 4},
  "words": {"max_objects": 6, "max_parts": 6}, "queries": {"count": 8, "denoising_groups": 1},
  "checkpoint_every": 1, "metrics_every": 1
})";

class RunTest : public ::testing::Test {
 protected:
  void SetUp() override { WriteText(folder_ / "recipe.json", kRecipe); }

  struct Child {
    pid_t pid = 0;
    std::string log;  // what it says on stderr
  };

  // Starts `semsam-train run` on the recipe; `limit` runs in the new process first.
  Child Start(const std::string& output, std::vector<std::string> more = {},
              const std::function<void()>& limit = nullptr) {
    std::vector<std::string> arguments = {
        SEMSAM_TRAIN_PROGRAM, "run",       "--recipe", folder_ / "recipe.json", "--output",
        folder_ / output,     "--threads", "1"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    std::vector<char*> raw;
    for (std::string& argument : arguments) raw.push_back(argument.data());
    raw.push_back(nullptr);
    Child child = {.log = folder_ / ("log" + std::to_string(++started_))};
    child.pid = ::fork();
    if (child.pid == 0) {
      const int log = ::open(child.log.c_str(), O_CREAT | O_WRONLY, 0600);
      ::dup2(log, STDERR_FILENO);
      ::dup2(log, STDOUT_FILENO);
      if (limit) limit();
      ::execv(raw[0], raw.data());
      ::_exit(127);
    }
    return child;
  }

  // The exit code, or minus the signal that ended it.
  static int Wait(const Child& child) {
    int status = 0;
    ::waitpid(child.pid, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
  }

  int Run(const std::string& output, std::vector<std::string> more = {},
          const std::function<void()>& limit = nullptr) {
    last_ = Start(output, std::move(more), limit);
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
  int started_ = 0;
};

TEST_F(RunTest, TwoProcessesTakeTheStepsOfOneWithBothBatches) {
  ASSERT_EQ(Run("one"), 0) << ReadText(last_.log);
  WriteText(folder_ / "recipe.json", Replaced(kRecipe, "\"batch\": 2", "\"batch\": 1"));
  const std::string meeting = "file:" + (folder_ / "meeting");
  const Child first = Start("two", {"--processes", "2", "--rank", "0", "--meeting", meeting});
  const Child second = Start("two", {"--processes", "2", "--rank", "1", "--meeting", meeting});
  EXPECT_EQ(Wait(first), 0) << ReadText(first.log);
  EXPECT_EQ(Wait(second), 0) << ReadText(second.log);
  EXPECT_LT(Difference("one", "two"), 1e-5);
  // And both have been trained at all.
  WriteText(folder_ / "recipe.json", Replaced(kRecipe, "\"steps\": 4", "\"steps\": 3"));
  ASSERT_EQ(Run("less"), 0);
  EXPECT_GT(Difference("one", "less"), 1e-5);
}

TEST_F(RunTest, AProcessThatEndsIsAnErrorOfTheOther) {
  const std::string meeting = "file:" + (folder_ / "meeting");
  WriteText(folder_ / "recipe.json", Replaced(kRecipe, "\"steps\": 4", "\"steps\": 4000"));
  const Child first = Start("two", {"--processes", "2", "--rank", "0", "--meeting", meeting});
  const Child second = Start("two", {"--processes", "2", "--rank", "1", "--meeting", meeting});
  while (!std::filesystem::exists(folder_ / "two/checkpoint.safetensors")) ::usleep(10'000);
  ::kill(second.pid, SIGKILL);
  EXPECT_EQ(Wait(second), -SIGKILL);
  EXPECT_EQ(Wait(first), 1);
  EXPECT_THAT(ReadText(first.log), HasSubstr("the processes lost each other"));
}

TEST_F(RunTest, ATerminationSignalLeavesACheckpointThatGoesOnExactly) {
  WriteText(folder_ / "recipe.json",
            Replaced(kRecipe, "\"checkpoint_every\": 1", "\"checkpoint_every\": 1000"));
  ASSERT_EQ(Run("whole"), 0) << ReadText(last_.log);
  const Child child = Start("parts");
  while (ReadText(child.log).find("step 1/") == std::string::npos) ::usleep(1'000);
  ::kill(child.pid, SIGTERM);
  ASSERT_EQ(Wait(child), 0) << ReadText(child.log);
  ASSERT_TRUE(std::filesystem::exists(folder_ / "parts/checkpoint.safetensors"));
  ASSERT_EQ(Run("parts", {"--resume"}), 0) << ReadText(last_.log);
  EXPECT_EQ(Difference("whole", "parts"), 0);
}

// A disk that holds the checkpoint once, and no more: the limit on a file's size is cut
// below the checkpoint's.
TEST_F(RunTest, AFullDiskIsNamedAndLeavesTheOldCheckpoint) {
  WriteText(folder_ / "recipe.json", Replaced(kRecipe, "\"steps\": 4", "\"steps\": 4000"));
  const Child child = Start("full");
  const std::string path = folder_ / "full/checkpoint.safetensors";
  while (!std::filesystem::exists(path)) ::usleep(10'000);
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
  EXPECT_THAT(ReadText(last_.log), HasSubstr("checkpoint.safetensors"));
  EXPECT_THAT(ReadText(last_.log), HasSubstr("File too large"));
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
  ASSERT_EQ(Run("whole"), 0) << ReadText(last_.log);
  const Child child = Start("killed");
  while (!std::filesystem::exists(folder_ / "killed/checkpoint.safetensors")) ::usleep(1'000);
  ::kill(child.pid, SIGKILL);
  EXPECT_EQ(Wait(child), -SIGKILL);
  ASSERT_EQ(Run("killed", {"--resume"}), 0) << ReadText(last_.log);
  EXPECT_EQ(Difference("whole", "killed"), 0);
}

TEST_F(RunTest, MistakesOnTheCommandLineAreToldFromThoseOfTheRecipe) {
  EXPECT_EQ(Run("x", {"--rank", "two"}), 2);
  EXPECT_EQ(Run("x", {"--processes", "2"}), 2);  // they meet nowhere
  EXPECT_EQ(Run("x", {"--device", "tpu"}), 1);
  WriteText(folder_ / "recipe.json", Replaced(kRecipe, "batch", "bach"));
  EXPECT_EQ(Run("x"), 1);
  EXPECT_THAT(ReadText(last_.log), HasSubstr("recipe.json: bach: is no field of a recipe"));
}

}  // namespace
}  // namespace semsam
