#include "model/data/mat_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "tests/model/data/data_test_util.h"

namespace semsam {
namespace {

using ::semsam::testing::Fixture;
using ::semsam::testing::ReadText;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string Word(uint32_t value) { return {reinterpret_cast<const char*>(&value), 4}; }

std::string Element(uint32_t type, std::string data) {
  const std::string tag = Word(type) + Word(static_cast<uint32_t>(data.size()));
  data.resize((data.size() + 7) / 8 * 8);
  return tag + data;
}

std::string Header() {
  std::string header(128, ' ');
  header.replace(124, 4, std::string("\0\1IM", 4));
  return header;
}

// A variable of doubles with the shape `rows` x `columns`.
std::string Doubles(const std::string& name, uint32_t rows, uint32_t columns,
                    const std::vector<double>& values) {
  const std::string data(reinterpret_cast<const char*>(values.data()), 8 * values.size());
  return Element(14, Element(6, Word(6) + Word(0)) + Element(5, Word(rows) + Word(columns)) +
                         Element(1, name) + Element(9, data));
}

TEST(MatFile, ReadsStructuresOfACompressedFile) {
  const auto file =
      MatFile::Parse(ReadText(Fixture("pascal_part/Annotations_Part/2008_000003.mat")));
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_EQ(file->variable("other"), nullptr);
  const MatArray* anno = file->variable("anno");
  ASSERT_NE(anno, nullptr);
  EXPECT_THAT(anno->fields, ElementsAre("imname", "objects"));
  EXPECT_EQ(anno->field(0, "imname")->text(), "2008_000003");
  const MatArray* objects = anno->field(0, "objects");
  EXPECT_THAT(objects->shape, ElementsAre(1, 3));
  EXPECT_EQ(objects->field(1, "class")->text(), "diningtable");
  EXPECT_EQ(objects->field(1, "class_ind")->number(0), 11.0);
  EXPECT_EQ(objects->field(3, "class"), nullptr);
  EXPECT_EQ(objects->field(0, "colour"), nullptr);
  const MatArray* mask = objects->field(0, "parts")->field(0, "mask");
  EXPECT_THAT(mask->shape, ElementsAre(12, 16));
  EXPECT_EQ(mask->number(12 * 2 + 1), 1.0);  // column 2, row 1
  EXPECT_EQ(mask->number(12 * 1 + 2), 0.0);
}

TEST(MatFile, ReadsNumbersThatAreNotCompressed) {
  const auto file = MatFile::Parse(Header() + Doubles("x", 1, 3, {1.5, -2, 1e9}));
  ASSERT_TRUE(file.ok()) << file.status();
  const MatArray* x = file->variable("x");
  ASSERT_NE(x, nullptr);
  ASSERT_EQ(x->size(), 3);
  EXPECT_EQ(x->number(0), 1.5);
  EXPECT_EQ(x->number(1), -2);
  EXPECT_EQ(x->number(2), 1e9);
}

TEST(MatFile, SizesThatAreNotThereAreRefused) {
  const auto message = [](const std::string& body) {
    return std::string(MatFile::Parse(Header() + body).status().message());
  };
  EXPECT_THAT(message(Doubles("x", 2, 3, {1, 2, 3})), HasSubstr("cut short"));
  EXPECT_THAT(message(Doubles("x", 0x7FFFFFFF, 0x7FFFFFFF, {1})), HasSubstr("too many elements"));
  EXPECT_THAT(message(Doubles("x", 0xFFFFFFFF, 1, {1})), HasSubstr("negative dimension"));
  EXPECT_THAT(message(Word(14) + Word(4000)), HasSubstr("cut short"));
  EXPECT_THAT(message(Element(15, "no zlib stream")), HasSubstr("compressed data are broken"));
  std::string nested = "";
  for (int i = 0; i < 40; ++i) {  // cells in cells
    nested = Element(14, Element(6, Word(1) + Word(0)) + Element(5, Word(1) + Word(1)) +
                             Element(1, "") + (nested.empty() ? Element(14, "") : nested));
  }
  EXPECT_THAT(message(nested), HasSubstr("nested too deep"));
  EXPECT_FALSE(MatFile::Parse("").ok());
}

}  // namespace
}  // namespace semsam
