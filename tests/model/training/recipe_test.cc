// What a training is made of: recipe, order of the samples, start weights, metrics.
#include "model/training/recipe.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "model/training/glob.h"
#include "model/training/initialise.h"
#include "model/training/metrics.h"
#include "model/training/sample_plan.h"
#include "model/training/training_data.h"
#include "model/training/weights_io.h"
#include "model/training/word_embeddings.h"
#include "model/weights/model_file.h"
#include "model/weights/safetensors.h"
#include "tests/model/data/data_test_util.h"

namespace semsam {
namespace {

using ::semsam::testing::ReadText;
using ::semsam::testing::Replaced;
using ::semsam::testing::ScratchFolder;
using ::semsam::testing::WriteText;
using ::testing::HasSubstr;

constexpr char kRecipe[] = R"({
  "model": "swin-tiny", "data": [{"source": "scenes:count=9,size=64"}], "steps": 3,
  "size_px": 64, "optimizer": {"clip_norm": 0.5}, "words": {"mode": "plain"}
})";

std::string Message(const std::string& text) {
  return std::string(ParseRecipe(text, {}).status().message());
}

TEST(RecipeTest, DefaultsAreThePublishedOnes) {
  const absl::StatusOr<Recipe> recipe = ParseRecipe(kRecipe, {});
  ASSERT_TRUE(recipe.ok()) << recipe.status();
  EXPECT_EQ(recipe->optimizer.clip_norm, 0.5);
  EXPECT_EQ(recipe->optimizer.learning_rate, 1e-4);
  EXPECT_EQ(recipe->criterion.matching, PromptMatching::kManyToMany);
  EXPECT_EQ(recipe->data[0].jitter.size_px, 64);
  EXPECT_EQ(recipe->model, NamedConfig("swin-tiny").value());
}

TEST(RecipeTest, TheRecipesOfTheRepositoryAreRead) {
  int read = 0;
  for (const auto& entry :
       std::filesystem::directory_iterator(SEMSAM_SOURCE_DIR "/model/training/recipes")) {
    if (entry.path().extension() != ".json") continue;
    const auto recipe = ReadRecipe(entry.path().string(), {{"data", "/d"},
                                                           {"start", "/s"},
                                                           {"trained", "/w"},
                                                           {"packs", "/p"},
                                                           {"sa1b", "/1"},
                                                           {"imagenet", "/i"},
                                                           {"text", "/t"}});
    EXPECT_TRUE(recipe.ok()) << recipe.status();
    ++read;
  }
  EXPECT_GE(read, 5);
}

TEST(RecipeTest, ErrorsNameTheField) {
  const std::tuple<const char*, const char*, const char*> cases[] = {
      {"\"steps\": 3", "\"steps\": \"3\"", "steps: must be a whole number"},
      {"\"steps\": 3", "\"steps\": 3, \"epochs\": 1", "give either steps or epochs"},
      {"\"steps\": 3", "\"stesp\": 3", "give either steps or epochs"},
      {"\"steps\": 3", "\"steps\": 3, \"bach\": 1", "bach: is no field of a recipe"},
      {"\"clip_norm\": 0.5", "\"clip_norm\": -1", "optimizer.clip_norm"},
      {"\"clip_norm\"", "\"clip_nrom\"", "optimizer.clip_nrom: is no field"},
      {"swin-tiny", "swin-huge", "model: unknown formula"},
      {"\"size_px\": 64", "\"size_px\": 65", "size_px: must be a multiple of 32"},
      {"\"plain\"", "\"fancy\"", "words.mode: must be one of plain, ensemble"},
      {"[{\"source\": \"scenes:count=9,size=64\"}]", "[]", "data: must be an array"},
      {"size=64\"}", "size=64\", \"share\": -1}", "data[0].share"},
      {"scenes:count", "{x}:count", "nothing says what {x} is"}};
  for (const auto& [from, to, message] : cases) {
    EXPECT_THAT(Message(Replaced(kRecipe, from, to)), HasSubstr(message)) << to;
  }
  EXPECT_THAT(Message("{"), HasSubstr("no JSON"));
  EXPECT_THAT(Message("[]"), HasSubstr("must be a JSON object"));
}

