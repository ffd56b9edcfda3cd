#include "model/training/optimizer.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmath>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <limits>
#include <memory>

#include "absl/strings/match.h"
#include "model/training/checkpoint.h"
#include "model/training/uniform.h"

namespace semsam {
namespace {

constexpr char kBackbone[] = "backbone.patch_embed.proj.weight";
constexpr char kNorm[] = "backbone.patch_embed.norm.bias";
constexpr char kHead[] = "sem_seg_head.predictor.mask_embed.layers.0.weight";
constexpr char kTokens[] = "sem_seg_head.predictor.mask_tokens.weight";

NamedTensors Parameters() {
  NamedTensors parameters;
  SeededUniform random(9);
  for (const char* name : {kBackbone, kNorm, kHead, kTokens}) {
    parameters[name] = (random.Draw({3, 4}) - 0.5).requires_grad_(true);
  }
  return parameters;
}

OptimizerOptions Options() { return {.schedule = {.total_steps = 100}}; }

std::unique_ptr<Optimizer> Made(const OptimizerOptions& options) {
  auto optimizer = Optimizer::Create(SwinTiny(), Parameters(), options);
  EXPECT_TRUE(optimizer.ok()) << optimizer.status();
  return *std::move(optimizer);
}

// One step on a loss with random targets; `skip` gets no gradient.
StepReport Train(Optimizer& optimizer, UniformSource& random, const std::string& skip = "") {
  at::Tensor loss = at::zeros({});
  for (const auto& [name, parameter] : optimizer.parameters()) {
    const at::Tensor target = random.Draw({3, 4});
    if (name != skip) loss = loss + (parameter - target).square().sum();
  }
  loss.backward();
  const auto report = optimizer.Step();
  EXPECT_TRUE(report.ok()) << report.status();
  return *report;
}

void ExpectSame(const NamedTensors& a, const NamedTensors& b) {
  ASSERT_EQ(a.size(), b.size());
  for (const auto& [name, tensor] : a) {
    ASSERT_TRUE(b.contains(name)) << name;
    EXPECT_TRUE(at::equal(tensor, b.at(name))) << name;
  }
}

std::string TemporaryFolder(const std::string& name) {
  const std::filesystem::path path =
      std::filesystem::temp_directory_path() / (name + std::to_string(getpid()));
  std::filesystem::remove_all(path);
  std::filesystem::create_directories(path);
  return path.string();
}

TEST(Optimizer, TheRateFallsTenfoldAtNineTenthsAndAgain) {
  const ScheduleOptions options = {.total_steps = 100, .warmup_steps = 10, .warmup_start = 0};
  EXPECT_DOUBLE_EQ(LearningRateFactor(options, 0), 0);
  EXPECT_DOUBLE_EQ(LearningRateFactor(options, 5), 0.5);
  EXPECT_DOUBLE_EQ(LearningRateFactor(options, 10), 1);
  EXPECT_DOUBLE_EQ(LearningRateFactor(options, 89), 1);
  EXPECT_DOUBLE_EQ(LearningRateFactor(options, 90), 0.1);
  EXPECT_DOUBLE_EQ(LearningRateFactor(options, 94), 0.1);
  EXPECT_NEAR(LearningRateFactor(options, 95), 0.01, 1e-12);
}

TEST(Optimizer, NormsAndEmbeddingsDoNotDecay) {
  const auto traits = TrainableParameters(SwinT());
  EXPECT_TRUE(traits.at(kBackbone).backbone);
  EXPECT_TRUE(traits.at(kBackbone).decays);
  EXPECT_FALSE(traits.at(kNorm).decays);
  EXPECT_FALSE(traits.at("backbone.patch_embed.norm.weight").decays);
  EXPECT_TRUE(traits.at("backbone.patch_embed.proj.bias").decays);
  EXPECT_FALSE(traits.at(kHead).backbone);
  EXPECT_TRUE(traits.at(kHead).decays);
  EXPECT_FALSE(traits.at(kTokens).decays);
  EXPECT_FALSE(traits.at("backbone.layers.0.blocks.0.attn.relative_position_bias_table").decays);
  EXPECT_FALSE(traits.contains("backbone.layers.0.blocks.0.attn.relative_position_index"));
  EXPECT_EQ(traits.size(), 538 - 12);  // distinct tensors of the published model
}

TEST(Optimizer, TheFirstStepIsThatOfAdamW) {
  OptimizerOptions options = Options();
  options.clip_norm = 0;
  const auto optimizer = Made(options);
  const NamedTensors before = Parameters();
  SeededUniform random(1);
  const StepReport report = Train(*optimizer, random);
  EXPECT_TRUE(report.applied);
  EXPECT_DOUBLE_EQ(report.learning_rate, 1e-4);
  // The first step goes by the rate against the sign of the gradient, after the decay.
  SeededUniform again(1);
  for (const auto& [name, parameter] : optimizer->parameters()) {
    const at::Tensor start = before.at(name).detach();
    const double rate = name == kBackbone || name == kNorm ? 1e-5 : 1e-4;
    const double decay = name == kBackbone || name == kHead ? 0.05 : 0;
    const at::Tensor sign = (start - again.Draw({3, 4})).sign();
    const at::Tensor expected = start * (1 - rate * decay) - rate * sign;
    EXPECT_LE((parameter.detach() - expected).abs().max().item<double>(), 1e-7) << name;
    const at::Tensor average = start + 0.001 * (parameter.detach() - start);
    EXPECT_LE((optimizer->averages().at(name) - average).abs().max().item<double>(), 1e-7);
    EXPECT_FALSE(parameter.grad().defined());
  }
}

TEST(Optimizer, TheGradientOfTheWholeModelIsClipped) {
  // With a large epsilon the first step is in proportion to the gradient.
  OptimizerOptions options = Options();
  options.epsilon = 1e6;
  options.learning_rate = 1e6;
  options.weight_decay = 0;
  options.backbone_factor = 1;
  const auto optimizer = Made(options);
  const NamedTensors before = Parameters();
  SeededUniform random(1);
  const StepReport report = Train(*optimizer, random);
  EXPECT_GT(report.gradient_norm, 1);
  double squares = 0;
  for (const auto& [name, parameter] : optimizer->parameters()) {
    squares += (parameter - before.at(name)).square().sum().item<double>();
  }
  EXPECT_NEAR(std::sqrt(squares), 0.01, 1e-5);
}

TEST(Optimizer, AGradientThatIsNotFiniteChangesNothing) {
  const auto optimizer = Made(Options());
  SeededUniform random(1);
  Train(*optimizer, random);
  NamedTensors before;
  for (const auto& [name, tensor] : optimizer->State()) before[name] = tensor.clone();
  (optimizer->parameters().at(kHead) * std::numeric_limits<float>::infinity()).sum().backward();
  const auto report = optimizer->Step();
  ASSERT_TRUE(report.ok());
  EXPECT_FALSE(report->applied);
  EXPECT_EQ(optimizer->steps(), 2);
  ExpectSame(before, optimizer->State());
  EXPECT_FALSE(optimizer->parameters().at(kHead).grad().defined());
}

TEST(Optimizer, ATrainingGoesOnFromACheckpointBitForBit) {
  const std::string path = TemporaryFolder("semsam-resume-") + "/c.safetensors";
  const auto whole = Made(Options());
  const auto first = Made(Options());
  SeededUniform whole_random(4), first_random(4);
  for (int i = 0; i < 12; ++i) Train(*whole, whole_random, i < 7 ? kTokens : "");
  for (int i = 0; i < 5; ++i) Train(*first, first_random, kTokens);
  ASSERT_TRUE(SaveCheckpoint(path, {.tensors = first->State(),
                                    .counters = {{"steps", first->steps()}},
                                    .random = {{"losses", first_random.state()}},
                                    .recipe = "tiny"})
                  .ok());

  const auto loaded = LoadCheckpoint(path);
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  EXPECT_EQ(loaded->recipe, "tiny");
  ExpectSame(loaded->tensors, first->State());
  const auto second = Made(Options());
  ASSERT_TRUE(second->Restore(loaded->tensors, loaded->counters.at("steps")).ok());
  SeededUniform second_random(loaded->random.at("losses"));
  for (int i = 5; i < 12; ++i) Train(*second, second_random, i < 7 ? kTokens : "");
  ExpectSame(whole->State(), second->State());
  EXPECT_EQ(second->steps(), 12);
  std::filesystem::remove_all(std::filesystem::path(path).parent_path());
}

TEST(Optimizer, AStateThatDoesNotFitIsNamedAndChangesNothing) {
  const auto optimizer = Made(Options());
  SeededUniform random(4);
  Train(*optimizer, random);
  NamedTensors good;
  for (const auto& [name, tensor] : optimizer->State()) good[name] = tensor.clone();
  const auto expect = [&](const NamedTensors& state, const std::string& name) {
    const absl::Status status = optimizer->Restore(state, 1);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_TRUE(absl::StrContains(status.message(), name)) << status;
    ExpectSame(good, optimizer->State());
  };
  NamedTensors state = good;
  state.erase(std::string("average/") + kHead);
  expect(state, std::string("average/") + kHead);
  state = good;
  state[std::string("second_moment/") + kHead] = at::zeros({2});
  expect(state, std::string("second_moment/") + kHead);
  state = good;
  state["parameter/else"] = at::zeros({2});
  expect(state, "parameter/else");
  EXPECT_FALSE(optimizer->Restore(good, -1).ok());
}

TEST(Optimizer, OptionsAndParametersAreChecked) {
  EXPECT_FALSE(Optimizer::Create(SwinTiny(), Parameters(), {}).ok());  // no total_steps
  EXPECT_FALSE(Optimizer::Create(SwinTiny(), {}, Options()).ok());
  NamedTensors unknown = {{"else", at::zeros({1}).requires_grad_(true)}};
  EXPECT_FALSE(Optimizer::Create(SwinTiny(), unknown, Options()).ok());
  NamedTensors frozen = {{kHead, at::zeros({1})}};
  EXPECT_FALSE(Optimizer::Create(SwinTiny(), frozen, Options()).ok());
  OptimizerOptions options = Options();
  options.beta1 = 1;
  EXPECT_FALSE(Optimizer::Create(SwinTiny(), Parameters(), options).ok());
}

std::string Contents(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

TEST(Checkpoint, AFullDiskLeavesTheOldOne) {
  const std::string folder = TemporaryFolder("semsam-full-");
  const std::string path = folder + "/c.safetensors";
  ASSERT_TRUE(SaveCheckpoint(path, {.tensors = {{"a", at::ones({3})}}}).ok());
  const std::string before = Contents(path);

  // A limit on the size of files stands in for a full disk.
  rlimit old_limit = {};
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &old_limit), 0);
  const auto old_handler = std::signal(SIGXFSZ, SIG_IGN);
  const rlimit limit = {.rlim_cur = 1 << 20, .rlim_max = old_limit.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &limit), 0);
  const absl::Status status = SaveCheckpoint(path, {.tensors = {{"a", at::ones({1 << 20})}}});
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &old_limit), 0);
  std::signal(SIGXFSZ, old_handler);

  EXPECT_FALSE(status.ok());
  EXPECT_TRUE(absl::StrContains(status.message(), path)) << status;
  EXPECT_EQ(Contents(path), before);
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder), {}), 1);
  std::filesystem::remove_all(folder);
}

