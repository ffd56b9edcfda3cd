#include "model/image/mask_codec.h"

#include <gtest/gtest.h>

#include "model/image/run_lengths.h"
#include "tests/model/image/image_test_util.h"

namespace semsam {
namespace {

using testing::MaskFromRows;
using testing::RandomMask;

TEST(CocoString, EqualsPycocotools) {
  // Each right side was written by pycocotools 2.0.11.
  EXPECT_EQ(EncodeCocoString(EncodeRunLengths(MaskFromRows({"....", "...."}))), "8");
  EXPECT_EQ(EncodeCocoString(EncodeRunLengths(MaskFromRows({"####", "####"}))), "08");
  EXPECT_EQ(EncodeCocoString(EncodeRunLengths(MaskFromRows({"#...", ".#..", "..##"}))), "013000O0");
  EXPECT_EQ(EncodeCocoString(EncodeRunLengths(MaskFromRows({".##.", ".##.", ".##."}))), "363");
  EXPECT_EQ(
      EncodeCocoString(EncodeRunLengths(MaskFromRows(
          {"...#.", ".#.#.", ".#.#.", ".#.#.", ".###.", ".#.#.", ".#.#.", ".#.#.", "...#."}))),
      ":75JO85");
  EXPECT_EQ(EncodeCocoString({.size = {5, 1000}, .counts = {2500, 2500}}), "T^2T^2");
  EXPECT_EQ(EncodeCocoString({.size = {1000, 1000}, .counts = {999999, 1}}), "oa`n01");
}

TEST(CocoString, DecodingUndoesEncoding) {
  for (const double density : {0.0, 0.01, 0.3, 0.9, 1.0}) {
    for (const ImageSize size : {ImageSize{1, 1}, ImageSize{7, 300}, ImageSize{640, 90}}) {
      const RunLengths runs = EncodeRunLengths(RandomMask(size, density, 3));
      const auto decoded = DecodeCocoString(EncodeCocoString(runs), size);
      ASSERT_TRUE(decoded.ok()) << decoded.status();
      EXPECT_EQ(*decoded, runs);
    }
  }
}

TEST(CocoString, UntrustedTextIsChecked) {
  const ImageSize size{2, 4};
  EXPECT_TRUE(DecodeCocoString("08", size).ok());
  for (const std::string& text :
       {std::string(""), std::string("7"), std::string("9"), std::string("88"), std::string("0 8"),
        std::string("T"), std::string("O"), std::string("0pppppppppppppppp"), std::string("08\x7F"),
        std::string("08\xC3"), std::string("8\0", 2), std::string("oooooooooooooo0"),
        std::string("00O9")}) {
    const auto decoded = DecodeCocoString(text, size);
    EXPECT_EQ(decoded.status().code(), absl::StatusCode::kInvalidArgument) << text;
  }
  EXPECT_FALSE(DecodeCocoString("0", {0, 0}).ok());
  EXPECT_FALSE(DecodeCocoString("0", {-1, -8}).ok());
  EXPECT_FALSE(DecodeCocoString("0", {1 << 30, 1 << 30}).ok());
}

TEST(CocoString, RandomTextNeverGivesUnsoundRuns) {
  std::mt19937 random(9);
  const ImageSize size{6, 7};
  for (int i = 0; i < 20000; ++i) {
    std::string text;
    for (uint32_t k = random() % 8; k > 0; --k)
      text.push_back(static_cast<char>(48 + random() % 64));
    const auto decoded = DecodeCocoString(text, size);
    if (!decoded.ok()) continue;
    int64_t total = 0;
    for (const uint32_t count : decoded->counts) total += count;
    EXPECT_EQ(total, size.area()) << text;
  }
}

TEST(MaskPng, IsGreyWithZeroAnd255) {
  for (const ImageSize size : {ImageSize{1, 1}, ImageSize{33, 70}}) {
    const BinaryMask mask = RandomMask(size, 0.4, 5);
    const auto png = EncodeMaskPng(mask);
    ASSERT_TRUE(png.ok()) << png.status();
    const cv::Mat decoded =
        cv::imdecode(std::vector<uint8_t>(png->begin(), png->end()), cv::IMREAD_UNCHANGED);
    ASSERT_EQ(decoded.type(), CV_8UC1);
    ASSERT_EQ(decoded.size(), cv::Size(size.width, size.height));
    for (int64_t i = 0; i < size.area(); ++i) EXPECT_EQ(decoded.data[i], mask.pixels[i] * 255);
  }
}

TEST(MaskPng, AMaskThatDoesNotFillItsSizeIsAnError) {
  EXPECT_FALSE(EncodeMaskPng({.size = {4, 4}, .pixels = {1, 0}}).ok());
  EXPECT_FALSE(EncodeMaskPng({}).ok());
}

TEST(PackedBits, RowsStartOnBytesAndTheFirstPixelIsTheHighestBit) {
  EXPECT_EQ(PackBits(MaskFromRows({"#........#", ".#........"})),
            (std::vector<uint8_t>{0x80, 0x40, 0x40, 0x00}));
}

TEST(PackedBits, UnpackingUndoesPacking) {
  for (const ImageSize size : {ImageSize{1, 1}, ImageSize{5, 8}, ImageSize{9, 31}}) {
    const BinaryMask mask = RandomMask(size, 0.5, 6);
    const auto unpacked = UnpackBits(PackBits(mask), size);
    ASSERT_TRUE(unpacked.ok());
    EXPECT_EQ(unpacked->pixels, mask.pixels);
  }
  EXPECT_FALSE(UnpackBits(std::vector<uint8_t>(3), {2, 9}).ok());
  EXPECT_FALSE(UnpackBits(std::vector<uint8_t>(5), {2, 9}).ok());
  EXPECT_FALSE(UnpackBits({}, {0, 0}).ok());
}

TEST(Polygons, RunThroughPixelCentresAndMarkHoles) {
  const auto polygons = MaskPolygons(MaskFromRows({".......",  //
                                                   ".#####.",  //
                                                   ".#...#.",  //
                                                   ".#...#.",  //
                                                   ".#####.",  //
                                                   "......."}));
  ASSERT_TRUE(polygons.ok());
  ASSERT_EQ(polygons->size(), 2u);
  EXPECT_EQ((*polygons)[0],
            (MaskPolygon{.xy = {1.5, 1.5, 1.5, 4.5, 5.5, 4.5, 5.5, 1.5}, .hole = false}));
  EXPECT_TRUE((*polygons)[1].hole);
}

TEST(Polygons, FillingThemGivesTheMaskBack) {
  // Blobs rather than noise: outlines through centres keep these whole.
  const std::vector<float> logits = testing::BlobLogits({60, 80}, 4);
  BinaryMask mask{.size = {60, 80}};
  for (const float logit : logits) mask.pixels.push_back(logit > 0);
  const auto polygons = MaskPolygons(mask);
  ASSERT_TRUE(polygons.ok());
  cv::Mat canvas = cv::Mat::zeros(60, 80, CV_8UC1);
  for (const MaskPolygon& polygon : *polygons) {
    if (polygon.hole) continue;
    std::vector<cv::Point> points;
    for (size_t i = 0; i < polygon.xy.size(); i += 2) {
      points.emplace_back(static_cast<int>(polygon.xy[i]), static_cast<int>(polygon.xy[i + 1]));
    }
    cv::fillPoly(canvas, std::vector<std::vector<cv::Point>>{points}, cv::Scalar(1));
  }
  int differing = 0;
  for (size_t i = 0; i < mask.pixels.size(); ++i) differing += canvas.data[i] != mask.pixels[i];
  EXPECT_EQ(differing, 0);
  EXPECT_GT(polygons->size(), 0u);
}

TEST(Polygons, AnEmptyMaskHasNone) {
  const auto polygons = MaskPolygons(RandomMask({5, 5}, 0.0, 1));
  ASSERT_TRUE(polygons.ok());
  EXPECT_TRUE(polygons->empty());
}

}  // namespace
}  // namespace semsam
