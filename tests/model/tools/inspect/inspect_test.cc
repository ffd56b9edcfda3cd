#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "model/tools/inspect/convert_command.h"
#include "model/tools/inspect/show_command.h"
#include "model/tools/inspect/tokens_command.h"
#include "model/tools/program/command.h"
#include "model/weights/model_file.h"
#include "nlohmann/json.hpp"
#include "tests/model/weights/test_files.h"

namespace semsam {
namespace {

struct Result {
  int code = 0;
  std::string out;
  std::string err;
};

Result Inspect(const std::vector<std::string>& arguments) {
  const Command commands[] = {ShowCommand(), ConvertCommand(), TokensCommand()};
  std::ostringstream out, err;
  Result result;
  result.code = RunProgram("semsam-inspect", commands, arguments, out, err);
  result.out = out.str();
  result.err = err.str();
  return result;
}

bool Has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

TEST(Inspect, HelpGoesToStandardOutput) {
  for (const std::vector<std::string>& arguments :
       std::vector<std::vector<std::string>>{{"--help"}, {"help"}, {"-h"}}) {
    const Result result = Inspect(arguments);
    EXPECT_EQ(result.code, 0);
    EXPECT_TRUE(Has(result.out, "convert")) << result.out;
    EXPECT_EQ(result.err, "");
  }
  const Result convert = Inspect({"convert", "--help"});
  EXPECT_EQ(convert.code, 0);
  EXPECT_TRUE(Has(convert.out, "--dtype T")) << convert.out;
}

TEST(Inspect, WrongCommandLinesEndWithTwoAndSayWhy) {
  const std::pair<std::vector<std::string>, const char*> cases[] = {
      {{}, "Usage"},
      {{"paint"}, "unknown command paint"},
      {{"show"}, "--weights is missing"},
      {{"show", "--weights"}, "--weights needs a value"},
      {{"show", "--wights=x"}, "unknown argument --wights"},
      {{"show", "x"}, "unknown argument x"},
      {{"show", "--weights=a", "--weights=b"}, "--weights is given twice"},
      {{"show", "--weights=a", "--json=1"}, "--json takes no value"},
      {{"convert", "--weights=formula:swin-tiny"}, "--out is missing"},
      {{"convert", "--weights=formula:swin-tiny", "--out=x", "--dtype=int8"},
       "--dtype must be fp32, fp16 or bf16"},
  };
  for (const auto& [arguments, error] : cases) {
    const Result result = Inspect(arguments);
    EXPECT_EQ(result.code, 2) << error;
    EXPECT_TRUE(Has(result.err, error)) << result.err;
    EXPECT_EQ(result.out, "");
  }
}

TEST(Inspect, FilesThatCannotBeReadEndWithOne) {
  const Result result = Inspect({"show", "--weights", "/nonexistent/x.pth"});
  EXPECT_EQ(result.code, 1);
  EXPECT_TRUE(Has(result.err, "cannot open /nonexistent/x.pth")) << result.err;
  EXPECT_FALSE(Has(result.err, "Usage"));
}

TEST(Inspect, AnOutputThatCannotBeWrittenEndsWithOne) {
  std::ostringstream out, err;
  out.setstate(std::ios::badbit);
  const Command commands[] = {ShowCommand()};
  EXPECT_EQ(
      RunProgram("semsam-inspect", commands, {{"show", "--weights=formula:swin-tiny"}}, out, err),
      1);
  EXPECT_TRUE(Has(err.str(), "cannot write the output"));
}

TEST(Show, ListsConfigurationTensorsAndDigest) {
  const auto file = ModelFile::Open("formula:swin-tiny");
  ASSERT_TRUE(file.ok()) << file.status();
  const Result result = Inspect({"show", "--weights=formula:swin-tiny"});
  EXPECT_EQ(result.code, 0) << result.err;
  for (const std::string& part :
       {std::string("semantic-sam-swin-tiny"), std::string("no: the weights come from a formula"),
        std::string("backbone.norm0.weight"), std::string("[16,3,4,4]"), (*file)->digest(),
        std::to_string((*file)->weights().parameters())}) {
    EXPECT_TRUE(Has(result.out, part)) << part << "\n" << result.out;
  }
}

TEST(Show, JsonCanBeParsedAndIsComplete) {
  const auto file = ModelFile::Open("formula:swin-tiny");
  const Result result = Inspect({"show", "--weights=formula:swin-tiny", "--json", "--verify"});
  EXPECT_EQ(result.code, 0) << result.err;
  const auto json = nlohmann::json::parse(result.out, nullptr, false);
  ASSERT_TRUE(json.is_object()) << result.out;
  EXPECT_EQ(json["config"]["backbone"]["embed_dim"], 16);
  EXPECT_EQ(json["tensors"].size(), (*file)->weights().size());
  EXPECT_EQ(json["digest"], (*file)->digest());
  EXPECT_EQ(json["digest_verified"], true);
  EXPECT_EQ(json["trained"], false);
}

TEST(Convert, KeepsTheDigestAndCarriesLicenceAndSource) {
  const TempDir dir;
  const std::string first = dir.File("first.safetensors");
  const std::string second = dir.File("second.safetensors");
  const Result made = Inspect({"convert", "--weights=formula:swin-tiny", "--out", first,
                               "--license=CC0-1.0", "--source=a formula"});
  ASSERT_EQ(made.code, 0) << made.err;
  ASSERT_EQ(Inspect({"convert", "--weights", first, "--out", second}).code, 0);
  const auto formula = ModelFile::Open("formula:swin-tiny");
  const auto file = ModelFile::Open(second);
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_EQ((*file)->digest(), (*formula)->digest());
  EXPECT_EQ((*file)->metadata().at(kLicenseKey), "CC0-1.0");
  EXPECT_EQ((*file)->metadata().at(kSourceKey), "a formula");
  EXPECT_TRUE(Has(Inspect({"show", "--weights", second}).out, "CC0-1.0"));
}

TEST(Convert, KeepsTheWordsOfTheModel) {
  const TempDir dir;
  const std::string first = dir.File("first.safetensors");
  const std::string second = dir.File("second.safetensors");
  const auto tiny = *ModelFile::Open("formula:swin-tiny");
  const ModelVocabulary words = {.objects = {"cat", "dog"}, .parts = {"head"}};
  ASSERT_TRUE(WriteModel(first, tiny->config(), tiny->weights(), {.vocabulary = words}).ok());
  ASSERT_EQ(Inspect({"convert", "--weights", first, "--out", second, "--dtype=fp16"}).code, 0);
  EXPECT_EQ((*ModelFile::Open(second))->vocabulary(), words);
  EXPECT_TRUE(Has(Inspect({"show", "--weights", second}).out, "2 names of objects, 1 of parts"));
}

TEST(Convert, NarrowsOnRequest) {
  const TempDir dir;
  const std::string path = dir.File("half.safetensors");
  ASSERT_EQ(Inspect({"convert", "--weights=formula:swin-tiny", "--out", path, "--dtype=fp16"}).code,
            0);
  EXPECT_TRUE(Has(Inspect({"show", "--weights", path}).out, "float16"));
}

TEST(Show, VerifyFindsAChangedWeight) {
  const TempDir dir;
  const std::string path = dir.File("a.safetensors");
  ASSERT_EQ(Inspect({"convert", "--weights=formula:swin-tiny", "--out", path}).code, 0);
  EXPECT_EQ(Inspect({"show", "--weights", path, "--verify"}).code, 0);
  std::string text = ReadText(path);
  text.back() = static_cast<char>(text.back() ^ 1);
  WriteText(path, text);
  EXPECT_EQ(Inspect({"show", "--weights", path}).code, 0);
  const Result result = Inspect({"show", "--weights", path, "--verify"});
  EXPECT_EQ(result.code, 1);
  EXPECT_TRUE(Has(result.err, "the tensors have the digest")) << result.err;
}

TEST(Tokens, ShowsCleanedTextAndIds) {
  const std::string path = ::testing::TempDir() + "tokens.txt";
  std::ofstream(path) << "A Photo of a CAT\r\n\n&amp;";
  const Result result = Inspect({"tokens", "--texts", path});
  EXPECT_EQ(result.code, 0) << result.err;
  EXPECT_EQ(result.out,
            "{\"cleaned\":\"a photo of a cat\",\"ids\":[320,1125,539,320,2368]}\n"
            "{\"cleaned\":\"\",\"ids\":[]}\n"
            "{\"cleaned\":\"&\",\"ids\":[261]}\n");
}

TEST(Tokens, ContextFramesAndPads) {
  const std::string path = ::testing::TempDir() + "tokens_hex.txt";
  std::ofstream(path) << "636174\n";
  const Result result = Inspect({"tokens", "--hex", "--context=5", "--texts", path});
  EXPECT_EQ(result.out, "{\"cleaned\":\"cat\",\"ids\":[49406,2368,49407,49407,49407]}\n");
}

TEST(Tokens, BadLinesAndOptionsAreNamed) {
  const std::string path = ::testing::TempDir() + "tokens_bad.txt";
  std::ofstream(path) << "636174\nff\n";
  EXPECT_TRUE(Has(Inspect({"tokens", "--hex", "--texts", path}).err, "line 2: text: is not UTF-8"));
  std::ofstream(path) << "636\n";
  EXPECT_TRUE(Has(Inspect({"tokens", "--hex", "--texts", path}).err, "line 1: not hex"));
  EXPECT_EQ(Inspect({"tokens", "--texts", path, "--context", "1"}).code, 2);
  EXPECT_EQ(Inspect({"tokens", "--texts", path, "--context", "x"}).code, 2);
  EXPECT_EQ(Inspect({"tokens", "--texts", "/nonexistent"}).code, 1);
}

}  // namespace
}  // namespace semsam
