#include "model/cook/photo_cook.h"

#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "model/image/run_length_sets.h"
#include "model/image/run_lengths.h"
#include "tests/model/cook/cook_test_util.h"

namespace semsam {
namespace {

constexpr ImageSize kSize = {.height = 200, .width = 100};

Annotation Masked(int64_t id, PixelBox box, const std::string& object, const std::string& part,
                  int parent) {
  Annotation annotation{.id = id, .mask = BoxMask(box, kSize), .object_name = object};
  annotation.part_name = part;
  annotation.parent = parent;
  annotation.box = TightBox(*annotation.mask);
  return annotation;
}

const Annotation* Find(const Sample& sample, const std::string& part) {
  for (const Annotation& annotation : sample.annotations) {
    if (annotation.part_name == part) return &annotation;
  }
  return nullptr;
}

absl::Status Check(Sample sample) {
  sample.vocabulary = std::make_shared<const Vocabulary>();
  return CheckSample(sample);
}

TEST(AddAnimalParts, TheHeadIsWhatOfTheAnimalLiesInItsBox) {
  Sample sample{.size = kSize};
  sample.annotations.push_back(
      Masked(1, {.x = 10, .y = 50, .width = 80, .height = 40}, "cat", "", -1));
  sample.annotations.push_back({.id = 2,
                                .box = {60.2, 30, 100, 79.5},
                                .object_name = "cat",
                                .part_name = "head",
                                .parent = 0});
  AddAnimalParts(sample);
  ASSERT_TRUE(Check(sample).ok()) << Check(sample);
  ASSERT_EQ(sample.annotations.size(), 3u);
  EXPECT_EQ(sample.annotations[1].box, (BoxPx{60, 50, 90, 80}));
  EXPECT_EQ(MaskArea(*sample.annotations[1].mask), 900);
  const Annotation* body = Find(sample, "body");
  ASSERT_NE(body, nullptr);
  EXPECT_EQ(MaskArea(*body->mask), 80 * 40 - 900);
  EXPECT_EQ(body->parent, 0);
  EXPECT_EQ(body->object_name, "cat");
}

TEST(AddAnimalParts, AHeadThatIsNearlyAllOrNothingIsLeftOut) {
  for (const BoxPx& box : {BoxPx{10, 50, 89, 90}, BoxPx{0, 0, 12, 55}}) {
    Sample sample{.size = kSize};
    sample.annotations.push_back(
        Masked(1, {.x = 10, .y = 50, .width = 80, .height = 40}, "dog", "", -1));
    sample.annotations.push_back(
        {.id = 2, .box = box, .object_name = "dog", .part_name = "head", .parent = 0});
    AddAnimalParts(sample);
    EXPECT_EQ(sample.annotations.size(), 1u);
    EXPECT_TRUE(Check(sample).ok());
  }
}

// Someone upright; what comes first lies before the rest.
Sample Person() {
  Sample sample{.size = kSize};
  struct Part {
    const char* word;
    std::vector<PixelBox> boxes;
  };
  const std::vector<Part> parts = {
      {"hair", {{40, 0, 20, 12}}},   {"skin", {{42, 10, 16, 20}, {20, 60, 8, 40}, {72, 60, 8, 40}}},
      {"vest", {{35, 45, 30, 20}}},  {"shirt", {{30, 40, 40, 40}}},
      {"pants", {{35, 80, 30, 90}}}, {"shoes", {{30, 170, 15, 20}, {55, 170, 15, 20}}},
      {"bag", {{82, 90, 10, 20}}}};
  sample.annotations.push_back({.id = 1, .object_name = "person"});
  RunLengths whole = EmptyMask(kSize);
  for (const Part& part : parts) {
    RunLengths mask = EmptyMask(kSize);
    for (const PixelBox& box : part.boxes) mask = UnionOf(mask, BoxMask(box, kSize));
    mask = DifferenceOf(mask, whole);
    whole = UnionOf(whole, mask);
    sample.annotations.push_back({.id = static_cast<int64_t>(sample.annotations.size()) + 1,
                                  .mask = mask,
                                  .box = TightBox(mask),
                                  .object_name = "person",
                                  .part_name = part.word,
                                  .parent = 0});
  }
  sample.annotations[0].mask = whole;
  sample.annotations[0].box = TightBox(whole);
  return sample;
}

TEST(AddClothesGroups, ClothesAreGroupedInTwoLevels) {
  Sample sample = Person();
  ASSERT_TRUE(AddClothesGroups(sample).ok());
  ASSERT_TRUE(Check(sample).ok()) << Check(sample);
  const auto parent = [&](const std::string& part) {
    const Annotation* annotation = Find(sample, part);
    if (annotation == nullptr) return std::string("(there is none)");
    return annotation->parent < 0 ? std::string()
                                  : sample.annotations[annotation->parent].part_name;
  };
  EXPECT_EQ(parent("outfit"), "");
  EXPECT_EQ(Find(sample, "outfit")->parent, 0);
  EXPECT_EQ(parent("upper body clothes"), "outfit");
  EXPECT_EQ(parent("shirt"), "upper body clothes");
  EXPECT_EQ(parent("vest"), "upper body clothes");
  EXPECT_EQ(parent("pants"), "outfit");  // one garment is no group
  EXPECT_EQ(parent("shoes"), "outfit");
  EXPECT_EQ(parent("bag"), "");
  EXPECT_EQ(Find(sample, "lower body clothes"), nullptr);
  EXPECT_EQ(MaskArea(*Find(sample, "outfit")->mask), 40 * 40 + 30 * 90 + 2 * 15 * 20);
  EXPECT_EQ(MaskArea(*Find(sample, "upper body clothes")->mask), 40 * 40);
}

TEST(AddClothesGroups, TheHeadIsHairAndFaceAndPairsAreTakenApart) {
  Sample sample = Person();
  ASSERT_TRUE(AddClothesGroups(sample).ok());
  const Annotation* head = Find(sample, "head");
  ASSERT_NE(head, nullptr);
  EXPECT_EQ(head->box, (BoxPx{40, 0, 60, 30}));
  int shoes = 0, skin = 0;
  for (const Annotation& annotation : sample.annotations) {
    shoes += annotation.part_name == "shoes" ? 1 : 0;
    skin += annotation.part_name == "skin" ? 1 : 0;
  }
  EXPECT_EQ(shoes, 3);
  EXPECT_EQ(skin, 4);
}

TEST(AddClothesGroups, NoHeadWhereTheFaceReachesBelowTheNeckOrNobodyStands) {
  Sample sample = Person();
  for (Annotation& annotation : sample.annotations) {
    if (annotation.part_name != "skin") continue;
    annotation.mask = BoxMask({.x = 42, .y = 12, .width = 16, .height = 60}, kSize);
    annotation.box = TightBox(*annotation.mask);
  }
  ASSERT_TRUE(AddClothesGroups(sample).ok());
  EXPECT_EQ(Find(sample, "head"), nullptr);
  Sample nobody{.size = kSize};
  ASSERT_TRUE(AddClothesGroups(nobody).ok());
  EXPECT_TRUE(nobody.annotations.empty());
}

TEST(WithPseudoParts, WordsAreAddedAndTheWorldIsOpen) {
  const Vocabulary pets{
      .name = "pets", .objects = {"cat", "dog"}, .parts = {"head"}, .closed_world = true};
  const auto words = WithPseudoParts(pets);
  EXPECT_EQ(words->parts, (std::vector<std::string>{"head", "body"}));
  EXPECT_FALSE(words->closed_world);
  EXPECT_EQ(WithPseudoParts({.name = "p", .objects = {"person"}, .parts = {"hat"}})->parts,
            (std::vector<std::string>{"hat", "head", "outfit", "upper body clothes",
                                      "lower body clothes", "footwear"}));
  Sample sample{.size = kSize};
  sample.annotations.push_back(
      Masked(1, {.x = 10, .y = 50, .width = 80, .height = 40}, "cat", "", -1));
  sample.vocabulary = std::make_shared<const Vocabulary>(pets);
  ListAbsentObjects(sample);
  EXPECT_EQ(sample.absent, (std::vector<std::string>{"dog"}));
}

}  // namespace
}  // namespace semsam
