#include "model/cook/svg_picture.h"

#include <string>
#include <string_view>

#include "gtest/gtest.h"
#include "model/cook/shape_nesting.h"
#include "model/data/random.h"
#include "model/image/run_length_sets.h"
#include "model/image/run_lengths.h"

namespace semsam {
namespace {

std::string Svg(const std::string& body, const std::string& box = "0 0 100 100") {
  return "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"" + box + "\">" + body + "</svg>";
}

// A house: a wall of 80 x 60 with a window of two panes and a door, below a roof.
constexpr char kHouse[] =
    "<rect x='10' y='40' width='80' height='60' fill='#ccaa88'/>"
    "<g id='window'><rect x='20' y='50' width='20' height='20' fill='#000'/>"
    "<rect x='22' y='52' width='7' height='16' fill='#4af'/>"
    "<rect x='31' y='52' width='7' height='16' fill='#4af'/></g>"
    "<rect x='60' y='60' width='16' height='40' fill='#722'/>"
    "<path d='M0 40L50 0L100 40Z' fill='#b33'/>";

int64_t Area(const RunLengths& mask) { return MaskArea(mask); }

TEST(DrawSvg, ShapesKeepTheirWholeSilhouetteInTheOrderOfPainting) {
  const auto drawing = DrawSvg(Svg(kHouse), 200);
  ASSERT_TRUE(drawing.ok()) << drawing.status();
  EXPECT_EQ(drawing->image.size, (ImageSize{200, 200}));
  ASSERT_EQ(drawing->shapes.size(), 6u);
  EXPECT_EQ(Area(drawing->shapes[0].silhouette), 160 * 120);  // the wall, as if unhidden
  EXPECT_EQ(Area(drawing->shapes[1].silhouette), 40 * 40);
  EXPECT_EQ(drawing->shapes[1].group, 0);
  EXPECT_EQ(drawing->groups[0].id, "window");
  EXPECT_EQ(drawing->shapes[0].group, -1);
  const std::vector<RunLengths> visible = VisibleShapes(*drawing);
  EXPECT_EQ(Area(visible[0]), 160 * 120 - 40 * 40 - 32 * 80);
}

TEST(DrawSvg, InkFillsThePictureWhereverItLies) {
  const auto drawing =
      DrawSvg(Svg("<rect x='50' y='70' width='20' height='10'/>", "0 0 400 300"), 64);
  ASSERT_TRUE(drawing.ok()) << drawing.status();
  EXPECT_EQ(drawing->image.size, (ImageSize{32, 64}));
  EXPECT_EQ(Area(drawing->shapes[0].silhouette), 64 * 32);
}

TEST(DrawSvg, WhatCannotBeSeenAndMereShadingIsNoShape) {
  const auto drawing = DrawSvg(
      Svg("<defs><linearGradient id='fade'><stop offset='0' stop-color='#000' stop-opacity='0'/>"
          "<stop offset='1' stop-color='#000'/></linearGradient></defs>"
          "<rect width='100' height='100' fill='#fff'/>"
          "<rect width='100' height='100' fill='none'/>"
          "<rect width='100' height='100' fill='url(#fade)'/>"
          "<rect width='50' height='100' fill='#00f' opacity='0.3'/>"),
      100);
  ASSERT_TRUE(drawing.ok()) << drawing.status();
  ASSERT_EQ(drawing->shapes.size(), 2u);
  EXPECT_TRUE(drawing->shapes[0].opaque);
  EXPECT_FALSE(drawing->shapes[1].opaque);  // glass: what lies below is still seen
  EXPECT_EQ(Area(VisibleShapes(*drawing)[0]), 100 * 100);
}

TEST(DrawSvg, StylesReferencesAndClipsAreTheRenderers) {
  const auto drawing =
      DrawSvg(Svg("<style>.gone{fill:none}</style><defs><rect id='r' width='40' height='40'/>"
                  "<clipPath id='c'><rect width='10' height='100'/></clipPath></defs>"
                  "<circle class='gone' cx='50' cy='50' r='50'/>"
                  "<use href='#r' x='60' y='60'/>"
                  "<g clip-path='url(#c)'><rect id='c2' width='50' height='100'/></g>"),
              100);
  ASSERT_TRUE(drawing.ok()) << drawing.status();
  ASSERT_EQ(drawing->shapes.size(), 2u);
  EXPECT_EQ(Area(drawing->shapes[0].silhouette), 40 * 40);
  EXPECT_EQ(Area(drawing->shapes[1].silhouette), 10 * 100);
}

TEST(DrawSvg, BrokenTextIsToldFromWhatWillNotDo) {
  for (const char* const broken : {"", "no svg", "<svg><path</svg>", "<html/>", "<svg>"}) {
    EXPECT_EQ(DrawSvg(broken, 100).status().code(), absl::StatusCode::kInvalidArgument) << broken;
  }
  std::string many;
  for (int i = 0; i < 5; ++i) many += "<rect width='9' height='9'/>";
  EXPECT_EQ(DrawSvg(Svg(many), 100, {.max_shapes = 4}).status().code(),
            absl::StatusCode::kOutOfRange);
  EXPECT_EQ(DrawSvg(Svg(""), 100).status().code(), absl::StatusCode::kOutOfRange);
  EXPECT_EQ(
      DrawSvg(Svg("<path d='M0 5H90' stroke='#000' stroke-width='.1'/>"), 100).status().code(),
      absl::StatusCode::kOutOfRange);
  EXPECT_EQ(DrawSvg(Svg("<rect width='9' height='9'/>", "0 0 1e9 1e9"), 100).status().code(),
            absl::StatusCode::kOutOfRange);
  std::string deep;
  for (int i = 0; i < 80; ++i) deep += "<g>";
  for (int i = 0; i < 80; ++i) deep += "</g>";
  EXPECT_EQ(DrawSvg(Svg(deep), 100).status().code(), absl::StatusCode::kOutOfRange);
}

TEST(DrawSvg, NoByteThatIsChangedEndsTheProgram) {
  const std::string sound =
      Svg(std::string("<defs><filter id='f'><feGaussianBlur stdDeviation='2'/></filter></defs>") +
          kHouse + "<use href='#window' x='9'/><circle r='9' filter='url(#f)'/>");
  Random random(4);
  int drawn = 0, refused = 0;
  for (int round = 0; round < 300; ++round) {
    std::string text = sound;
    // Half of the bytes are what numbers are made of: the file stays one.
    constexpr std::string_view kBytes = "0123456789.-eLZ<>'\"&#\x80\xff /";
    for (size_t change = 0; change < 1 + random.Below(3); ++change) {
      text[random.Below(text.size())] = kBytes[random.Below(kBytes.size())];
    }
    const auto drawing = DrawSvg(text, 32);
    ++(drawing.ok() ? drawn : refused);
    if (!drawing.ok()) continue;
    const auto masks = NestShapes(*drawing);
    for (size_t i = 0; masks.ok() && i < masks->size(); ++i) {
      EXPECT_LT((*masks)[i].parent, static_cast<int>(i));
    }
  }
  EXPECT_GT(drawn, 20);
  EXPECT_GT(refused, 20);
}

TEST(NestShapes, WholeShapesWithWhatIsUponThemGroupsAndPieces) {
  const auto drawing = DrawSvg(Svg(kHouse), 200);
  ASSERT_TRUE(drawing.ok()) << drawing.status();
  const auto masks = NestShapes(*drawing);
  ASSERT_TRUE(masks.ok()) << masks.status();
  const auto find = [&](int64_t area) {
    for (size_t i = 0; i < masks->size(); ++i) {
      if (std::abs(Area((*masks)[i].mask) - area) <= 40) return static_cast<int>(i);
    }
    return -1;
  };
  const int whole = 0, wall_and_upon = find(160 * 120), wall = find(160 * 120 - 1600 - 2560);
  const int roof = find(200 * 80 / 2), door = find(32 * 80), window = find(40 * 40);
  const int pane = find(14 * 32);
  EXPECT_EQ((*masks)[whole].parent, -1);
  ASSERT_GT(wall_and_upon, 0);
  ASSERT_GT(wall, 0);
  ASSERT_GT(roof, 0);
  ASSERT_GT(door, 0);
  ASSERT_GT(window, 0);
  ASSERT_GT(pane, 0);
  EXPECT_EQ((*masks)[wall_and_upon].parent, whole);
  EXPECT_EQ((*masks)[roof].parent, whole);
  EXPECT_EQ((*masks)[door].parent, wall_and_upon);
  EXPECT_EQ((*masks)[window].parent, wall_and_upon);
  EXPECT_EQ((*masks)[pane].parent, window);
  for (size_t i = 0; i < masks->size(); ++i) {
    EXPECT_LT((*masks)[i].parent, static_cast<int>(i));
    for (size_t k = 0; k < i; ++k) EXPECT_LE(MaskIou((*masks)[i].mask, (*masks)[k].mask), 0.9);
  }
}

TEST(NestShapes, PiecesOfOneShapeAreMasksToo) {
  const auto drawing = DrawSvg(Svg("<rect width='100' height='100' fill='#fff'/>"
                                   "<path d='M10 10h20v20h-20ZM60 60h30v30h-30Z' fill='#000'/>"),
                               100);
  ASSERT_TRUE(drawing.ok()) << drawing.status();
  const auto masks = NestShapes(*drawing);
  ASSERT_TRUE(masks.ok()) << masks.status();
  std::vector<int64_t> areas;
  for (const SpriteMask& mask : *masks) areas.push_back(Area(mask.mask));
  EXPECT_EQ(areas, (std::vector<int64_t>{10000, 8700, 1300, 900, 400}));
  EXPECT_EQ((*masks)[3].parent, 2);
  EXPECT_EQ((*masks)[4].parent, 2);
}

TEST(NestShapes, NeighboursOfOneColourCountAsOneBetweenWholeAndShapes) {
  const auto drawing = DrawSvg(Svg("<rect width='30' height='60' fill='#ff0000'/>"
                                   "<rect x='30' width='30' height='60' fill='#f00505'/>"
                                   "<rect x='60' width='40' height='60' fill='#0000ff'/>"),
                               100);
  ASSERT_TRUE(drawing.ok()) << drawing.status();
  const auto masks = NestShapes(*drawing);
  ASSERT_TRUE(masks.ok()) << masks.status();
  ASSERT_EQ(masks->size(), 5u);
  EXPECT_EQ(Area((*masks)[1].mask), 3600);
  EXPECT_EQ((*masks)[3].parent, 1);
  EXPECT_EQ((*masks)[4].parent, 1);
  EXPECT_EQ((*masks)[2].parent, 0);
}

}  // namespace
}  // namespace semsam
