#include "model/image/label_png.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <opencv2/core.hpp>
#include <opencv2/imgcodecs.hpp>
#include <string>
#include <vector>

#include "model/base/errors.h"
#include "model/image/encode_image.h"

namespace semsam {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string PngOf(const cv::Mat& pixels) {
  std::vector<uint8_t> bytes;
  cv::imencode(".png", pixels, bytes);
  return {bytes.begin(), bytes.end()};
}

// 2 x 1, 2-bit palette: indices 3 and 1 of four colours. Made with Pillow.
constexpr unsigned char kPalettePng[] = {
    0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a, 0x00, 0x00, 0x00, 0x0d, 0x49, 0x48, 0x44, 0x52,
    0x00, 0x00, 0x00, 0x02, 0x00, 0x00, 0x00, 0x01, 0x02, 0x03, 0x00, 0x00, 0x00, 0x89, 0x4c, 0x97,
    0x19, 0x00, 0x00, 0x00, 0x0c, 0x50, 0x4c, 0x54, 0x45, 0x09, 0x09, 0x09, 0xc8, 0x00, 0x00, 0x00,
    0xc8, 0x00, 0x00, 0x00, 0xc8, 0x60, 0xdd, 0x50, 0x80, 0x00, 0x00, 0x00, 0x0a, 0x49, 0x44, 0x41,
    0x54, 0x78, 0x9c, 0x63, 0xb8, 0x00, 0x00, 0x00, 0xd2, 0x00, 0xd1, 0xdb, 0xd9, 0x0e, 0xb7, 0x00,
    0x00, 0x00, 0x00, 0x49, 0x45, 0x4e, 0x44, 0xae, 0x42, 0x60, 0x82};

TEST(LabelPng, GreyIsTheStoredNumber) {
  const cv::Mat grey = (cv::Mat_<uint8_t>(2, 2) << 0, 1, 27, 255);
  const auto labels = DecodeLabelPng(PngOf(grey), {});
  ASSERT_TRUE(labels.ok()) << labels.status();
  EXPECT_EQ(labels->size, (ImageSize{.height = 2, .width = 2}));
  EXPECT_THAT(labels->values, ElementsAre(0, 1, 27, 255));
}

TEST(LabelPng, SixteenBitGreyIsNotClipped) {
  const cv::Mat grey = (cv::Mat_<uint16_t>(1, 3) << 0, 300, 65535);
  const auto labels = DecodeLabelPng(PngOf(grey), {});
  ASSERT_TRUE(labels.ok()) << labels.status();
  EXPECT_THAT(labels->values, ElementsAre(0, 300, 65535));
}

TEST(LabelPng, ColourIsAPanopticId) {
  const Rgb8Image image{.size = {.height = 1, .width = 2}, .pixels = {1, 2, 3, 255, 255, 255}};
  const auto labels = DecodeLabelPng(*EncodePng(image), {});
  ASSERT_TRUE(labels.ok()) << labels.status();
  EXPECT_THAT(labels->values, ElementsAre(1 + 256 * 2 + 65536 * 3, 0xFFFFFF));
}

TEST(LabelPng, APaletteGivesItsIndices) {
  const auto labels =
      DecodeLabelPng({reinterpret_cast<const char*>(kPalettePng), sizeof(kPalettePng)}, {});
  ASSERT_TRUE(labels.ok()) << labels.status();
  EXPECT_THAT(labels->values, ElementsAre(3, 1));
}

TEST(LabelPng, WhatIsNoLabelMapIsRefused) {
  const std::string good = PngOf(cv::Mat(20, 30, CV_8UC1, cv::Scalar(7)));
  EXPECT_EQ(ErrorReason(DecodeLabelPng(good, {.max_pixels = 599}).status()),
            reason::kImageTooLarge);
  EXPECT_FALSE(DecodeLabelPng(good.substr(0, good.size() / 2), {}).ok());
  EXPECT_FALSE(DecodeLabelPng("", {}).ok());
  const auto deep = DecodeLabelPng(PngOf(cv::Mat(2, 2, CV_16UC3, cv::Scalar(7, 7, 7))), {});
  EXPECT_THAT(std::string(deep.status().message()), HasSubstr("16-bit colour"));
  const Rgb8Image image{.size = {.height = 1, .width = 1}, .pixels = {1, 2, 3}};
  EXPECT_THAT(std::string(DecodeLabelPng(*EncodeJpeg(image, 90), {}).status().message()),
              HasSubstr("must be a PNG"));
}

}  // namespace
}  // namespace semsam
