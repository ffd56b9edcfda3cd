#include "model/text/tokenizer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "model/base/errors.h"
#include "model/text/embedded.h"
#include "model/text/gzip.h"

namespace semsam {
namespace {

using ::testing::ElementsAre;
using Ids = std::vector<int32_t>;

const Tokenizer& TheTokenizer() {
  static const auto& tokenizer = *new Tokenizer(*Tokenizer::Create());
  return tokenizer;
}

Ids Encode(std::string_view text) { return TheTokenizer().Encode(text).value_or(Ids{-1}); }

Ids Encode(std::string_view text, int context) {
  return TheTokenizer().Encode(text, context).value_or(Ids{-1});
}

Ids Padded(std::string_view text, int context) {
  Ids ids = Encode(text, context);
  ids.resize(static_cast<size_t>(context), Tokenizer::kEnd);
  return ids;
}

std::filesystem::path Reference(const char* name) {
  return std::filesystem::path(SEMSAM_PARITY_DIR) / "text" / name;
}

Ids ReadIds(const std::string& text) {
  Ids ids;
  std::istringstream stream(text);
  for (int32_t id = 0; stream >> id;) ids.push_back(id);
  return ids;  // "-": none
}

std::string FromHex(const std::string& hex) {
  std::string bytes;
  for (size_t i = 0; i + 1 < hex.size(); i += 2) {
    bytes.push_back(static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16)));
  }
  return bytes;
}

// All 70 rows; none is left out.
TEST(Tokenizer, EveryRowOfTheReferenceTable) {
  if (!std::filesystem::exists(Reference("tokens.tsv"))) GTEST_SKIP() << "no tokens.tsv";
  std::ifstream table(Reference("tokens.tsv"));
  std::string line;
  std::getline(table, line);
  int rows = 0;
  for (; std::getline(table, line); ++rows) {
    std::vector<std::string> fields(5);
    std::istringstream stream(line);
    for (std::string& field : fields) std::getline(stream, field, '\t');
    const std::string text = FromHex(fields[0]);
    EXPECT_EQ(Encode(text), ReadIds(fields[2])) << text;
    EXPECT_EQ(Padded(text, 18), ReadIds(fields[4])) << text;
  }
  EXPECT_EQ(rows, 70);
}

TEST(Tokenizer, EveryReferenceRowAtContext77) {
  if (!std::filesystem::exists(Reference("tokens.json"))) GTEST_SKIP() << "no tokens.json";
  const nlohmann::json rows =
      nlohmann::json::parse(std::ifstream(Reference("tokens.json")))["rows"];
  ASSERT_EQ(rows.size(), 70u);
  for (const nlohmann::json& row : rows) {
    EXPECT_EQ(Padded(row["text"].get<std::string>(), 77), row["ids77"].get<Ids>()) << row["text"];
    EXPECT_EQ(Padded(row["text"].get<std::string>(), 18), row["ids18"].get<Ids>()) << row["text"];
  }
}

TEST(Tokenizer, KnownTextsWithoutTheReference) {
  EXPECT_THAT(Encode("a photo of a cat"), ElementsAre(320, 1125, 539, 320, 2368));
  EXPECT_THAT(Encode("  \n"), ElementsAre());
  EXPECT_THAT(Encode("x 2a"), ElementsAre(343, 273, 320));
  EXPECT_THAT(Encode("a<|endoftext|>"), ElementsAre(320, Tokenizer::kEnd));
}

TEST(Tokenizer, PeculiaritiesOfThePublishedPattern) {
  EXPECT_EQ(Encode("a\u0345b"), Encode("a b"));        // iota below is passed over
  EXPECT_EQ(Encode("'\u017Fa"), Encode("'\u017F a"));  // long s is an s
}

TEST(Tokenizer, TruncationKeepsTheEndLast) {
  EXPECT_THAT(Encode("cat cat cat", 4),
              ElementsAre(Tokenizer::kStart, 2368, 2368, Tokenizer::kEnd));
  EXPECT_THAT(Encode("cat", 2), ElementsAre(Tokenizer::kStart, Tokenizer::kEnd));
  EXPECT_THAT(Encode("", 18), ElementsAre(Tokenizer::kStart, Tokenizer::kEnd));
  EXPECT_EQ(TheTokenizer().Encode("cat", 1).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(Tokenizer, TextThatIsNotUtf8IsRefused) {
  const absl::StatusOr<Ids> ids = TheTokenizer().Encode("caf\xE9");
  EXPECT_EQ(ids.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(ErrorField(ids.status()), "text");
}

// A word of megabytes: quadratic merging would take hours.
TEST(Tokenizer, LongWordsTakeLittleTime) {
  EXPECT_EQ(Encode(std::string(1 << 20, 'a')).size(), (size_t{1} << 17) + 1);  // eight together
  std::string word;
  for (int64_t i = 0; i < 300000; ++i) word.push_back(static_cast<char>('a' + i * 7919 % 26));
  EXPECT_GT(Encode(word).size(), 50000u);
}

TEST(BytePairs, PairsJoinByRankThenFromTheLeft) {
  const auto pairs = BytePairs::Parse("heading\na a\nb a</w>\naa a\n", 3);
  ASSERT_TRUE(pairs.ok()) << pairs.status();
  const auto encode = [&](std::string_view word) {
    Ids ids;
    pairs->Encode(word, ids);
    return ids;
  };
  constexpr int32_t kA = 'a' - 0x21, kEndA = kA + 256;
  EXPECT_THAT(encode("aaaa"), ElementsAre(514, kEndA));
  EXPECT_THAT(encode("aaba"), ElementsAre(512, 513));
  EXPECT_THAT(encode("a"), ElementsAre(kEndA));
  EXPECT_THAT(encode(""), ElementsAre());
  EXPECT_THAT(encode(std::string_view("\0", 1)), ElementsAre(188 + 256));
}

TEST(BytePairs, DamagedVocabulariesAreRefused) {
  for (const std::string_view text :
       {"", "heading", "heading\n", "heading\nab\n", "heading\nxy z\n"}) {
    EXPECT_EQ(BytePairs::Parse(text, 1).status().code(), absl::StatusCode::kDataLoss) << text;
  }
}

TEST(Gzip, OnlyWholeFilesWithinTheLimit) {
  const std::string_view packed = EmbeddedClipVocabulary();
  EXPECT_TRUE(Gunzip(packed, 16 << 20).ok());
  EXPECT_EQ(Gunzip(packed, 1 << 20).status().code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(Gunzip(packed.substr(0, packed.size() - 1), 16 << 20).status().code(),
            absl::StatusCode::kDataLoss);
  EXPECT_EQ(Gunzip("no gzip", 100).status().code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(Gunzip(packed, 0).status().code(), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace semsam
