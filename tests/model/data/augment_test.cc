#include "model/data/augment.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "tests/model/data/data_test_util.h"

namespace semsam {
namespace {

using ::semsam::testing::MaskFrom;
using ::semsam::testing::Rows;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

Annotation Masked(int64_t id, const std::vector<std::string>& rows, int parent = -1) {
  const RunLengths mask = MaskFrom(rows);
  return {.id = id, .mask = mask, .box = TightBox(mask), .parent = parent};
}

LoadedSample Empty(ImageSize size, int tint, const std::string& word) {
  LoadedSample loaded;
  loaded.picture.size = size;
  for (int64_t i = 0; i < size.area(); ++i) {
    for (const int64_t value : {i, i + 100, int64_t{tint}}) {
      loaded.picture.pixels.push_back(static_cast<uint8_t>(value));
    }
  }
  loaded.sample.name = word;
  loaded.sample.size = size;
  loaded.sample.vocabulary = std::make_shared<const Vocabulary>(
      Vocabulary{.name = word, .objects = {word}, .closed_world = true});
  return loaded;
}

LoadedSample Cat() {
  LoadedSample cat = Empty({.height = 3, .width = 4}, 7, "cat");
  cat.sample.annotations = {Masked(1, {"##..", "##..", "...."}),
                            Masked(2, {"#...", "....", "...."}, 0)};
  cat.sample.annotations[0].object_name = "cat";
  cat.sample.annotations[0].stated_area_px = 4;
  cat.sample.annotations[1].object_name = "cat";
  cat.sample.annotations[1].part_name = "ear";
  cat.sample.annotations.push_back({.id = 3, .box = {.x0 = 2.5, .y0 = 0, .x1 = 4, .y1 = 1.5}});
  cat.sample.unknown = MaskFrom({"....", "....", "...#"});
  return cat;
}

// A scale so that the picture is neither enlarged nor reduced.
JitterOptions Square(int size, ImageSize source, double flip) {
  const double scale = static_cast<double>(std::max(source.height, source.width)) / size;
  return {.size_px = size, .min_scale = scale, .max_scale = scale, .flip = flip};
}

void ExpectSound(const LoadedSample& loaded) {
  EXPECT_TRUE(CheckSample(loaded.sample).ok()) << CheckSample(loaded.sample);
  EXPECT_EQ(loaded.picture.size, loaded.sample.size);
  EXPECT_EQ(loaded.picture.pixels.size(), static_cast<size_t>(loaded.sample.size.area()) * 3);
}

TEST(Jitter, PadsWhatIsSmallerAndKnowsNothingOfThePadding) {
  Random random(1);
  const LoadedSample cat = Cat();
  const auto out = Jitter(cat, Square(5, cat.sample.size, 0), random);
  ASSERT_TRUE(out.ok()) << out.status();
  ExpectSound(*out);
  ASSERT_EQ(out->sample.annotations.size(), 3);
  EXPECT_THAT(Rows(*out->sample.annotations[0].mask),
              ElementsAre("##...", "##...", ".....", ".....", "....."));
  EXPECT_EQ(out->sample.annotations[1].parent, 0);
  EXPECT_FALSE(out->sample.annotations[0].stated_area_px.has_value());
  EXPECT_EQ(out->sample.annotations[2].box, (BoxPx{2.5, 0, 4, 1.5}));
  EXPECT_THAT(Rows(*out->sample.unknown), ElementsAre("....#", "....#", "...##", "#####", "#####"));
  EXPECT_EQ(out->picture.pixels[3], 1);                    // pixel 1 of the source
  EXPECT_EQ(out->picture.pixels[3 * 4], 124);              // padding
  EXPECT_EQ(out->picture.pixels[3 * (2 * 5 + 3) + 2], 7);  // the last of the source
  EXPECT_EQ(out->picture.pixels[3 * (3 * 5) + 1], 116);
}

TEST(Jitter, MirrorsEverythingTogether) {
  Random random(1);
  const LoadedSample cat = Cat();
  const auto out = Jitter(cat, Square(4, cat.sample.size, 1), random);
  ASSERT_TRUE(out.ok()) << out.status();
  ExpectSound(*out);
  EXPECT_THAT(Rows(*out->sample.annotations[0].mask), ElementsAre("..##", "..##", "....", "...."));
  EXPECT_EQ(out->sample.annotations[2].box, (BoxPx{0, 0, 1.5, 1.5}));
  EXPECT_THAT(Rows(*out->sample.unknown), ElementsAre("....", "....", "#...", "####"));
  EXPECT_EQ(out->picture.pixels[0], 3);
}

TEST(Jitter, EnlargesMasksByTheNearestPixel) {
  Random random(1);
  const LoadedSample cat = Cat();
  const auto out = Jitter(cat, {.size_px = 8, .min_scale = 1, .max_scale = 1, .flip = 0}, random);
  ASSERT_TRUE(out.ok()) << out.status();
  ExpectSound(*out);
  EXPECT_THAT(Rows(*out->sample.annotations[0].mask),
              ElementsAre("####....", "####....", "####....", "####....", "........", "........",
                          "........", "........"));
  EXPECT_EQ(out->sample.annotations[2].box, (BoxPx{5, 0, 8, 3}));
}

TEST(Jitter, CropsAndDropsWhatIsNoLongerThere) {
  const LoadedSample cat = Cat();
  bool dropped = false, kept = false;
  for (uint64_t seed = 0; seed < 40; ++seed) {
    Random random(seed);
    const auto out = Jitter(cat, Square(2, cat.sample.size, 0.5), random);
    ASSERT_TRUE(out.ok()) << out.status();
    ExpectSound(*out);
    for (const Annotation& annotation : out->sample.annotations) {
      if (annotation.mask.has_value()) {
        EXPECT_GT(MaskArea(*annotation.mask), 0);
      }
    }
    dropped |= out->sample.annotations.size() < 3;
    kept |= !out->sample.annotations.empty() && out->sample.annotations[0].id == 1;
  }
  EXPECT_TRUE(dropped);
  EXPECT_TRUE(kept);
}

// The bytes of another machine, written out: a checksum of picture and masks.
TEST(Jitter, OneSeedGivesTheSameBytes) {
  const LoadedSample cat = Cat();
  Random random(2023);
  uint64_t sum = 14695981039346656037u;
  const auto add = [&sum](uint64_t value) { sum = (sum ^ value) * 1099511628211u; };
  for (int i = 0; i < 20; ++i) {
    const auto out = Jitter(cat, {.size_px = 32}, random);
    ASSERT_TRUE(out.ok()) << out.status();
    ExpectSound(*out);
    for (const uint8_t pixel : out->picture.pixels) add(pixel);
    for (const Annotation& annotation : out->sample.annotations) {
      add(static_cast<uint64_t>(annotation.id));
      if (!annotation.mask.has_value()) continue;
      for (const uint32_t count : annotation.mask->counts) add(count);
    }
  }
  EXPECT_EQ(sum, 15335200501958497609u);
}

TEST(Jitter, RefusesWhatCannotWork) {
  Random random(1);
  EXPECT_FALSE(Jitter(Cat(), {.size_px = 0}, random).ok());
  EXPECT_FALSE(Jitter(Cat(), {.min_scale = 2, .max_scale = 1}, random).ok());
  EXPECT_FALSE(Jitter(Cat(), {.flip = 1.5}, random).ok());
  LoadedSample cat = Cat();
  cat.picture.size = {.height = 4, .width = 3};
  EXPECT_FALSE(Jitter(cat, {}, random).ok());
}

TEST(KeepAnnotations, PartsOfWhatGoesMoveUp) {
  Sample sample;
  sample.annotations = {{.id = 1},
                        {.id = 2, .parent = 0},
                        {.id = 3, .parent = 1},
                        {.id = 4, .parent = 2},
                        {.id = 5, .parent = -1}};
  KeepAnnotations(sample, {true, false, false, true, true});
  ASSERT_EQ(sample.annotations.size(), 3);
  EXPECT_EQ(sample.annotations[1].id, 4);
  EXPECT_EQ(sample.annotations[1].parent, 0);
  KeepAnnotations(sample, {false, true, true});
  EXPECT_EQ(sample.annotations[0].parent, -1);
}

LoadedSample Dog() {
  LoadedSample dog = Empty({.height = 3, .width = 4}, 200, "dog");
  dog.sample.annotations = {Masked(1, {"....", ".###", "...."}),
                            Masked(8, {"....", "..##", "...."}, 0),
                            Masked(9, {"####", "....", "...."})};
  dog.sample.annotations[0].object_name = "dog";
  dog.sample.annotations[2].stuff = true;
  dog.sample.unknown = MaskFrom({"#...", "...#", "...."});
  return dog;
}

TEST(CopyPaste, PastesObjectsWithTheirPartsOverWhatIsThere) {
  Random random(1);
  LoadedSample cat = Cat();
  cat.sample.absent = {"dog", "boat"};
  const auto out = CopyPaste(cat, Dog(), {.probability = 1}, random);
  ASSERT_TRUE(out.ok()) << out.status();
  ExpectSound(*out);
  ASSERT_EQ(out->sample.annotations.size(), 5);
  EXPECT_THAT(Rows(*out->sample.annotations[0].mask), ElementsAre("##..", "#...", "...."));
  EXPECT_EQ(out->sample.annotations[2].id, 3);  // a box that is not covered wholly
  EXPECT_EQ(out->sample.annotations[3].id, 4);
  EXPECT_EQ(out->sample.annotations[3].object_name, "dog");
  EXPECT_THAT(Rows(*out->sample.annotations[3].mask), ElementsAre("....", ".###", "...."));
  EXPECT_EQ(out->sample.annotations[4].parent, 3);
  // The pasted object brings its own unknown pixel, the stuff stays where it was.
  EXPECT_THAT(Rows(*out->sample.unknown), ElementsAre("....", "...#", "...#"));
  EXPECT_EQ(out->picture.pixels[3 * 5 + 2], 200);
  EXPECT_EQ(out->picture.pixels[3 * 4 + 2], 7);
  EXPECT_THAT(out->sample.vocabulary->objects, ElementsAre("cat", "dog"));
  EXPECT_EQ(out->sample.vocabulary->name, "cat+dog");
  EXPECT_FALSE(out->sample.vocabulary->closed_world);
  EXPECT_THAT(out->sample.absent, ElementsAre("boat"));
}

TEST(CopyPaste, WhatIsHiddenIsDropped) {
  Random random(1);
  LoadedSample cat = Cat();
  LoadedSample dog = Dog();
  dog.sample.annotations = {Masked(1, {"####", "####", "...."})};
  const auto out = CopyPaste(cat, dog, {.probability = 1}, random);
  ASSERT_TRUE(out.ok()) << out.status();
  ExpectSound(*out);
  ASSERT_EQ(out->sample.annotations.size(), 1);
  EXPECT_EQ(out->sample.annotations[0].id, 1);  // no annotation of the target is left
  EXPECT_THAT(Rows(*out->sample.annotations[0].mask), ElementsAre("####", "####", "...."));
}

TEST(CopyPaste, ChoosesByProbabilityAndBound) {
  Random random(1);
  const auto none = CopyPaste(Cat(), Dog(), {.probability = 0}, random);
  ASSERT_TRUE(none.ok());
  EXPECT_EQ(none->picture.pixels, Cat().picture.pixels);
  EXPECT_EQ(none->sample.annotations.size(), 3);
  EXPECT_TRUE(none->sample.vocabulary->closed_world);
  const auto bounded = CopyPaste(Cat(), Dog(), {.probability = 1, .max_objects = 0}, random);
  ASSERT_TRUE(bounded.ok());
  EXPECT_EQ(bounded->sample.annotations.size(), 3);
  EXPECT_FALSE(CopyPaste(Cat(), Dog(), {.probability = 2}, random).ok());
  EXPECT_FALSE(CopyPaste(Cat(), Empty({.height = 4, .width = 3}, 0, "x"), {}, random).ok());
}

}  // namespace
}  // namespace semsam
