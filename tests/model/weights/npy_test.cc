#include "model/weights/npy.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "tests/model/weights/test_files.h"

namespace semsam {
namespace {

std::string Npy(const std::string& header, const std::string& data) {
  std::string text("\x93NUMPY\x01\0", 8);
  text += static_cast<char>(header.size() & 0xff);
  text += static_cast<char>(header.size() >> 8);
  return text + header + data;
}

TEST(Npy, WhatIsWrittenIsRead) {
  const TempDir dir;
  const std::string path = dir.File("a.npy");
  const std::vector<int64_t> integers = {1, -2, 3};
  const std::vector<uint8_t> bytes = {0, 1, 1, 0};
  const std::vector<float> floats = {1.5f, 2, 3, 4, 5, 6};
  const std::vector<float> one = {7};
  const TensorView tensors[] = {
      ViewOf("", DType::kInt64, {3}, integers), ViewOf("", DType::kUInt8, {2, 2}, bytes),
      ViewOf("", DType::kBool, {4, 1}, bytes),  ViewOf("", DType::kFloat32, {2, 3}, floats),
      ViewOf("", DType::kFloat32, {}, one),     TensorView{.name = "", .shape = {0, 5}}};
  for (const TensorView& tensor : tensors) {
    ASSERT_TRUE(WriteNpy(path, tensor).ok());
    const auto array = ReadNpy(path);
    ASSERT_TRUE(array.ok()) << array.status();
    EXPECT_EQ(array->dtype, tensor.dtype);
    EXPECT_EQ(array->shape, tensor.shape);
    ASSERT_EQ(array->data.size(), tensor.data.size());
    EXPECT_TRUE(std::equal(array->data.begin(), array->data.end(), tensor.data.begin()));
  }
  ASSERT_TRUE(WriteNpy(path, {{2, 3}}, floats).ok());
  const auto array = ReadNpy(path);
  ASSERT_TRUE(array.ok()) << array.status();
  EXPECT_TRUE(std::equal(floats.begin(), floats.end(), array->values<float>().begin()));
}

TEST(Npy, HeaderIsWhatNumPyWrites) {
  const TempDir dir;
  const std::string path = dir.File("a.npy");
  const auto header_of = [&](std::vector<int64_t> shape, size_t count) {
    EXPECT_TRUE(WriteNpy(path, shape, std::vector<float>(count)).ok());
    const std::string text = ReadText(path);
    const size_t end = text.find('\n') + 1;
    EXPECT_EQ(end % 64, 0u);
    EXPECT_EQ(text.size(), end + 4 * count);
    return text.substr(10, text.find('}') - 9);
  };
  EXPECT_EQ(header_of({2, 3}, 6), "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }");
  EXPECT_EQ(header_of({3}, 3), "{'descr': '<f4', 'fortran_order': False, 'shape': (3,), }");
  EXPECT_EQ(header_of({}, 1), "{'descr': '<f4', 'fortran_order': False, 'shape': (), }");
}

TEST(Npy, GoldensAreRead) {
  SEMSAM_SKIP_WITHOUT_PARITY();
  const auto points = ReadNpy(ParityPath("crit/points.npy"));
  ASSERT_TRUE(points.ok()) << points.status();
  EXPECT_EQ(points->shape, (std::vector<int64_t>{4, 4}));
  EXPECT_EQ(points->values<float>().size(), 16u);
  const auto masks = ReadNpy(ParityPath("crit/gt_masks.npy"));
  ASSERT_TRUE(masks.ok()) << masks.status();
  EXPECT_EQ(masks->dtype, DType::kUInt8);
  EXPECT_EQ(masks->shape, (std::vector<int64_t>{7, 224, 224}));
}

TEST(Npy, DamagedFilesAreErrors) {
  const std::string header = "{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }\n";
  const std::string good = Npy(header, std::string(8, '\0'));
  ASSERT_TRUE(ParseNpy(BytesOf(good)).ok());
  for (size_t length = 0; length < good.size(); ++length) {
    const std::string cut = good.substr(0, length);
    EXPECT_FALSE(ParseNpy(BytesOf(cut)).ok()) << length;
  }
  const std::pair<std::string, const char*> cases[] = {
      {"{'descr': '<f4', 'fortran_order': True, 'shape': (2,), }", "Fortran"},
      {"{'descr': '>f4', 'fortran_order': False, 'shape': (2,), }", "type >f4"},
      {"{'descr': '|O', 'fortran_order': False, 'shape': (2,), }", "type |O"},
      {"{'descr': '<f4', 'fortran_order': False, 'shape': (3,), }", "needs 12 bytes"},
      {"{'descr': '<f4', 'fortran_order': False, 'shape': (1,), }", "needs 4 bytes"},
      {"{'descr': '<f4', 'fortran_order': False, 'shape': (-2,), }", "damaged"},
      {"{'descr': '<f4', 'fortran_order': False, 'shape': (9999999999999999999,), }", "too large"},
      {"{'descr': '<f4', 'fortran_order': False, 'shape': (999999999999, 999999999999), }",
       "too large"},
      {"{'descr': '<f4', 'fortran_order': False, }", "damaged"},
      {"{'descr': '<f4', 'fortran_order': None, 'shape': (2,), }", "damaged"},
      {"{'descr': '<f4', 'fortran_order': False, 'shape': (2,), 'x': 1}", "damaged"},
      {"{'descr': '<f4', 'fortran_order': False, 'shape': (2,), } x", "damaged"},
  };
  for (const auto& [text, error] : cases) {
    const auto array = ParseNpy(BytesOf(Npy(text, std::string(8, '\0'))));
    EXPECT_TRUE(Contains(array.status(), error)) << text << ": " << array.status();
  }
  std::string version2 = good;
  version2[6] = 2;
  EXPECT_TRUE(Contains(ParseNpy(BytesOf(version2)).status(), "version 1.0"));
}

TEST(WriteNpy, HasNoBFloat16) {
  const TempDir dir;
  EXPECT_FALSE(
      WriteNpy(dir.File("a.npy"), {.name = "a", .dtype = DType::kBFloat16, .shape = {0}}).ok());
  EXPECT_EQ(dir.Count(), 0u);
}

}  // namespace
}  // namespace semsam
