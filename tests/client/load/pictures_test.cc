#include "client/load/pictures.h"

#include <gtest/gtest.h>
#include <unistd.h>
#include <zlib.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <set>

#include "absl/strings/str_cat.h"
#include "model/base/errors.h"

namespace semsam::load {
namespace {

uint32_t BigEndian(const std::string& bytes, size_t at) {
  uint32_t value = 0;
  for (size_t i = 0; i < 4; ++i) value = value << 8 | static_cast<uint8_t>(bytes.at(at + i));
  return value;
}

// The chunks of a PNG by their type, after their checksums were compared.
std::map<std::string, std::string> ReadPng(const std::string& png) {
  std::map<std::string, std::string> chunks;
  EXPECT_EQ(png.substr(0, 8), "\x89PNG\r\n\x1a\n");
  for (size_t at = 8; at < png.size();) {
    const uint32_t size = BigEndian(png, at);
    const std::string checked = png.substr(at + 4, size + 4);
    EXPECT_EQ(BigEndian(png, at + 8 + size),
              crc32(0, reinterpret_cast<const Bytef*>(checked.data()), checked.size()));
    chunks[checked.substr(0, 4)] = checked.substr(4);
    at += 12 + size;
  }
  return chunks;
}

PictureSet SetOf(const PictureOptions& options) {
  auto set = PictureSet::Create(options);
  EXPECT_TRUE(set.ok()) << set.status();
  return *std::move(set);
}

TEST(PictureSetTest, DrawsPngFilesOfTheSizeAskedFor) {
  const PictureSet set = SetOf({.width_px = 70, .height_px = 50});
  const auto chunks = ReadPng(*set.Get(3));
  ASSERT_EQ(chunks.at("IHDR").size(), 13);
  EXPECT_EQ(BigEndian(chunks.at("IHDR"), 0), 70);
  EXPECT_EQ(BigEndian(chunks.at("IHDR"), 4), 50);
  std::string rows(50 * (1 + 3 * 70) + 1, '\0');
  uLongf size = rows.size();
  const std::string& packed = chunks.at("IDAT");
  ASSERT_EQ(uncompress(reinterpret_cast<Bytef*>(rows.data()), &size,
                       reinterpret_cast<const Bytef*>(packed.data()), packed.size()),
            Z_OK);
  EXPECT_EQ(size, rows.size() - 1);
  EXPECT_GT(std::set<char>(rows.begin(), rows.end()).size(), 10) << "there is something to see";
  EXPECT_EQ(chunks.count("IEND"), 1);
}

TEST(PictureSetTest, RepeatsAfterAsManyAsAskedFor) {
  const PictureSet set = SetOf({.width_px = 8, .height_px = 8, .distinct = 20});
  std::set<std::string> seen;
  for (size_t i = 0; i < 60; ++i) seen.insert(*set.Get(i));
  EXPECT_EQ(seen.size(), 20);
  EXPECT_EQ(*set.Get(3), *set.Get(43));
}

TEST(PictureSetTest, NeverRepeatsWhereNoneMayBeLikeAnother) {
  const PictureSet set = SetOf({.width_px = 8, .height_px = 8, .distinct = 0});
  std::set<std::string> seen;
  for (size_t i = 0; i < 500; ++i) seen.insert(*set.Get(i));
  EXPECT_EQ(seen.size(), 500);
}

TEST(PictureSetTest, TheSeedIsInThePicture) {
  EXPECT_EQ(*SetOf({.seed = 4}).Get(1), *SetOf({.seed = 4}).Get(1));
  EXPECT_NE(*SetOf({.seed = 4}).Get(1), *SetOf({.seed = 5}).Get(1));
}

TEST(PictureSetTest, UploadsFilesInTurn) {
  const auto dir =
      std::filesystem::path(testing::TempDir()) / absl::StrCat("semsam_load_pictures_", getpid());
  std::filesystem::create_directories(dir);
  const std::string a = dir / "a.jpg";
  const std::string b = dir / "b.jpg";
  const std::string empty = dir / "empty.jpg";
  std::ofstream(a) << "first";
  std::ofstream(b) << "second";
  std::ofstream{empty};
  const PictureSet set = SetOf({.files = {a, b}});
  EXPECT_EQ(*set.Get(0), "first");
  EXPECT_EQ(*set.Get(1), "second");
  EXPECT_EQ(*set.Get(2), "first");

  const auto missing = PictureSet::Create({.files = {a, dir / "none.jpg"}});
  EXPECT_EQ(missing.status().code(), absl::StatusCode::kNotFound);
  EXPECT_NE(missing.status().message().find("none.jpg"), std::string::npos);
  const auto nothing = PictureSet::Create({.files = {empty}});
  EXPECT_EQ(nothing.status().code(), absl::StatusCode::kInvalidArgument);
  std::filesystem::remove_all(dir);
}

TEST(PictureSetTest, BadOptionsAreNamed) {
  EXPECT_EQ(ErrorField(PictureSet::Create({.width_px = 0}).status()), "width_px");
  EXPECT_EQ(ErrorField(PictureSet::Create({.height_px = 100'000}).status()), "height_px");
  EXPECT_EQ(ErrorField(PictureSet::Create({.distinct = -1}).status()), "distinct");
}

}  // namespace
}  // namespace semsam::load
