#include "model/data/scene_generator.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <string>

#include "model/image/run_length_sets.h"
#include "tests/model/data/data_test_util.h"

namespace semsam {
namespace {

TEST(SceneGenerator, ScenesAreSoundAndEveryNodeIsNamedAndNested) {
  const auto scenes = OpenScenes({}, 7, 60);
  ASSERT_TRUE(scenes.ok()) << scenes.status();
  const auto& words = *(*scenes)->info().vocabulary;
  size_t groups = 0, parts_of_parts = 0;
  std::set<std::string> objects;
  for (size_t i = 0; i < (*scenes)->size(); ++i) {
    const auto loaded = LoadWithPicture(**scenes, i);
    ASSERT_TRUE(loaded.ok()) << loaded.status();
    const Sample& sample = loaded->sample;
    ASSERT_TRUE(CheckSample(sample).ok()) << CheckSample(sample);
    // Slivers too small to be annotated are not background.
    const RunLengths slivers = Unannotated(sample);
    EXPECT_LT(MaskArea(slivers), 100);
    EXPECT_EQ(sample.unknown.value_or(EmptyMask(sample.size)), slivers);
    for (const Annotation& annotation : sample.annotations) {
      EXPECT_THAT(words.objects, ::testing::Contains(annotation.object_name));
      if (annotation.part_name.empty()) objects.insert(annotation.object_name);
      if (annotation.parent < 0) continue;
      const Annotation& parent = sample.annotations[annotation.parent];
      EXPECT_EQ(SharedArea(*annotation.mask, *parent.mask), MaskArea(*annotation.mask));
      groups += annotation.part_name.empty();
      parts_of_parts += !annotation.part_name.empty() && !parent.part_name.empty();
    }
  }
  EXPECT_GT(groups, 50);
  EXPECT_GT(parts_of_parts, 200);
  EXPECT_GT(objects.size(), 14);  // eight kinds, their groups, sky and ground
}

TEST(SceneGenerator, ASceneDependsOnSeedAndIndexAlone) {
  const auto a = OpenScenes({.size = {.height = 64, .width = 96}}, 7, 5);
  const auto b = OpenScenes({.size = {.height = 64, .width = 96}}, 7, 3);
  const auto c = OpenScenes({.size = {.height = 64, .width = 96}}, 8, 3);
  const Sample first = testing::Loaded(**a, 2), same = testing::Loaded(**b, 2);
  EXPECT_EQ(first.pixels->pixels, same.pixels->pixels);
  EXPECT_EQ(first.annotations, same.annotations);
  EXPECT_NE(first.pixels->pixels, testing::Loaded(**c, 2).pixels->pixels);
  EXPECT_NE(first.pixels->pixels, testing::Loaded(**a, 1).pixels->pixels);
}

// Bytes of another machine, written out.
TEST(SceneGenerator, OneSeedGivesTheSameBytes) {
  Random random(11);
  uint64_t sum = 14695981039346656037u;
  for (int i = 0; i < 5; ++i) {
    const auto scene = GenerateScene({.size = {.height = 80, .width = 120}}, random);
    ASSERT_TRUE(scene.ok());
    for (const uint8_t value : scene->picture.pixels) sum = (sum ^ value) * 1099511628211u;
    for (const Annotation& annotation : scene->sample.annotations) {
      for (const uint32_t run : annotation.mask->counts) sum = (sum ^ run) * 1099511628211u;
    }
  }
  EXPECT_EQ(sum, 10661679942778757442u);
}

TEST(SceneGenerator, OptionsAreChecked) {
  Random random(1);
  EXPECT_FALSE(GenerateScene({.size = {.height = 8, .width = 100}}, random).ok());
  EXPECT_FALSE(GenerateScene({.max_clusters = 0}, random).ok());
  EXPECT_FALSE(GenerateScene({.texture_chance = 2}, random).ok());
  EXPECT_FALSE(GenerateScene({.max_noise = 400}, random).ok());
  EXPECT_FALSE(OpenScenes({.max_group = 0}, 1, 1).ok());
}

}  // namespace
}  // namespace semsam