TEST(RecipeTest, FoldersAreFilledIn) {
  const auto folders = ParseFolders("data=/a/b,packs=/c");
  ASSERT_TRUE(folders.ok());
  const std::string text =
      Replaced(kRecipe, "scenes:count=9,size=64", "folder:images={packs}/x/{data}");
  const auto recipe = ParseRecipe(text, *folders);
  ASSERT_TRUE(recipe.ok()) << recipe.status();
  EXPECT_EQ(recipe->data[0].source, "folder:images=/c/x//a/b");
  EXPECT_FALSE(ParseFolders("data").ok());
}

TEST(SamplePlanTest, AnEpochHoldsTheSharesAndAnEpochlessSourceIsGoneThroughInTurn) {
  const auto plan = SamplePlan::Create({{.size = 10, .share = 3}, {.size = 7, .share = 1}}, 40, 5);
  ASSERT_TRUE(plan.ok()) << plan.status();
  std::map<size_t, std::map<size_t, int>> seen;
  for (int64_t i = 0; i < 7 * 40; ++i) {
    const SamplePlan::Pick pick = plan->At(i);
    ++seen[pick.source][pick.index];
    if (i == 39) {  // three times each of the first, one and a half of the second
      for (size_t index = 0; index < 10; ++index) EXPECT_EQ(seen[0][index], 3) << index;
      EXPECT_EQ(seen[1].size(), 7u);
    }
  }
  for (size_t index = 0; index < 7; ++index) EXPECT_EQ(seen[1][index], 10) << index;
}

TEST(SamplePlanTest, EpochsDifferAndMix) {
  const auto plan = SamplePlan::Create({{.size = 50}, {.size = 50}}, 0, 5);
  ASSERT_TRUE(plan.ok());
  ASSERT_EQ(plan->epoch_pictures(), 100);
  int same = 0, turns = 0;
  for (int64_t i = 0; i < 100; ++i) {
    same += plan->At(i).index == plan->At(i + 100).index ? 1 : 0;
    turns += i > 0 && plan->At(i).source != plan->At(i - 1).source ? 1 : 0;
  }
  EXPECT_LT(same, 20);
  EXPECT_GT(turns, 30);
  EXPECT_FALSE(SamplePlan::Create({{.size = 0}}, 0, 5).ok());
  EXPECT_FALSE(SamplePlan::Create({{.size = 9, .share = 1000}, {.size = 9}}, 10, 5).ok());
}

TEST(TrainingDataTest, ASampleDependsOnItsPlaceAlone) {
  const auto recipe = ParseRecipe(kRecipe, {});
  const auto one = TrainingData::Create(*recipe);
  const auto other = TrainingData::Create(*recipe);
  ASSERT_TRUE(one.ok() && other.ok());
  EXPECT_EQ((*one)->epoch_pictures(), 9);  // nine: the tenth would be held out
  (*other)->Load(3);
  const TrainingSample a = (*one)->Load(12), b = (*other)->Load(12);
  ASSERT_TRUE(a.status.ok()) << a.status;
  EXPECT_EQ(a.name, b.name);
  EXPECT_TRUE(at::equal(a.picture, b.picture));
  EXPECT_TRUE(at::equal(a.truth.targets.masks, b.truth.targets.masks));
  EXPECT_EQ(a.truth.prompts, b.truth.prompts);
  EXPECT_EQ(a.words.objects.words(), b.words.objects.words());
  EXPECT_EQ(a.losses_seed, b.losses_seed);
  EXPECT_FALSE(at::equal(a.picture, (*one)->Load(13).picture));
}

