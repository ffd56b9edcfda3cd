#include "model/weights/vocabulary_json.h"

#include <gtest/gtest.h>

#include "model/base/errors.h"
#include "model/weights/model_file.h"
#include "tests/model/weights/test_files.h"

namespace semsam {
namespace {

TEST(VocabularyJson, ComesBackAsItWas) {
  const ModelVocabulary words = {.objects = {"cat", "ch\xc3\xa8vre", "a \"b\""},
                                 .parts = {"head"},
                                 .mode = TextMode::kEnsemble};
  const auto text = VocabularyToJson(words);
  ASSERT_TRUE(text.ok()) << text.status();
  const auto read = VocabularyFromJson(*text);
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(*read, words);
}

TEST(VocabularyJson, ErrorsNameTheField) {
  struct Case {
    const char* text;
    const char* error;
  };
  const Case cases[] = {
      {"[]", "no JSON object"},
      {R"({"mode": "plain", "objects": []})", "parts"},
      {R"({"mode": "loud", "objects": [], "parts": []})", "mode"},
      {R"({"mode": "plain", "objects": ["a", 1], "parts": []})", "objects[1]"},
      {R"({"mode": "plain", "objects": ["a", "a"], "parts": []})", "objects[1]"},
      {R"({"mode": "plain", "objects": [], "parts": [""]})", "parts[0]"},
      {R"({"mode": "plain", "objects": {}, "parts": []})", "objects"},
      {R"({"mode": "plain", "objects": [], "parts": [], "stuff": []})", "stuff"},
  };
  for (const Case& test : cases) {
    EXPECT_TRUE(Contains(VocabularyFromJson(test.text).status(), test.error))
        << test.text << ": " << VocabularyFromJson(test.text).status();
  }
}

TEST(VocabularyJson, BoundsHoldInBothDirections) {
  ModelVocabulary words;
  for (size_t i = 0; i < kMaxVocabularyWords; ++i) words.objects.push_back(std::to_string(i));
  ASSERT_TRUE(VocabularyToJson(words).ok());
  words.objects.emplace_back("one more");
  EXPECT_TRUE(Contains(VocabularyToJson(words).status(), "objects"));
  EXPECT_TRUE(Contains(VocabularyToJson({.parts = {std::string(257, 'x')}}).status(), "parts[0]"));
  EXPECT_TRUE(Contains(VocabularyToJson({.parts = {"\xff"}}).status(), "UTF-8"));
}

TEST(VocabularyJson, AWeightFileCarriesIt) {
  const TempDir dir;
  const auto tiny = *ModelFile::Open("formula:swin-tiny");
  const ModelVocabulary words = {.objects = {"cat", "dog"}, .parts = {"head"}};
  EXPECT_TRUE(tiny->vocabulary().empty());
  const std::string path = dir.File("words.safetensors");
  ASSERT_TRUE(WriteModel(path, tiny->config(), tiny->weights(), {.vocabulary = words}).ok());
  const auto file = ModelFile::Open(path);
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_EQ((*file)->vocabulary(), words);
  EXPECT_EQ((*file)->digest(), tiny->digest()) << "words are no weights";
}

}  // namespace
}  // namespace semsam
