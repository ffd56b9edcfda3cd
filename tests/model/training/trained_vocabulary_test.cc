// Which words a training teaches.
#include "model/training/trained_vocabulary.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "absl/strings/str_cat.h"
#include "tests/model/data/data_test_util.h"

namespace semsam {
namespace {

using ::semsam::testing::ScratchFolder;
using ::semsam::testing::WriteText;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// A sample without a picture: nothing looks at that.
void WriteSample(const std::string& path, const std::string& object, const std::string& part) {
  WriteText(path, absl::StrCat(R"({"picture": "none.jpg", "height": 8, "width": 8, "annotations": [
    {"id": 1, "object": ")",
                               object, R"(", "box": [0, 0, 8, 8]},
    {"id": 2, "object": ")",
                               object, R"(", "part": ")", part, R"(", "box": [0, 0, 4, 4]}]})"));
}

Recipe RecipeOf(const ScratchFolder& folder) {
  Recipe recipe;
  recipe.data = {
      {.source = absl::StrCat("folder:images=", folder / "often"), .share = 9, .hold_out = false},
      {.source = absl::StrCat("folder:images=", folder / "seldom"), .share = 1, .hold_out = false}};
  return recipe;
}

class TrainedVocabularyTest : public ::testing::Test {
 protected:
  void SetUp() override {
    WriteSample(folder_ / "often/1.json", "cat", "head");
    WriteSample(folder_ / "often/2.json", "cat", "tail");
    WriteSample(folder_ / "often/3.json", "dog", "head");
    // All of a source that gives one picture in ten.
    for (int i = 0; i < 5; ++i) {
      WriteSample(folder_ / absl::StrCat("seldom/", i, ".json"), "house", "roof");
    }
  }

  ScratchFolder folder_;
};

TEST_F(TrainedVocabularyTest, ThePicturesOfATrainingCountNotThoseOfASource) {
  const auto words = TrainedVocabulary(RecipeOf(folder_));
  ASSERT_TRUE(words.ok()) << words.status();
  EXPECT_THAT(words->objects, ElementsAre("cat", "dog", "house"));
  EXPECT_THAT(words->parts, ElementsAre("head", "tail", "roof"));
  EXPECT_EQ(words->mode, TextMode::kPlain);
}

TEST_F(TrainedVocabularyTest, TheRecipeSaysHowMany) {
  Recipe recipe = RecipeOf(folder_);
  recipe.result.vocabulary_objects = 2;
  recipe.result.vocabulary_parts = 0;
  const auto words = TrainedVocabulary(recipe);
  ASSERT_TRUE(words.ok()) << words.status();
  EXPECT_THAT(words->objects, ElementsAre("cat", "dog"));
  EXPECT_THAT(words->parts, IsEmpty());
}

TEST_F(TrainedVocabularyTest, TheSuffixesOfCocosClassesGo) {
  WriteSample(folder_ / "often/4.json", "house-other-merged", "roof");
  const auto words = TrainedVocabulary(RecipeOf(folder_));
  ASSERT_TRUE(words.ok()) << words.status();
  // Half of "often" is cats, a quarter each dogs and houses; "seldom" is houses alone.
  EXPECT_THAT(words->objects, ElementsAre("cat", "house", "dog"));
}

TEST_F(TrainedVocabularyTest, PatternsLeaveWordsOut) {
  Recipe recipe = RecipeOf(folder_);
  recipe.result.vocabulary_leave_out = {"c*", "*f"};
  const auto words = TrainedVocabulary(recipe);
  ASSERT_TRUE(words.ok()) << words.status();
  EXPECT_THAT(words->objects, ElementsAre("dog", "house"));
  EXPECT_THAT(words->parts, ElementsAre("head", "tail"));
}

TEST_F(TrainedVocabularyTest, ABrokenSampleAndALongWordAreLeftOutAMissingSourceIsNamed) {
  WriteText(folder_ / "often/4.json", "{");
  WriteSample(folder_ / "often/5.json", std::string(65, 'x'), "head");
  const auto words = TrainedVocabulary(RecipeOf(folder_));
  ASSERT_TRUE(words.ok()) << words.status();
  EXPECT_THAT(words->objects, ElementsAre("cat", "dog", "house"));

  Recipe recipe = RecipeOf(folder_);
  recipe.data[1].source = absl::StrCat("folder:images=", folder_ / "absent");
  EXPECT_THAT(std::string(TrainedVocabulary(recipe).status().message()), HasSubstr("absent"));
}

}  // namespace
}  // namespace semsam
