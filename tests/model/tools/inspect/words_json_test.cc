#include "model/tools/inspect/words_json.h"

#include <gtest/gtest.h>

#include <fstream>
#include <iterator>

#include "model/base/errors.h"

namespace semsam {
namespace {

TEST(WordsJson, ReadsEveryMember) {
  const auto words = ParseWords(R"({"classes": ["dog", "sky"], "things": [0], "parts": ["head"],
    "mode": "plain", "presets": {"mine": [0.1, 0.2, null], "other_2": [0, 1, 0.5]},
    "output": [30, 40], "queries": 7, "top_instances": 3, "mask_queries": [2, 0]})");
  ASSERT_TRUE(words.ok()) << words.status();
  EXPECT_EQ(words->classes, (std::vector<std::string>{"dog", "sky"}));
  EXPECT_EQ(words->is_thing, (std::vector<bool>{true, false}));
  EXPECT_EQ(words->parts, std::vector<std::string>{"head"});
  EXPECT_EQ(words->mode, TextMode::kPlain);
  ASSERT_EQ(words->presets.size(), 2u);
  EXPECT_EQ(words->presets[0].name, "mine");
  EXPECT_FLOAT_EQ(words->presets[0].object_threshold, 0.1f);
  EXPECT_FLOAT_EQ(words->presets[0].overlap_threshold, 0.2f);
  EXPECT_FALSE(words->presets[0].temperature.has_value());
  EXPECT_EQ(words->presets[1].temperature, 0.5f);
  EXPECT_EQ(words->output, (ImageSize{30, 40}));
  EXPECT_EQ(words->queries, 7);
  EXPECT_EQ(words->top_instances, 3);
  EXPECT_EQ(words->mask_queries, (std::vector<int64_t>{2, 0}));
}

TEST(WordsJson, TakesTheFileOfTheReferenceAsItIs) {
  std::ifstream file(SEMSAM_PARITY_DIR "/vocab/vocab_classes.json");
  if (!file) GTEST_SKIP() << "the numeric reference is not at " << SEMSAM_PARITY_DIR;
  const auto words =
      ParseWords({std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()});
  ASSERT_TRUE(words.ok()) << words.status();
  EXPECT_EQ(words->classes.size(), 12u);
  for (size_t i = 0; i < 12; ++i) EXPECT_EQ(words->is_thing[i], i < 6) << i;
  EXPECT_EQ(words->presets.size(), 5u);
  EXPECT_EQ(words->mode, TextMode::kEnsemble);
}

TEST(WordsJson, TakesAListOfNames) {
  for (const char* json : {R"(["dog", "sky"])", R"({"words": ["dog", "sky"]})"}) {
    const auto words = ParseWords(json);
    ASSERT_TRUE(words.ok()) << words.status();
    EXPECT_EQ(words->classes, (std::vector<std::string>{"dog", "sky"})) << json;
    EXPECT_EQ(words->is_thing, (std::vector<bool>{false, false})) << json;
  }
}

TEST(WordsJson, NamesTheMemberThatDoesNotFit) {
  const std::pair<const char*, const char*> cases[] = {
      {R"({})", "classes"},
      {R"({"classes": []})", "classes"},
      {R"({"names": "dog"})", "names"},
      {R"({"classes": ["a", 1]})", "classes[1]"},
      {R"({"classes": [""]})", "classes[0]"},
      {R"({"classes": ["a"], "things": [1]})", "things[0]"},
      {R"({"classes": ["a"], "things": [-1]})", "things[0]"},
      {R"({"classes": ["a"], "thing_contiguous_ids": [0.5]})", "thing_contiguous_ids[0]"},
      {R"({"classes": ["a"], "mode": "both"})", "mode"},
      {R"({"classes": ["a"], "parts": [null]})", "parts[0]"},
      {R"({"classes": ["a"], "presets": []})", "presets"},
      {R"({"classes": ["a"], "presets": {"../x": [0, 0, 1]}})", "presets.../x"},
      {R"({"classes": ["a"], "presets": {"p": [0, 0]}})", "presets.p"},
      {R"({"classes": ["a"], "presets": {"p": [2, 0, 1]}})", "presets.p[0]"},
      {R"({"classes": ["a"], "presets": {"p": [0, 0, 0]}})", "presets.p[2]"},
      {R"({"classes": ["a"], "output": [10]})", "output"},
      {R"({"classes": ["a"], "output": [10, 0]})", "output[1]"},
      {R"({"classes": ["a"], "queries": 0})", "queries"},
      {R"({"classes": ["a"], "queries": 18446744073709551615})", "queries"},
      {R"({"classes": ["a"], "top_instances": "many"})", "top_instances"},
      {R"({"classes": ["a"], "mask_queries": [-3]})", "mask_queries[0]"},
      {R"({"classes": ["a"], "word": 1})", "word"},
  };
  for (const auto& [json, field] : cases) {
    EXPECT_EQ(ErrorField(ParseWords(json).status()), field) << json;
  }
  EXPECT_FALSE(ParseWords("").ok());
  EXPECT_FALSE(ParseWords("[1]").ok());
}

}  // namespace
}  // namespace semsam
