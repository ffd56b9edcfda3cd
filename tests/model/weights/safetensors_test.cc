#include "model/weights/safetensors.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <algorithm>
#include <csignal>
#include <random>

#include "model/weights/mapped_file.h"
#include "tests/model/weights/test_files.h"

namespace semsam {
namespace {

std::string File(const std::string& header, size_t data_bytes) {
  const uint64_t length = header.size();
  std::string text(reinterpret_cast<const char*>(&length), 8);
  return text + header + std::string(data_bytes, '\x01');
}

std::string Tensor(const std::string& name, const std::string& dtype, const std::string& shape,
                   const std::string& offsets) {
  return "\"" + name + "\":{\"dtype\":\"" + dtype + "\",\"shape\":" + shape +
         ",\"data_offsets\":" + offsets + "}";
}

TEST(Safetensors, WhatIsWrittenIsRead) {
  const TempDir dir;
  const std::vector<float> floats = {1, 2, 3, 4, 5, 6};
  const std::vector<uint16_t> halves = {0x3c00};
  const std::vector<int64_t> integers = {-1, 7};
  TensorView strided = ViewOf("transposed", DType::kFloat32, {3, 2}, floats);
  strided.strides = {1, 3};
  const std::vector<TensorView> tensors = {ViewOf("half", DType::kFloat16, {}, halves), strided,
                                           ViewOf("integers", DType::kInt64, {2}, integers),
                                           TensorView{.name = "empty", .shape = {0}},
                                           ViewOf("n\"ä\n", DType::kFloat32, {2, 3}, floats)};
  const Metadata metadata = {{"license", "MIT"}, {"text", "\"\n{}"}};
  const std::string path = dir.File("a.safetensors");
  ASSERT_TRUE(WriteSafetensors(path, tensors, metadata).ok());
  EXPECT_EQ(dir.Count(), 1u) << "no temporary file is left";

  const auto file = MappedFile::Open(path);
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_TRUE(LooksLikeSafetensors((*file)->bytes()));
  const auto parsed = ParseSafetensors((*file)->bytes());
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  EXPECT_EQ(parsed->metadata, metadata);
  ASSERT_EQ(parsed->tensors.size(), tensors.size());
  for (const TensorView& read : parsed->tensors) {
    const auto written = std::find_if(tensors.begin(), tensors.end(),
                                      [&](const TensorView& t) { return t.name == read.name; });
    ASSERT_NE(written, tensors.end()) << read.name;
    EXPECT_EQ(read.dtype, written->dtype);
    EXPECT_EQ(read.shape, written->shape);
    EXPECT_EQ(Floats(read), Floats(*written)) << read.name;
    EXPECT_EQ(reinterpret_cast<uintptr_t>(read.data.data()) % ItemBytes(read.dtype), 0u)
        << read.name << " is not aligned";
  }
}

TEST(Safetensors, HeaderLiesAreNamed) {
  const std::string ok = Tensor("a", "F32", "[2]", "[0,8]");
  ASSERT_TRUE(ParseSafetensors(BytesOf(File("{" + ok + "}", 8))).ok());
  ASSERT_TRUE(ParseSafetensors(BytesOf(File("{}  ", 0))).ok());
  const struct {
    std::string header;
    size_t data_bytes;
    const char* error;
  } cases[] = {
      {"{" + Tensor("a", "F32", "[2]", "[0,9]") + "}", 9, "needs 8 bytes, its offsets hold 9"},
      {"{" + Tensor("a", "F32", "[2]", "[0,8]") + "}", 7, "cut short"},
      {"{" + Tensor("a", "F32", "[2]", "[8,0]") + "}", 8, "ends before it begins"},
      {"{" + Tensor("a", "F32", "[2]", "[-8,0]") + "}", 8, "negative"},
      {"{" + Tensor("a", "F32", "[-2]", "[0,8]") + "}", 8, "negative"},
      {"{" + Tensor("a", "F32", "[2.0]", "[0,8]") + "}", 8, "whole number"},
      {"{" + Tensor("a", "F32", "[\"2\"]", "[0,8]") + "}", 8, "must not be a string"},
      {"{" + Tensor("a", "F32", "[[2]]", "[0,8]") + "}", 8, "must not be an array"},
      {"{" + Tensor("a", "F32", "{}", "[0,8]") + "}", 8, "too deep"},
      {"{" + Tensor("a", "F32", "null", "[0,8]") + "}", 8, "null"},
      {"{" + Tensor("a", "F32", "[4294967296,4294967296]", "[0,8]") + "}", 8, "too large"},
      {"{" + Tensor("a", "F32", "[9223372036854775807]", "[0,8]") + "}", 8, "too large"},
      {"{" + Tensor("a", "F32", "[18446744073709551615]", "[0,8]") + "}", 8, "too large"},
      {"{" + Tensor("a", "F32", "[99999999999999999999999]", "[0,8]") + "}", 8, "whole number"},
      {"{" + Tensor("a", "F32", "[2]", "[0,8,8]") + "}", 8, "two numbers"},
      {"{" + Tensor("a", "F8_E4M3", "[8]", "[0,8]") + "}", 8, "F8_E4M3, which is not supported"},
      {"{" + ok + "," + Tensor("b", "F32", "[2]", "[4,12]") + "}", 12, "overlaps"},
      {"{" + ok + "," + Tensor("b", "F32", "[2]", "[0,8]") + "}", 8, "overlaps"},
      {"{" + ok + "," + Tensor("b", "F32", "[1]", "[12,16]") + "}", 16, "a gap before tensor b"},
      {"{" + ok + "}", 12, "4 bytes after the last tensor"},
      {"{" + ok + "," + ok + "}", 8, "\"a\" appears twice"},
      {"{\"a\":{\"dtype\":\"F32\",\"dtype\":\"F32\"}}", 0, "field \"dtype\" appears twice"},
      {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2]}}", 8, "needs dtype, shape and data_offsets"},
      {"{\"a\":{\"color\":1}}", 0, "field \"color\" is not a field"},
      {"{\"a\":1}", 0, "must not be a number"},
      {"{\"a\":[1]}", 0, "must not be an array"},
      {"{\"__metadata__\":{\"a\":1}}", 0, "must not be a number"},
      {"{\"__metadata__\":{\"a\":{}}}", 0, "too deep"},
      {"[]", 0, "does not start with {"},
      {"{", 0, "no JSON"},
      {"{} {}", 0, "no JSON"},
      {"{\"\xff\":1}", 0, "no JSON"},
      {"{" + std::string(100'000, '['), 0, "no JSON"},
  };
  for (const auto& test : cases) {
    const auto parsed = ParseSafetensors(BytesOf(File(test.header, test.data_bytes)));
    EXPECT_EQ(parsed.status().code(), absl::StatusCode::kInvalidArgument) << test.header;
    EXPECT_TRUE(Contains(parsed.status(), test.error))
        << test.header.substr(0, 200) << ": " << parsed.status();
  }
}

TEST(Safetensors, HeaderLengthsBeyondTheFileAreErrors) {
  const std::string good = File("{}", 0);
  const std::pair<uint64_t, const char*> cases[] = {
      {3, "cut short"},          {100'000'001, "at most 100000000"},
      {~uint64_t{0}, "at most"}, {uint64_t{1} << 63, "at most"},
      {0, "does not start"},     {1, "no JSON"}};
  for (const auto& [length, error] : cases) {
    std::string bad = good;
    std::memcpy(bad.data(), &length, 8);
    EXPECT_TRUE(Contains(ParseSafetensors(BytesOf(bad)).status(), error)) << length;
  }
}

TEST(Safetensors, EveryShorterFileIsAnErrorAndFlipsDoNotCrash) {
  const std::string whole =
      File("{" + Tensor("a", "F32", "[2]", "[0,8]") + "," + Tensor("b", "BOOL", "[3]", "[8,11]") +
               ",\"__metadata__\":{\"k\":\"v\"}}",
           11);
  ASSERT_TRUE(ParseSafetensors(BytesOf(whole)).ok());
  for (size_t length = 0; length < whole.size(); ++length) {
    const std::string cut = whole.substr(0, length);
    EXPECT_FALSE(ParseSafetensors(BytesOf(cut)).ok()) << length;
  }
  std::mt19937 random(3);
  int refused = 0;
  for (int round = 0; round < 20'000; ++round) {
    std::string flipped = whole;
    flipped[random() % whole.size()] = static_cast<char>(random());
    const auto parsed = ParseSafetensors(BytesOf(flipped));
    if (!parsed.ok()) ++refused;
    if (parsed.ok()) {
      for (const TensorView& tensor : parsed->tensors) Floats(tensor);
    }
  }
  EXPECT_GT(refused, 10'000);
}

TEST(Safetensors, ManyTinyEntriesAreBounded) {
  std::string header = "{\"__metadata__\":{";
  for (int i = 0; i < 150'000; ++i)
    header.append("\"").append(std::to_string(i)).append("\":\"\",");
  header.back() = '}';
  EXPECT_TRUE(Contains(ParseSafetensors(BytesOf(File(header + "}", 0))).status(), "too many"));
}

TEST(WriteSafetensors, RefusesWhatCannotBeReadBack) {
  const TempDir dir;
  const std::string path = dir.File("a.safetensors");
  const std::vector<float> values = {1, 2};
  const TensorView good = ViewOf("a", DType::kFloat32, {2}, values);
  TensorView reserved = good, short_data = good, no_text = good;
  reserved.name = "__metadata__";
  short_data.shape = {3};
  no_text.name = "\xff";
  EXPECT_FALSE(WriteSafetensors(path, {{good, good}}, {}).ok());
  EXPECT_FALSE(WriteSafetensors(path, {{reserved}}, {}).ok());
  EXPECT_FALSE(WriteSafetensors(path, {{short_data}}, {}).ok());
  EXPECT_FALSE(WriteSafetensors(path, {{no_text}}, {}).ok());
  EXPECT_FALSE(WriteSafetensors(path, {{good}}, {{"k", "\xff"}}).ok());
  EXPECT_EQ(dir.Count(), 0u);
}

TEST(WriteSafetensors, AFailedWriteLeavesTheOldFileAndNoOther) {
  const TempDir dir;
  const std::string path = dir.File("a.safetensors");
  const std::vector<float> small = {1};
  ASSERT_TRUE(WriteSafetensors(path, {{ViewOf("a", DType::kFloat32, {1}, small)}}, {}).ok());
  const std::string before = ReadText(path);

  // A limit on the size of files stands in for a full disk.
  const std::vector<float> large(1 << 20);
  rlimit old_limit = {};
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &old_limit), 0);
  const auto old_handler = std::signal(SIGXFSZ, SIG_IGN);
  const rlimit limit = {.rlim_cur = 1 << 20, .rlim_max = old_limit.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &limit), 0);
  const absl::Status status =
      WriteSafetensors(path, {{ViewOf("a", DType::kFloat32, {1 << 20}, large)}}, {});
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &old_limit), 0);
  std::signal(SIGXFSZ, old_handler);

