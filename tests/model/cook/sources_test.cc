#include <zlib.h>

#include <map>
#include <set>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "model/cook/sprite_source.h"
#include "model/image/run_lengths.h"
#include "tests/model/cook/cook_test_util.h"

namespace semsam {
namespace {

using testing::HasSubstr;

void WriteGzip(const std::string& path, const std::string& text) {
  gzFile file = gzopen(path.c_str(), "wb");
  ASSERT_NE(file, nullptr);
  ASSERT_EQ(gzwrite(file, text.data(), static_cast<unsigned>(text.size())),
            static_cast<int>(text.size()));
  ASSERT_EQ(gzclose(file), Z_OK);
}

std::vector<std::string> Names(const SpriteSource& source) {
  std::vector<std::string> names;
  for (const SpriteSource::Entry& entry : source.entries()) names.push_back(entry.object_name);
  return names;
}

TEST(OpenIcons, NamedIconsAreDrawnAndSignsLeftOut) {
  const std::string path = TestFolder() + "/icons.json.gz";
  WriteGzip(path, R"({"icons": {
      "red-apple": {"body": "<circle cx='16' cy='16' r='16' fill='red'/><path fill='#0a0' d='M12 4h8v8h-8z'/>"},
      "torn": {"body": "<path"},
      "wide-box": {"body": "<path d='M0 0h64v32h-64z'/>", "width": 64},
      "left-arrow": {"body": "<path d='M0 0h9v9z'/>"},
      "ghost": {"body": "<path d='M0 0h9v9z'/>", "hidden": true}},
    "aliases": {"apple": {"parent": "red-apple"}}, "width": 32, "height": 32})");
  const auto source = OpenIcons(path, {.name = "set"});
  ASSERT_TRUE(source.ok()) << source.status();
  EXPECT_EQ(Names(**source), (std::vector<std::string>{"red apple", "torn", "wide box"}));
  EXPECT_EQ((*source)->entries()[0].title, "set/red-apple");
  EXPECT_EQ((*source)->aliases(),
            (std::vector<std::pair<std::string, std::string>>{{"apple", "red apple"}}));
  const auto apple = (*source)->Load(0, 128);
  ASSERT_TRUE(apple.ok()) << apple.status();
  EXPECT_EQ(apple->image.size, (ImageSize{128, 128}));
  ASSERT_EQ(apple->masks.size(), 2u);  // the bare circle is the whole's twin
  EXPECT_EQ(apple->masks[0].object_name, "red apple");
  EXPECT_EQ(apple->masks[1].object_name, "");
  EXPECT_EQ(MaskArea(apple->masks[1].mask), 32 * 32);
  EXPECT_EQ((*source)->Load(1, 100).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ((*source)->Load(2, 100)->image.size, (ImageSize{50, 100}));
}

TEST(OpenIcons, BrokenFilesAreNamed) {
  const std::string path = TestFolder() + "/icons.json.gz";
  const std::map<std::string, std::string> broken = {
      {"{", "icons.json.gz"},
      {"{}", "\"icons\""},
      {R"({"icons": {"cup": 3}})", "icon cup"},
      {R"({"icons": {"cup": {"body": 5}}})", "\"body\""},
      {R"({"icons": {"cup": {"body": "<g/>", "width": 0}}})", "\"width\""}};
  for (const auto& [text, message] : broken) {
    WriteGzip(path, text);
    const absl::Status status = OpenIcons(path, SourceInfo()).status();
    EXPECT_THAT(std::string(status.message()), HasSubstr(message)) << text;
    EXPECT_THAT(std::string(status.message()), HasSubstr(path)) << text;
  }
  WriteText(path, "no gzip");
  EXPECT_THAT(std::string(OpenIcons(path, SourceInfo()).status().message()), HasSubstr(path));
  EXPECT_EQ(OpenIcons(path + "x", SourceInfo()).status().code(), absl::StatusCode::kNotFound);
}

TEST(OpenClipart, FoldersAreWalkedInTheOrderOfTheirNames) {
  const std::string folder = TestFolder();
  const std::string svg =
      "<svg xmlns='http://www.w3.org/2000/svg' width='20' height='10'><path d='M0 "
      "0h20v10z'/></svg>";
  WriteText(folder + "/plants/tree_dan_01.svg", svg);
  WriteText(folder + "/animals/cat_01.svg", svg);
  WriteText(folder + "/animals/cat_01.txt", "by Dan");
  WriteText(folder + "/animals/zzz.svg", "<svg");
  WriteText(folder + "/flags/nigeria.svg", svg);
  WriteText(folder + "/animals/huge.svg", svg + std::string(600 << 10, ' '));
  const auto source = OpenClipart(folder, {"cat", "tree", "nigeria"}, {"flags/"}, {.name = "clip"});
  ASSERT_TRUE(source.ok()) << source.status();
  EXPECT_EQ(Names(**source), (std::vector<std::string>{"cat", "", "tree"}));
  EXPECT_EQ((*source)->entries()[1].title, "clip/animals/zzz.svg");
  EXPECT_EQ((*source)->Load(0, 64)->image.size, (ImageSize{32, 64}));
  EXPECT_EQ((*source)->Load(1, 64).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(OpenClipart(folder + "/none", {}, {}, SourceInfo()).status().code(),
            absl::StatusCode::kNotFound);
}

std::string Face() {
  return "<svg xmlns='http://www.w3.org/2000/svg' width='100%' height='100%' "
         "viewBox='0 0 400 600'>"
         "<g id='hairBg'><path fill='#420' d='M60 60H340V200H60Z'/></g>"
         "<g id='body'><path fill='#fc9' d='M150 400H250V600H150Z'/></g>"
         "<g id='jersey'><path fill='#00f' d='M50 500H350V600H50Z'/></g>"
         "<g id='ear'><path fill='#fc9' d='M60 250H100V300H60Z'/></g>"
         "<g id='ear'><path fill='#fc9' d='M300 250H340V300H300Z'/></g>"
         "<g id='head'><path fill='#fc9' d='M100 100H300V400H100Z'/></g>"
         "<g id='eye'><path fill='#fff' d='M130 200H180V230H130Z'/><path d='M150 "
         "210H160V220H150Z'/>"
         "</g><g id='eye'><path fill='#fff' d='M220 200H270V230H220Z'/></g>"
         "<g id='smileLine'><path fill='none' stroke='#000' d='M120 300H150'/></g>"
         "<g id='hair'><path fill='#531' d='M100 80H300V140H100Z'/></g></svg>";
}

TEST(OpenFaces, GroupsBecomeNestedNamedParts) {
  const std::string path = TestFolder() + "/faces.svgl.gz";
  WriteGzip(path, Face() + "\n<svg\n");
  const auto source = OpenFaces(path, {.name = "faces"});
  ASSERT_TRUE(source.ok()) << source.status();
  EXPECT_EQ(Names(**source), (std::vector<std::string>{"person", "person"}));
  const auto face = (*source)->Load(0, 270);  // half of the 540 that have ink
  ASSERT_TRUE(face.ok()) << face.status();
  std::multimap<std::string, std::string> parents;
  std::map<std::string, int64_t> areas;
  for (const SpriteMask& mask : face->masks) {
    EXPECT_EQ(mask.object_name, "person");
    parents.emplace(mask.part_name, mask.parent < 0 ? "-" : face->masks[mask.parent].part_name);
    areas[mask.part_name] = MaskArea(mask.mask);
  }
  EXPECT_EQ(parents, (std::multimap<std::string, std::string>{{"", "-"},
                                                              {"head", ""},
                                                              {"body", ""},
                                                              {"jersey", ""},
                                                              {"face", "head"},
                                                              {"hair", "head"},
                                                              {"ear", "head"},
                                                              {"ear", "head"},
                                                              {"eye", "face"},
                                                              {"eye", "face"}}));
  // The picture is cut where the ink ends, to a percent or two.
  EXPECT_NEAR(areas["face"], 100 * 130, 600);  // without what the hair covers
  EXPECT_NEAR(areas["hair"], (280 * 140 - 200 * 60) / 4, 400);
  EXPECT_NEAR(areas["eye"], 25 * 15, 40);
  EXPECT_EQ((*source)->Load(1, 270).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(OpenCutouts, BrokenListsAreNamed) {
  const std::string folder = TestFolder();
  const std::map<std::string, std::string> broken = {{"[", "names.json"},
                                                     {"{}", "array"},
                                                     {"[{}]", "\"file\""},
                                                     {R"([{"file": "../x.webp"}])", "leads out"}};
  for (const auto& [text, message] : broken) {
    WriteText(folder + "/names.json", text);
    EXPECT_THAT(std::string(OpenCutouts(folder, SourceInfo()).status().message()),
                HasSubstr(message));
  }
  WriteText(
      folder + "/names.json",
      R"([{"file": "owl.webp"}, {"file": "cat_dark.webp"}, {"file": "x.webp", "group": "Flags"}])");
  WriteText(folder + "/images/cat_dark.webp", "RIFF");
  const auto source = OpenCutouts(folder, SourceInfo());
  ASSERT_TRUE(source.ok()) << source.status();
  EXPECT_EQ(Names(**source), (std::vector<std::string>{"cat", "owl"}));
  EXPECT_EQ((*source)->Load(0, 64).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ((*source)->Load(1, 64).status().code(), absl::StatusCode::kNotFound);
}

}  // namespace
}  // namespace semsam
