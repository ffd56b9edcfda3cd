#include "model/image/resize.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "model/base/errors.h"
#include "tests/model/image/image_test_util.h"
#include "tests/support/npy.h"

namespace semsam {
namespace {

using testing::MakeImage;

Rgb8Image ReadPng(const std::string& path) {
  cv::Mat bgr = cv::imread(path, cv::IMREAD_COLOR);
  Rgb8Image image;
  if (bgr.empty()) return image;
  cv::cvtColor(bgr, bgr, cv::COLOR_BGR2RGB);
  image.size = {bgr.rows, bgr.cols};
  image.pixels.assign(bgr.datastart, bgr.dataend);
  return image;
}

// One axis of PIL's algorithm, written as plainly as possible: `get` reads a sample
// of the line, the result is the line resized to `out`.
template <typename Get>
std::vector<uint8_t> ResizeLine(Get get, int in, int out) {
  const auto kernel = [](double x) {
    x = std::abs(x);
    if (x < 1) return 1.5 * x * x * x - 2.5 * x * x + 1;
    if (x < 2) return -0.5 * x * x * x + 2.5 * x * x - 4 * x + 2;
    return 0.0;
  };
  const double scale = static_cast<double>(in) / out;
  const double stretch = std::max(scale, 1.0);
  std::vector<uint8_t> line;
  for (int i = 0; i < out; ++i) {
    const double center = (i + 0.5) * scale;
    const int begin = std::max(0, static_cast<int>(center - 2 * stretch + 0.5));
    const int end = std::min(in, static_cast<int>(center + 2 * stretch + 0.5));
    double total = 0;
    for (int k = begin; k < end; ++k) total += kernel((k - center + 0.5) / stretch);
    int64_t sum = 1 << 21;
    for (int k = begin; k < end; ++k) {
      const double weight = kernel((k - center + 0.5) / stretch) / total;
      sum += static_cast<int64_t>(std::round(weight * (1 << 22))) * get(k);
    }
    line.push_back(static_cast<uint8_t>(std::clamp<int64_t>(sum >> 22, 0, 255)));
  }
  return line;
}

Rgb8Image PlainResize(const Rgb8Image& image, ImageSize size) {
  Rgb8Image wide;
  wide.size = {image.size.height, size.width};
  wide.pixels.resize(wide.size.area() * 3);
  Rgb8Image out;
  out.size = size;
  out.pixels.resize(size.area() * 3);
  for (int c = 0; c < 3; ++c) {
    for (int y = 0; y < image.size.height; ++y) {
      const auto line =
          ResizeLine([&](int x) { return image.row(y)[3 * x + c]; }, image.size.width, size.width);
      for (int x = 0; x < size.width; ++x) wide.pixels[(y * size.width + x) * 3 + c] = line[x];
    }
    for (int x = 0; x < size.width; ++x) {
      const auto line =
          ResizeLine([&](int y) { return wide.row(y)[3 * x + c]; }, image.size.height, size.height);
      for (int y = 0; y < size.height; ++y) out.pixels[(y * size.width + x) * 3 + c] = line[y];
    }
  }
  return out;
}

TEST(NetworkSize, LongEdgeIsCutToAnInteger) {
  EXPECT_EQ(NetworkSize({256, 320}, 96), (ImageSize{96, 120}));
  EXPECT_EQ(NetworkSize({224, 224}, 100), (ImageSize{100, 100}));
  EXPECT_EQ(NetworkSize({200, 301}, 256), (ImageSize{256, 385}));  // 385.28
  EXPECT_EQ(NetworkSize({301, 200}, 256), (ImageSize{385, 256}));
  EXPECT_EQ(NetworkSize({3000, 4000}, 640), (ImageSize{640, 853}));
  EXPECT_EQ(NetworkSize({640, 1000}, 640), (ImageSize{640, 1000}));
}

TEST(NetworkSize, ALongThinImageIsRefused) {
  const auto size = CheckedNetworkSize({1, 60000}, 640, 4'000'000);
  EXPECT_EQ(ErrorField(size.status()), "image");
  EXPECT_EQ(ErrorReason(size.status()), reason::kImageTooLarge);
  EXPECT_FALSE(CheckedNetworkSize({1, 2000000000}, 2000000000, int64_t{1} << 61).ok());
  const auto fits = CheckedNetworkSize({100, 200}, 640, 640 * 1280);
  ASSERT_TRUE(fits.ok());
  EXPECT_EQ(*fits, (ImageSize{640, 1280}));
  EXPECT_FALSE(CheckedNetworkSize({100, 200}, 640, 640 * 1280 - 1).ok());
}

TEST(ResizeBicubic, EqualsPilBitForBit) {
  const std::string dir = std::string(SEMSAM_PARITY_DIR) + "/";
  if (!testing::FileExists(dir + "resize/img_a_256x320_short96_96x120.png")) {
    GTEST_SKIP() << "no parity folder at " << SEMSAM_PARITY_DIR;
  }
  struct Case {
    const char* input;
    const char* expected;
    int short_edge_px;
  };
  for (const Case& test :
       {Case{"images/img_a_256x320.png", "resize/img_a_256x320_short96_96x120.png", 96},
        Case{"images/img_b_224x224.png", "resize/img_b_224x224_short100_100x100.png", 100},
        Case{"images/img_c_200x301.png", "resize/img_c_200x301_short256_256x385.png", 256}}) {
    const Rgb8Image image = ReadPng(dir + test.input);
    const Rgb8Image expected = ReadPng(dir + test.expected);
    ASSERT_GT(image.size.area(), 0) << test.input;
    const ImageSize size = NetworkSize(image.size, test.short_edge_px);
    EXPECT_EQ(size, expected.size);
    EXPECT_EQ(ResizeBicubic(image, size).pixels, expected.pixels) << test.expected;
  }
}

TEST(ResizeBicubic, EqualsThePlainAlgorithmAtOddSizes) {
  std::mt19937 random(3);
  for (int i = 0; i < 60; ++i) {
    const auto side = [&random] { return 1 + static_cast<int>(random() % 70); };
    const ImageSize from{side(), side()};
    const ImageSize to{side(), side()};
    Rgb8Image image = MakeImage(from, i);
    // Extremes reach the clipping and the largest sums.
    if (i % 2) {
      for (uint8_t& value : image.pixels) value = random() % 2 ? 255 : 0;
    }
    EXPECT_EQ(ResizeBicubic(image, to).pixels, PlainResize(image, to).pixels)
        << from.height << "x" << from.width << " to " << to.height << "x" << to.width;
  }
}

TEST(ResizeBicubic, AFlatImageStaysFlat) {
  Rgb8Image image = MakeImage({31, 500});
  std::fill(image.pixels.begin(), image.pixels.end(), 200);
  for (const ImageSize size : {ImageSize{7, 3}, ImageSize{100, 900}, ImageSize{31, 500}}) {
    const Rgb8Image resized = ResizeBicubic(image, size);
    EXPECT_EQ(resized.pixels, std::vector<uint8_t>(size.area() * 3, 200));
  }
}

}  // namespace
}  // namespace semsam
