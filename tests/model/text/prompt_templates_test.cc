#include "model/text/prompt_templates.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <set>
#include <string>

namespace semsam {
namespace {

TEST(PromptTemplates, AreTheReferenceList) {
  std::ifstream file(SEMSAM_PARITY_DIR "/text/templates.txt");
  if (!file) GTEST_SKIP() << "no templates.txt";
  std::vector<std::string> expected;
  for (std::string line; std::getline(file, line);) expected.push_back(line);
  EXPECT_EQ(std::vector<std::string>(PromptTemplates().begin(), PromptTemplates().end()), expected);
}

TEST(PromptTemplates, EachHasOnePlaceForTheWord) {
  EXPECT_EQ(PromptTemplates().size(), 81u);
  EXPECT_EQ(std::set(PromptTemplates().begin(), PromptTemplates().end()).size(), 81u);
  for (const std::string_view phrase : PromptTemplates()) {
    EXPECT_EQ(phrase.find("{}"), phrase.rfind("{}")) << phrase;
  }
}

TEST(PromptTemplates, SuffixesOfClassNamesGo) {
  EXPECT_EQ(EnsemblePhrases("food-other-merged")[1], "a photo of a food.");
  EXPECT_EQ(EnsemblePhrases("mirror-stuff")[0], "mirror.");
  EXPECT_EQ(EnsemblePhrases("floor-wood")[0], "floor-wood.");
  EXPECT_EQ(EnsemblePhrases("Tree-Merged")[0], "Tree-Merged.");
  EXPECT_EQ(PlainTerm("wall-other-merged"), "wall");
  EXPECT_EQ(PlainTerm("t-shirt"), "t-shirt");
  // A word of braces is a word.
  EXPECT_EQ(EnsemblePhrases("{}")[1], "a photo of a {}.");
}

}  // namespace
}  // namespace semsam