TEST(Checkpoint, WhatIsBrokenIsNamed) {
  const std::string folder = TemporaryFolder("semsam-broken-");
  const std::string path = folder + "/c.safetensors";
  EXPECT_EQ(LoadCheckpoint(path).status().code(), absl::StatusCode::kNotFound);
  ASSERT_TRUE(SaveCheckpoint(path, {.tensors = {{"a", at::ones({300})}},
                                    .counters = {{"steps", -1}},
                                    .random = {{"data", ~uint64_t{0}}}})
                  .ok());
  const auto good = LoadCheckpoint(path);
  ASSERT_TRUE(good.ok()) << good.status();
  EXPECT_EQ(good->counters.at("steps"), -1);
  EXPECT_EQ(good->random.at("data"), ~uint64_t{0});
  const std::string bytes = Contents(path);
  const auto expect_broken = [&](const std::string& content) {
    std::ofstream(path, std::ios::binary | std::ios::trunc) << content;
    const absl::Status status = LoadCheckpoint(path).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << status;
    EXPECT_TRUE(absl::StrContains(status.message(), path)) << status;
  };
  expect_broken(bytes.substr(0, bytes.size() - 1));
  expect_broken(bytes.substr(0, 4));
  std::string other = bytes;
  other.replace(other.find("semsam-checkpoint-1"), 19, "semsam-checkpoint-9");
  expect_broken(other);
  other = bytes;
  other.replace(other.find("counters"), 8, "COUNTERS");
  expect_broken(other);
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace semsam
