#include "model/data/json_records.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/model/data/data_test_util.h"

namespace semsam {
namespace {

using ::semsam::testing::ScratchFolder;
using ::semsam::testing::WriteText;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

struct Seen {
  absl::Status status;
  std::vector<std::string> records;  // "array[index] text"
  std::vector<std::string> again;    // texts, read from their place
};

Seen Walk(const std::string& text) {
  const ScratchFolder folder;
  WriteText(folder / "x.json", text);
  const auto file = JsonRecordFile::Open(folder / "x.json");
  Seen seen;
  seen.status = file.status();
  if (!file.ok()) return seen;
  seen.status = (*file)->ForEach([&](const JsonRecord& record) {
    seen.records.push_back(std::string(record.array) + "[" + std::to_string(record.index) + "] " +
                           std::string(record.text));
    seen.again.push_back((*file)->Read(record.place).value_or("unreadable"));
    return absl::OkStatus();
  });
  return seen;
}

TEST(JsonRecords, AreCutOutOfTheArraysOfTheOutermostObject) {
  const Seen seen = Walk(R"( {"info": {"a": [{"no": 1}]}, "n": 5, "text": "[{\"x\"",
    "one": [{"id": 1}, {"id": 2, "deep": [{"id": 3}], "s": "}]\\"}], "numbers": [1, [{"a": 1}]],
    "two": [ {} ] } )");
  ASSERT_TRUE(seen.status.ok()) << seen.status;
  EXPECT_THAT(
      seen.records,
      ElementsAre("one[0] {\"id\": 1}",
                  "one[1] {\"id\": 2, \"deep\": [{\"id\": 3}], \"s\": \"}]\\\\\"}", "two[0] {}"));
  EXPECT_THAT(
      seen.again,
      ElementsAre("{\"id\": 1}", "{\"id\": 2, \"deep\": [{\"id\": 3}], \"s\": \"}]\\\\\"}", "{}"));
}

TEST(JsonRecords, AcrossTheBlocksOfALargeFile) {
  std::string text = "{\"a\": [";
  const std::string padding(1000, 'x');
  for (int i = 0; i < 3000; ++i) {
    text += (i > 0 ? "," : "") + ("{\"image_id\": " + std::to_string(i)) + ", \"p\": \"" + padding +
            "\"}";
  }
  const Seen seen = Walk(text + "]}");
  ASSERT_TRUE(seen.status.ok()) << seen.status;
  ASSERT_EQ(seen.again.size(), 3000);
  for (int i = 0; i < 3000; ++i) EXPECT_EQ(FindInteger(seen.again[i], "image_id"), i);
}

TEST(JsonRecords, WhatIsNoSuchFileIsRefused) {
  for (const std::string text :
       {"", "[]", "7", "{", "{\"a\": [{]}", "{} {}", "{}]", "{\"a\": [{}"}) {
    const Seen seen = Walk(text);
    EXPECT_EQ(seen.status.code(), absl::StatusCode::kInvalidArgument) << text;
    EXPECT_THAT(std::string(seen.status.message()), HasSubstr("x.json: byte ")) << text;
  }
  EXPECT_FALSE(Walk("{\"a\": " + std::string(100, '[') + std::string(100, ']') + "}").status.ok());
  EXPECT_THAT(Walk("{}").records, IsEmpty());
  EXPECT_TRUE(Walk("{}").status.ok());
}

TEST(JsonRecords, IntegersAreFoundWithoutParsing) {
  EXPECT_EQ(FindInteger(R"({"a": {"id": 3}, "id": -42, "b": 1})", "id"), -42);
  EXPECT_EQ(FindInteger(R"({"x": "\"id\": 5", "id" : 7})", "id"), 7);
  EXPECT_EQ(FindInteger(R"({"id": 7.5})", "id"), std::nullopt);
  EXPECT_EQ(FindInteger(R"({"id": "7"})", "id"), std::nullopt);
  EXPECT_EQ(FindInteger(R"({"id": 99999999999999999999})", "id"), std::nullopt);
  EXPECT_EQ(FindInteger(R"({"ids": 7})", "id"), std::nullopt);
}

}  // namespace
}  // namespace semsam
