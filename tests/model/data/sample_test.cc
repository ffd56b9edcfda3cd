#include "model/data/sample.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "model/data/nesting.h"
#include "model/data/random.h"
#include "tests/model/data/data_test_util.h"

namespace semsam {
namespace {

using ::semsam::testing::MaskFrom;
using ::semsam::testing::Rows;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

Annotation Named(int64_t id, const std::string& name, const RunLengths& mask) {
  return {.id = id, .mask = mask, .box = TightBox(mask), .object_name = name};
}

Sample TwoMasks() {
  Sample sample = {.size = {.height = 2, .width = 4},
                   .vocabulary = std::make_shared<const Vocabulary>()};
  sample.annotations = {Named(1, "house", MaskFrom({"###.", "###."})),
                        Named(2, "window", MaskFrom({".#..", "...."}))};
  return sample;
}

std::string Problem(const Sample& sample) { return std::string(CheckSample(sample).message()); }

TEST(Sample, SoundOnesPass) {
  EXPECT_EQ(Problem(TwoMasks()), "");
  EXPECT_EQ(TightBox(*TwoMasks().annotations[1].mask), (BoxPx{1, 0, 2, 1}));
}

TEST(Sample, BrokenPromisesAreNamed) {
  Sample sample = TwoMasks();
  sample.annotations[1].parent = 2;
  EXPECT_THAT(Problem(sample), HasSubstr("annotation 1 (id 2): its parent does not exist"));
  sample.annotations[1].parent = 0;
  sample.annotations[0].parent = 1;
  EXPECT_THAT(Problem(sample), HasSubstr("part of itself"));
  sample = TwoMasks();
  sample.annotations[1].id = 1;
  EXPECT_THAT(Problem(sample), HasSubstr("occurs twice"));
  sample = TwoMasks();
  sample.annotations[1].box.x1 = 3;
  EXPECT_THAT(Problem(sample), HasSubstr("not tight"));
  sample = TwoMasks();
  sample.annotations[0].mask->counts[0] += 1;
  EXPECT_THAT(Problem(sample), HasSubstr("does not fit the picture"));
  sample = TwoMasks();
  sample.annotations[0].mask.reset();
  sample.annotations[0].box = {.x0 = 0, .y0 = 0, .x1 = 4.5, .y1 = 2};
  EXPECT_THAT(Problem(sample), HasSubstr("outside the picture"));
  sample = TwoMasks();
  sample.unknown = MaskFrom({"#"});
  EXPECT_THAT(Problem(sample), HasSubstr("unknown region"));
  sample = TwoMasks();
  sample.vocabulary = nullptr;
  EXPECT_THAT(Problem(sample), HasSubstr("no vocabulary"));
}

TEST(Sample, WhatIsUnannotatedCountsMasksAndBoxes) {
  Sample sample = TwoMasks();
  EXPECT_THAT(Rows(Unannotated(sample)), ElementsAre("...#", "...#"));
  sample.annotations.push_back({.id = 3, .box = {.x0 = 3.2, .y0 = 0.4, .x1 = 3.6, .y1 = 0.9}});
  EXPECT_THAT(Rows(Unannotated(sample)), ElementsAre("....", "...#"));
}

TEST(Nesting, RulesMakePartsOfWhatLiesInside) {
  Sample sample = TwoMasks();
  sample.annotations.push_back(Named(3, "window", MaskFrom({"...#", "...#"})));
  NestByRules(sample, {{.part = "window", .object = "house"}});
  EXPECT_EQ(sample.annotations[1].part_name, "window");
  EXPECT_EQ(sample.annotations[1].object_name, "house");
  EXPECT_EQ(sample.annotations[1].parent, 0);
  EXPECT_EQ(sample.annotations[2].part_name, "window");
  EXPECT_EQ(sample.annotations[2].object_name, "");
  EXPECT_EQ(sample.annotations[2].parent, -1);
  EXPECT_EQ(sample.annotations[0].part_name, "");
}

TEST(Nesting, ContainmentFindsTheSmallestHolder) {
  Sample sample = {.size = {.height = 1, .width = 8}};
  sample.annotations = {Named(1, "", MaskFrom({"..##...."})), Named(2, "", MaskFrom({"#######."})),
                        Named(3, "", MaskFrom({".####..."})), Named(4, "", MaskFrom({"......##"})),
                        Named(5, "", MaskFrom({"..##...."}))};
  NestByContainment(sample);
  EXPECT_EQ(sample.annotations[0].parent, 2);
  EXPECT_EQ(sample.annotations[1].parent, -1);
  EXPECT_EQ(sample.annotations[2].parent, 1);
  EXPECT_EQ(sample.annotations[3].parent, -1);  // half of it lies outside
  EXPECT_EQ(sample.annotations[4].parent, 2);   // not its equal, mask 0
}

// Written out: another machine must draw the same.
TEST(Random, IsTheSameEverywhere) {
  Random random(42);
  EXPECT_EQ(random.Next(), 13679457532755275413u);
  EXPECT_EQ(random.Next(), 2949826092126892291u);
  EXPECT_EQ(random.Next(), 5139283748462763858u);
  Random again(random.state());
  EXPECT_EQ(random.Next(), again.Next());
  EXPECT_NE(Random::ForStream(1, 0).Next(), Random::ForStream(1, 1).Next());
  EXPECT_NE(Random::ForStream(1, 0).Next(), Random::ForStream(2, 0).Next());
}

TEST(Random, FillsItsRangesEvenly) {
  Random random(1);
  std::vector<int> counts(7);
  double sum = 0;
  for (int i = 0; i < 70000; ++i) {
    ++counts[random.Below(7)];
    const double unit = random.Unit();
    ASSERT_GE(unit, 0);
    ASSERT_LT(unit, 1);
    sum += unit;
  }
  for (const int count : counts) EXPECT_NEAR(count, 10000, 500);
  EXPECT_NEAR(sum / 70000, 0.5, 0.01);
}

}  // namespace
}  // namespace semsam
