#include "client/cli/overlay.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "client/cli/panel_text.h"
#include "opencv2/imgcodecs.hpp"
#include "opencv2/imgproc.hpp"

namespace semsam::client {
namespace {

using ::testing::HasSubstr;

// The whole image as run lengths.
Mask FullMask(ImageSize size, int level, int prompt = 0) {
  Mask mask{.prompt_index = prompt, .level = level, .predicted_iou = 0.875f, .size = size};
  mask.area_px = size.area();
  mask.encoding = MaskEncoding::kPackedBits;
  mask.data = std::string(static_cast<size_t>((size.width + 7) / 8) * size.height, '\xff');
  return mask;
}

// The image's left half, packed.
Mask LeftHalf(ImageSize size, int level, int prompt = 0) {
  Mask mask = FullMask(size, level, prompt);
  const size_t row = (size.width + 7) / 8;
  for (size_t i = 0; i < mask.data.size(); ++i) {
    if (i % row >= row / 2) mask.data[i] = 0;
  }
  return mask;
}

std::string Png(ImageSize size, const cv::Scalar& colour) {
  const cv::Mat image(size.height, size.width, CV_8UC3, colour);
  std::vector<unsigned char> bytes;
  cv::imencode(".png", image, bytes);
  return {bytes.begin(), bytes.end()};
}

cv::Mat Decode(const std::string& png) {
  return cv::imdecode(std::vector<unsigned char>(png.begin(), png.end()), cv::IMREAD_COLOR);
}

cv::Mat MustDraw(const OverlayRequest& request) {
  const auto picture = DrawOverlay(request);
  EXPECT_TRUE(picture.ok()) << picture.status();
  return picture.ok() ? Decode(picture->png) : cv::Mat();
}

std::vector<GranularityLevel> Levels(int count) {
  std::vector<GranularityLevel> levels;
  for (int level = 1; level <= count; ++level) levels.push_back({level, "semantic"});
  return levels;
}

TEST(DrawOverlayTest, AnyImageSizeGivesAReadablePicture) {
  for (const ImageSize size : {ImageSize{1, 1}, ImageSize{16, 16}, ImageSize{480, 640},
                               ImageSize{3000, 4000}, ImageSize{4, 9000}, ImageSize{9000, 4}}) {
    OverlayRequest request{.image_size = size,
                           .prompts = {{.shape = Click{size.width / 2.0f, size.height / 2.0f}}},
                           .levels = Levels(6)};
    for (int level = 1; level <= 6; ++level) request.masks.push_back(LeftHalf(size, level));
    const cv::Mat picture = MustDraw(request);
    EXPECT_GE(picture.cols, 230) << size.width << " x " << size.height;
    EXPECT_LE(picture.cols, 6 * 660) << size.width << " x " << size.height;
    EXPECT_LE(picture.rows, 6 * 760) << size.width << " x " << size.height;
  }
}

TEST(DrawOverlayTest, TintsTheMaskAndLeavesTheRest) {
  const ImageSize size{.height = 400, .width = 400};
  const std::string image = Png(size, cv::Scalar(40, 40, 40));
  OverlayRequest request{.image_bytes = image,
                         .image_size = size,
                         .prompts = {{.shape = Click{300, 300}}},
                         .masks = {LeftHalf(size, 1)},
                         .levels = Levels(1)};
  const auto drawn = DrawOverlay(request);
  ASSERT_TRUE(drawn.ok()) << drawn.status();
  EXPECT_TRUE(drawn->has_image);
  const cv::Mat picture = Decode(drawn->png);
  // The panel is not scaled: its image ends 6 px before the sheet does.
  const cv::Mat panel = picture(cv::Rect(6, picture.rows - 406, 400, 400));
  EXPECT_NE(panel.at<cv::Vec3b>(200, 50), cv::Vec3b(40, 40, 40));           // inside the mask
  EXPECT_EQ(panel.at<cv::Vec3b>(50, 350), cv::Vec3b(40, 40, 40));           // outside
  EXPECT_NE(panel.at<cv::Vec3b>(300, 308), cv::Vec3b(40, 40, 40));          // the ring
  EXPECT_NE(panel.at<cv::Vec3b>(200, 199), panel.at<cv::Vec3b>(200, 150));  // the outline
}

TEST(DrawOverlayTest, PromptsHaveTheirOwnColours) {
  const ImageSize size{.height = 400, .width = 400};
  OverlayRequest request{.image_size = size,
                         .prompts = {{.shape = Click{200, 200}}, {.shape = Box{10, 10, 30, 30}}},
                         .masks = {FullMask(size, 1, 0), FullMask(size, 2, 1)},
                         .levels = Levels(2)};
  const cv::Mat picture = MustDraw(request);
  const int bottom = picture.rows - 6 - 20;
  const cv::Vec3b first = picture.at<cv::Vec3b>(bottom, 6 + 100);
  const cv::Vec3b second = picture.at<cv::Vec3b>(bottom, 6 + 406 + 100);
  EXPECT_NE(first, second);
}

TEST(DrawOverlayTest, BytesThatAreNoImageLeavePlainGrey) {
  OverlayRequest request{.image_bytes = "not an image",
                         .image_size = {.height = 32, .width = 32},
                         .prompts = {{.shape = Click{1, 1}}},
                         .levels = Levels(1)};
  const auto picture = DrawOverlay(request);
  ASSERT_TRUE(picture.ok()) << picture.status();
  EXPECT_FALSE(picture->has_image);
}

TEST(DrawOverlayTest, RefusesWhatItCannotDraw) {
  const OverlayRequest good{.image_size = {.height = 8, .width = 8},
                            .prompts = {{.shape = Click{1, 1}}},
                            .levels = Levels(1)};
  EXPECT_TRUE(DrawOverlay(good).ok());
  OverlayRequest bad = good;
  bad.image_size.width = 0;
  EXPECT_TRUE(absl::IsInvalidArgument(DrawOverlay(bad).status()));
  bad = good;
  bad.levels = Levels(kMaxPanels + 1);
  EXPECT_TRUE(absl::IsInvalidArgument(DrawOverlay(bad).status()));
  bad = good;
  bad.masks = {FullMask(good.image_size, 1)};
  bad.masks[0].data.pop_back();
  EXPECT_TRUE(absl::IsDataLoss(DrawOverlay(bad).status()));
}

// Pixels that text touches, counted inside and outside of a block's frame.
TEST(FlowTextTest, NoWordLeavesItsWidth) {
  std::vector<Word> words = {{"level 3", cv::Scalar(255, 255, 255)},
                             {std::string(200, 'W'), cv::Scalar(255, 255, 255)},
                             {"caf\xc3\xa9", cv::Scalar(255, 255, 255)}};
  for (int i = 0; i < 40; ++i) words.push_back({absl::StrCat(i, ": IoU 0.875"), words[0].colour});
  for (const int width_px : {60, 120, 230, 640}) {
    const TextBlock block = FlowText(words, width_px, /*max_lines=*/4);
    cv::Mat picture = cv::Mat::zeros(block.height_px + 40, width_px + 200, CV_8UC1);
    DrawText(block, {50, 20}, picture);
    const cv::Rect inside(50, 20, width_px, block.height_px);
    EXPECT_GT(cv::countNonZero(picture(inside)), 0);
    EXPECT_EQ(cv::countNonZero(picture), cv::countNonZero(picture(inside))) << width_px;
  }
}

TEST(FlowTextTest, WhatDoesNotFitIsCounted) {
  std::vector<Word> words(50, Word{"IoU 0.875", cv::Scalar(255, 255, 255)});
  const TextBlock block = FlowText(words, /*width_px=*/230, /*max_lines=*/2);
  const size_t kept = block.words.size() - 1;
  EXPECT_EQ(block.words.back().word.text, absl::StrCat("+", 50 - kept));
  EXPECT_EQ(FlowText({words[0]}, 230, 2).words.back().word.text, "IoU 0.875");
}

}  // namespace
}  // namespace semsam::client