  EXPECT_FALSE(status.ok());
  EXPECT_TRUE(Contains(status, path)) << status;
  EXPECT_TRUE(Contains(status, "File too large")) << status;
  EXPECT_EQ(ReadText(path), before);
  EXPECT_EQ(dir.Count(), 1u);
}

TEST(WriteSafetensors, AMissingFolderIsNamed) {
  const absl::Status status = WriteSafetensors("/nonexistent/folder/a.safetensors", {}, {});
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_TRUE(Contains(status, "/nonexistent/folder/a.safetensors"));
}

TEST(MappedFile, RefusesWhatIsNoRegularFile) {
  const TempDir dir;
  EXPECT_EQ(MappedFile::Open(dir.File("none")).status().code(), absl::StatusCode::kNotFound);
  EXPECT_TRUE(Contains(MappedFile::Open(dir.File("")).status(), "not a regular file"));
  const std::string pipe = dir.File("pipe");
  ASSERT_EQ(mkfifo(pipe.c_str(), 0600), 0);
  EXPECT_TRUE(Contains(MappedFile::Open(pipe).status(), "not a regular file"));
  WriteText(dir.File("empty"), "");
  const auto empty = MappedFile::Open(dir.File("empty"));
  ASSERT_TRUE(empty.ok());
  EXPECT_TRUE((*empty)->bytes().empty());
}

}  // namespace
}  // namespace semsam
