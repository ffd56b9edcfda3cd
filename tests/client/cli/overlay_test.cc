#include "client/cli/overlay.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "client/cli/canvas.h"
#include "client/cli/panel_text.h"
#include "opencv2/imgcodecs.hpp"
#include "opencv2/imgproc.hpp"

namespace semsam::client {
namespace {

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

// A panel each of `masks`, with these tags.
std::vector<Panel> Panels(const std::vector<Mask>& masks, const std::string& tag = "") {
  std::vector<Panel> panels;
  for (const Mask& mask : masks) {
    panels.push_back({.title = {{"level 1"}, {"semantic"}},
                      .masks = {{.mask = &mask, .colour = {255, 128, 0}, .tag = tag}}});
  }
  return panels;
}

// One panel of all `masks`, each tagged by its level.
Panel OnePanel(const std::vector<Mask>& masks) {
  Panel panel{.title = {{"all"}}};
  for (const Mask& mask : masks) {
    panel.masks.push_back({.mask = &mask, .colour = NumberedColour(mask.level), .tag = ""});
  }
  return panel;
}

// The image of a single panel that is not scaled: it ends 6 px before the sheet.
cv::Mat ImageOf(const cv::Mat& picture, ImageSize size) {
  return picture(cv::Rect(6, picture.rows - 6 - size.height, size.width, size.height));
}

// Pixels whose colour differs.
int Differing(const cv::Mat& a, const cv::Mat& b) {
  cv::Mat difference;
  cv::absdiff(a, b, difference);
  return cv::countNonZero(difference.reshape(1) > 0);
}

TEST(DrawOverlayTest, AnyImageSizeGivesAReadablePicture) {
  for (const ImageSize size : {ImageSize{1, 1}, ImageSize{16, 16}, ImageSize{480, 640},
                               ImageSize{3000, 4000}, ImageSize{4, 9000}, ImageSize{9000, 4}}) {
    const std::vector<Mask> masks(6, LeftHalf(size, 1));
    for (const bool with_words : {false, true}) {
      OverlayRequest request{.image_size = size,
                             .prompts = {{.shape = Click{size.width / 2.0f, size.height / 2.0f}}},
                             .panels = Panels(masks, with_words ? "polar bear 0.83" : "")};
      if (with_words) request.legend = Legend::Of({{"objects", {"polar bear", "cat"}}});
      const cv::Mat picture = MustDraw(request);
      EXPECT_GE(picture.cols, 230) << size.width << " x " << size.height;
      EXPECT_LE(picture.cols, 6 * 660 + 240) << size.width << " x " << size.height;
      EXPECT_LE(picture.rows, 6 * 760) << size.width << " x " << size.height;
    }
  }
}

TEST(DrawOverlayTest, TintsTheMaskAndLeavesTheRest) {
  const ImageSize size{.height = 400, .width = 400};
  const std::string image = Png(size, cv::Scalar(40, 40, 40));
  const std::vector<Mask> masks = {LeftHalf(size, 1)};
  const auto drawn = DrawOverlay({.image_bytes = image,
                                  .image_size = size,
                                  .prompts = {{.shape = Click{300, 300}}},
                                  .panels = Panels(masks)});
  ASSERT_TRUE(drawn.ok()) << drawn.status();
  EXPECT_TRUE(drawn->has_image);
  const cv::Mat panel = ImageOf(Decode(drawn->png), size);
  EXPECT_NE(panel.at<cv::Vec3b>(200, 50), cv::Vec3b(40, 40, 40));           // inside the mask
  EXPECT_EQ(panel.at<cv::Vec3b>(50, 350), cv::Vec3b(40, 40, 40));           // outside
  EXPECT_NE(panel.at<cv::Vec3b>(300, 308), cv::Vec3b(40, 40, 40));          // the ring
  EXPECT_NE(panel.at<cv::Vec3b>(200, 199), panel.at<cv::Vec3b>(200, 150));  // the outline
}

TEST(DrawOverlayTest, SmallMasksLieOnLargeOnes) {
  const ImageSize size{.height = 400, .width = 400};
  std::vector<Mask> masks = {LeftHalf(size, 1), FullMask(size, 2)};
  masks[0].area_px = size.area() / 2;
  const cv::Mat small_first = MustDraw({.image_size = size, .panels = {OnePanel(masks)}});
  std::swap(masks[0], masks[1]);
  const cv::Mat large_first = MustDraw({.image_size = size, .panels = {OnePanel(masks)}});
  EXPECT_EQ(Differing(small_first, large_first), 0);
  const cv::Mat panel = ImageOf(large_first, size);
  EXPECT_NE(panel.at<cv::Vec3b>(200, 100), panel.at<cv::Vec3b>(200, 300));
}

TEST(DrawOverlayTest, TagsAreReadableOnAnyGround) {
  const ImageSize size{.height = 400, .width = 400};
  const std::vector<Mask> masks = {FullMask(size, 1)};
  for (const cv::Scalar& ground : {cv::Scalar(255, 255, 255), cv::Scalar(0, 0, 0)}) {
    const std::string image = Png(size, ground);
    const cv::Mat plain =
        MustDraw({.image_bytes = image, .image_size = size, .panels = Panels(masks)});
    const cv::Mat tagged =
        MustDraw({.image_bytes = image, .image_size = size, .panels = Panels(masks, "cat 0.83")});
    cv::Mat difference;
    cv::absdiff(plain, tagged, difference);
    std::vector<cv::Point> touched;
    cv::findNonZero(difference.reshape(1, difference.rows), touched);
    for (cv::Point& point : touched) point.x /= 3;
    const cv::Rect tag = cv::boundingRect(touched);
    EXPECT_LT(tag.area(), 150 * 20);
    // Dark ground and white letters inside of it.
    cv::Mat grey;
    cv::cvtColor(tagged(tag), grey, cv::COLOR_BGR2GRAY);
    EXPECT_GT(cv::countNonZero(grey < 60), tag.area() / 3);
    EXPECT_GT(cv::countNonZero(grey > 180), 20);
  }
}

TEST(DrawOverlayTest, TheLegendStandsBesideThePictureAndGrowsWithItsWords) {
  const ImageSize size{.height = 400, .width = 400};
  const std::vector<Mask> masks = {FullMask(size, 1)};
  OverlayRequest request{.image_size = size, .panels = Panels(masks)};
  const cv::Mat without = MustDraw(request);
  request.legend = Legend::Of({{"things", {"dog", "cat"}}});
  request.legend.Count("things", 1);
  const cv::Mat with = MustDraw(request);
  EXPECT_EQ(with.cols, without.cols + 236);
  EXPECT_EQ(Differing(with(cv::Rect(cv::Point(), without.size())), without), 0);
  const Rgb cat = request.legend.Find("things", 1)->colour;
  cv::Mat swatch;
  cv::inRange(with, ToBgr(cat), ToBgr(cat), swatch);
  EXPECT_EQ(cv::countNonZero(swatch(cv::Rect(without.cols, 0, 236, with.rows))), 12 * 12);
}

TEST(DrawOverlayTest, ALegendOfThousandsOfWordsStaysInThePicture) {
  const ImageSize size{.height = 32, .width = 320};
  const std::vector<Mask> masks = {FullMask(size, 1)};
  std::vector<std::string> words;
  for (int i = 0; i < 2000; ++i) words.push_back(absl::StrCat("word number ", i));
  OverlayRequest request{.image_size = size, .panels = Panels(masks)};
  request.legend = Legend::Of({{"things", words}});
  for (int i = 0; i < 2000; ++i) request.legend.Count("things", i);
  EXPECT_LE(MustDraw(request).rows, 300);
}

TEST(DrawOverlayTest, APanopticMapIsDrawnByItsIds) {
  const ImageSize size{.height = 400, .width = 400};
  cv::Mat ids(size.height, size.width, CV_8UC3, cv::Scalar(0, 0, 0));
  ids(cv::Rect(0, 0, 200, 400)) = cv::Scalar(0, 1, 2);    // 2 + 256
  ids(cv::Rect(300, 0, 100, 400)) = cv::Scalar(1, 0, 0);  // 65536
  std::vector<unsigned char> png;
  cv::imencode(".png", ids, png);
  const PanopticMap map{.png = {png.begin(), png.end()}, .size = size};
  const Panel panel{.title = {{"panoptic"}},
                    .map = &map,
                    .map_colours = {{258, {{255, 0, 0}, ""}}, {65536, {{0, 255, 0}, "sky"}}}};
  const cv::Mat image = ImageOf(MustDraw({.image_size = size, .panels = {panel}}), size);
  const cv::Vec3b left = image.at<cv::Vec3b>(200, 100);
  const cv::Vec3b middle = image.at<cv::Vec3b>(200, 250);
  const cv::Vec3b right = image.at<cv::Vec3b>(20, 350);
  EXPECT_EQ(middle, cv::Vec3b(96, 96, 96));
  EXPECT_GT(left[2], middle[2]);
  EXPECT_LT(left[1], middle[1]);
  EXPECT_GT(right[1], middle[1]);

  PanopticMap wrong = map;
  wrong.size.width = 399;
  Panel bad = panel;
  bad.map = &wrong;
  EXPECT_TRUE(absl::IsDataLoss(DrawOverlay({.image_size = size, .panels = {bad}}).status()));
  wrong = {.png = "no picture", .size = size};
  EXPECT_TRUE(absl::IsDataLoss(DrawOverlay({.image_size = size, .panels = {bad}}).status()));
}

TEST(DrawOverlayTest, BytesThatAreNoImageLeavePlainGrey) {
  const auto picture = DrawOverlay({.image_bytes = "not an image",
                                    .image_size = {.height = 32, .width = 32},
                                    .prompts = {{.shape = Click{1, 1}}},
                                    .panels = {{.title = {{"none"}}}}});
  ASSERT_TRUE(picture.ok()) << picture.status();
  EXPECT_FALSE(picture->has_image);
}

TEST(DrawOverlayTest, RefusesWhatItCannotDraw) {
  const OverlayRequest good{.image_size = {.height = 8, .width = 8},
                            .prompts = {{.shape = Click{1, 1}}},
                            .panels = {{.title = {{"none"}}}}};
  EXPECT_TRUE(DrawOverlay(good).ok());
  OverlayRequest bad = good;
  bad.image_size.width = 0;
  EXPECT_TRUE(absl::IsInvalidArgument(DrawOverlay(bad).status()));
  bad = good;
  bad.panels.resize(kMaxPanels + 1, good.panels[0]);
  EXPECT_TRUE(absl::IsInvalidArgument(DrawOverlay(bad).status()));
  bad = good;
  bad.panels = {{}};
  EXPECT_TRUE(absl::IsInvalidArgument(DrawOverlay(bad).status()));
  bad = good;
  std::vector<Mask> masks = {FullMask(good.image_size, 1)};
  masks[0].data.pop_back();
  bad.panels = Panels(masks);
  EXPECT_TRUE(absl::IsDataLoss(DrawOverlay(bad).status()));
}

TEST(DeepestPixelTest, LiesInsideTheMask) {
  cv::Mat ring = cv::Mat::zeros(100, 100, CV_8UC1);
  EXPECT_FALSE(DeepestPixel(ring).has_value());
  cv::circle(ring, {50, 50}, 45, cv::Scalar(255), 20);
  const auto deepest = DeepestPixel(ring);
  ASSERT_TRUE(deepest.has_value());
  EXPECT_EQ(ring.at<uint8_t>(*deepest), 255);
}

TEST(TagPainterTest, ATagLeavesTheMarkOfAClickFree) {
  cv::Mat image(200, 200, CV_8UC3, cv::Scalar(96, 96, 96));
  TagPainter painter(image);
  painter.Avoid({.shape = Click{100, 100}});
  painter.Write("polar bear", {255, 0, 0}, {100, 100});
  const cv::Mat plain(200, 200, CV_8UC3, cv::Scalar(96, 96, 96));
  const cv::Rect mark(91, 91, 18, 18);
  EXPECT_EQ(Differing(image(mark).clone(), plain(mark).clone()), 0);
  EXPECT_GT(Differing(image, plain), 0);
}

TEST(TagPainterTest, NoTagCoversAnother) {
  cv::Mat image(200, 200, CV_8UC3, cv::Scalar(96, 96, 96));
  TagPainter painter(image);
  std::vector<cv::Mat> steps = {image.clone()};
  for (int i = 0; i < 9; ++i) {
    painter.Write(absl::StrCat("tag ", i), {255, 0, 0}, {100, 100});
    steps.push_back(image.clone());
  }
  cv::Mat touched = cv::Mat::zeros(200, 200, CV_8UC1);
  int drawn = 0;
  for (size_t i = 1; i < steps.size(); ++i) {
    cv::Mat change;
    cv::absdiff(steps[i], steps[i - 1], change);
    cv::cvtColor(change, change, cv::COLOR_BGR2GRAY);
    change = change > 0;
    EXPECT_EQ(cv::countNonZero(change & touched), 0) << i;
    touched |= change;
    if (cv::countNonZero(change) > 0) ++drawn;
  }
  EXPECT_EQ(drawn, 5);  // the place itself, two above, two below; the rest is left out
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