TEST(StartWeightsTest, ArePublishedInitialValuesAndWhatTheFilesHold) {
  auto recipe = ParseRecipe(kRecipe, {});
  const auto start = StartWeights(*recipe);
  ASSERT_TRUE(start.ok()) << start.status();
  const auto deviation = [&](const std::string& name) {
    return start->at(name).std().item<double>();
  };
  const std::string pixel = "sem_seg_head.pixel_decoder.", head = "sem_seg_head.predictor.";
  EXPECT_NEAR(deviation("backbone.layers.2.blocks.0.attn.qkv.weight"), 0.02, 0.002);
  EXPECT_EQ(start->at("backbone.layers.0.blocks.0.attn.qkv.bias").abs().max().item<double>(), 0);
  EXPECT_EQ(start->at("backbone.norm1.weight").min().item<double>(), 1);
  EXPECT_EQ(start->at(head + "_bbox_embed.layers.2.weight").abs().max().item<double>(), 0);
  EXPECT_NEAR(deviation(head + "mask_tokens.weight"), 1, 0.2);
  EXPECT_NEAR(deviation(head + "class_embed"), 0.02, 0.003);
  const at::Tensor rays =
      start->at(pixel + "transformer.encoder.layers.0.self_attn.sampling_offsets.bias");
  EXPECT_EQ(rays[0].item<double>(), 1);  // the first head looks to the right
  EXPECT_EQ(rays[1].item<double>(), 0);
  EXPECT_EQ(rays[2].item<double>(), 2);
  // The same seed, the same weights; another one, others.
  EXPECT_TRUE(
      at::equal(StartWeights(*recipe)->at(head + "class_embed"), start->at(head + "class_embed")));
  recipe->seed = 2;
  EXPECT_FALSE(
      at::equal(StartWeights(*recipe)->at(head + "class_embed"), start->at(head + "class_embed")));
}

TEST(StartWeightsTest, FilesOfAPartOverwriteWhatTheyHold) {
  const ScratchFolder folder;
  auto recipe = ParseRecipe(kRecipe, {});
  recipe->start = {"formula:swin-tiny"};
  const auto formula = StartWeights(*recipe);
  ASSERT_TRUE(formula.ok()) << formula.status();
  ASSERT_TRUE(WriteResult(folder / "all.safetensors", *recipe, *formula).ok());
  recipe->start = {folder / "all.safetensors"};
  const auto all = StartWeights(*recipe);
  ASSERT_TRUE(all.ok()) << all.status();
  for (const auto& [name, tensor] : *formula) EXPECT_TRUE(at::equal(tensor, all->at(name))) << name;

  const std::vector<float> ones(1, 1.5f);
  TensorView scale = {.name = "sem_seg_head.predictor.lang_encoder.logit_scale",
                      .data = std::as_bytes(std::span(ones))};
  ASSERT_TRUE(WriteSafetensors(folder / "part.safetensors", {{scale}}, {}).ok());
  recipe->start.push_back(folder / "part.safetensors");
  EXPECT_EQ(StartWeights(*recipe)->at(scale.name).item<double>(), 1.5);
  EXPECT_TRUE(at::equal(StartWeights(*recipe)->at("backbone.norm1.weight"),
                        formula->at("backbone.norm1.weight")));

  scale.name = "sem_seg_head.unheard_of";
  ASSERT_TRUE(WriteSafetensors(folder / "odd.safetensors", {{scale}}, {}).ok());
  recipe->start = {folder / "odd.safetensors"};
  const std::string message(StartWeights(*recipe).status().message());
  EXPECT_THAT(message, HasSubstr("odd.safetensors"));
  EXPECT_THAT(message, HasSubstr("sem_seg_head.unheard_of"));
}

TEST(StartWeightsTest, PatternsFreeze) {
  auto recipe = ParseRecipe(kRecipe, {});
  recipe->frozen = {"backbone.*"};
  const auto start = StartWeights(*recipe);
  const auto names = TrainedNames(*recipe, *start);
  ASSERT_TRUE(names.ok());
  for (const std::string& name : *names) {
    EXPECT_FALSE(GlobMatches("backbone.*", name)) << name;
    EXPECT_FALSE(GlobMatches("*lang_encoder.lang*", name)) << name;
  }
  recipe->frozen = {"backbnoe.*"};
  EXPECT_THAT(std::string(TrainedNames(*recipe, *start).status().message()),
              HasSubstr("backbnoe.*"));
}

TEST(WordTableTest, GivesRowsOfUnitNormAndNamesWhatItLacks) {
  const ScratchFolder folder;
  const std::vector<float> rows = {3, 4, 0, 2};
  const TensorView view = {
      .name = "embeddings", .shape = {2, 2}, .data = std::as_bytes(std::span(rows))};
  const std::string path = folder / "words.safetensors";
  ASSERT_TRUE(WriteSafetensors(path, {{view}}, {{"words", R"(["cat", "dog"])"}}).ok());
  const auto table = ReadWordTable(path, 2);
  ASSERT_TRUE(table.ok()) << table.status();
  const auto found = (*table)->Rows({"dog", "cat"});
  ASSERT_TRUE(found.ok());
  EXPECT_TRUE(at::allclose(*found, at::tensor({0.0f, 1.0f, 0.6f, 0.8f}).view({2, 2})));
  EXPECT_THAT(std::string((*table)->Rows({"cow"}).status().message()), HasSubstr("\"cow\""));
  EXPECT_FALSE(ReadWordTable(path, 3).ok());
}

TEST(MetricsTest, LinesComeBackAsTheyWereAndEndWhereTheTrainingGoesOn) {
  const ScratchFolder folder;
  const std::string path = folder / "metrics.jsonl";
  EXPECT_TRUE(ReadMetrics(path, 10)->empty());
  for (int64_t step = 1; step <= 3; ++step) {
    Metrics line = {.step = step, .loss = 0.1 * static_cast<double>(step), .bad_samples = 4};
    line.terms[1] = 0.25;
    ASSERT_TRUE(AppendMetrics(path, line).ok());
  }
  WriteText(path, ReadText(path) + R"({"step": 4, "lo)");  // killed while writing
  const auto lines = ReadMetrics(path, 2);
  ASSERT_TRUE(lines.ok()) << lines.status();
  ASSERT_EQ(lines->size(), 2u);
  EXPECT_EQ(lines->back().loss, 0.2);
  EXPECT_EQ(lines->back().terms[1], 0.25);
  EXPECT_EQ(lines->back().bad_samples, 4);
  WriteText(path, "{}\n");
  EXPECT_THAT(std::string(ReadMetrics(path, 2).status().message()), HasSubstr("jsonl:1"));
}

TEST(MetricsTest, ManyLinesMakeASmallPicture) {
  std::vector<Metrics> lines(5000);
  for (size_t i = 0; i < lines.size(); ++i) lines[i].step = static_cast<int64_t>(i);
  lines[7].loss = std::nan("");
  const std::string svg = DrawCurves(lines, "a < b");
  EXPECT_LT(svg.size(), 100'000u);
  EXPECT_THAT(svg, HasSubstr("a &lt; b"));
  EXPECT_THAT(svg, ::testing::Not(HasSubstr("nan")));
}

TEST(GlobTest, StarsStandForAnyText) {
  EXPECT_TRUE(GlobMatches("a.*.c", "a.b.c"));
  EXPECT_TRUE(GlobMatches("*.bias", "a.b.bias"));
  EXPECT_TRUE(GlobMatches("a*b*c", "aXbXbXc"));
  EXPECT_TRUE(GlobMatches("*", ""));
  EXPECT_FALSE(GlobMatches("a.*", "b.a.c"));
  EXPECT_FALSE(GlobMatches("a", "ab"));
}

}  // namespace
}  // namespace semsam
