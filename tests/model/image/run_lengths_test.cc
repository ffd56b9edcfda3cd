#include "model/image/run_lengths.h"

#include <gtest/gtest.h>

#include <numeric>
#include <random>

#include "tests/model/image/image_test_util.h"

namespace semsam {
namespace {

using testing::MaskFromRows;
using testing::RandomMask;

// Column-major counts, pixel by pixel.
RunLengths PlainRunLengths(const BinaryMask& mask) {
  RunLengths runs{.size = mask.size, .counts = {0}};
  uint8_t value = 0;
  for (int x = 0; x < mask.size.width; ++x) {
    for (int y = 0; y < mask.size.height; ++y) {
      const uint8_t pixel = mask.pixels[static_cast<size_t>(y) * mask.size.width + x];
      if (pixel != value) runs.counts.push_back(0);
      value = pixel;
      ++runs.counts.back();
    }
  }
  return runs;
}

const ImageSize kSizes[] = {{1, 1}, {1, 64}, {64, 1}, {3, 63}, {5, 65}, {17, 130}, {40, 128}};

TEST(RunLengths, CountsAreColumnMajorAndStartWithZeros) {
  EXPECT_EQ(EncodeRunLengths(MaskFromRows({"....", "...."})).counts, (std::vector<uint32_t>{8}));
  EXPECT_EQ(EncodeRunLengths(MaskFromRows({"####", "####"})).counts, (std::vector<uint32_t>{0, 8}));
  EXPECT_EQ(EncodeRunLengths(MaskFromRows({"#...", ".#..", "..##"})).counts,
            (std::vector<uint32_t>{0, 1, 3, 1, 3, 1, 2, 1}));
}

TEST(RunLengths, EncodingEqualsThePlainWayAndDecodingUndoesIt) {
  for (const ImageSize size : kSizes) {
    for (const double density : {0.0, 0.05, 0.5, 0.97, 1.0}) {
      const BinaryMask mask = RandomMask(size, density, 11);
      const RunLengths runs = EncodeRunLengths(mask);
      EXPECT_EQ(runs, PlainRunLengths(mask)) << size.height << "x" << size.width;
      EXPECT_EQ(DecodeRunLengths(runs).pixels, mask.pixels);
    }
  }
}

TEST(RunLengths, AreaAndBoxMatchThePixels) {
  for (const ImageSize size : kSizes) {
    for (const double density : {0.0, 0.02, 0.3, 1.0}) {
      const BinaryMask mask = RandomMask(size, density, 7);
      int left = size.width, right = -1, top = size.height, bottom = -1, area = 0;
      for (int y = 0; y < size.height; ++y) {
        for (int x = 0; x < size.width; ++x) {
          if (!mask.pixels[static_cast<size_t>(y) * size.width + x]) continue;
          ++area;
          left = std::min(left, x);
          right = std::max(right, x);
          top = std::min(top, y);
          bottom = std::max(bottom, y);
        }
      }
      const RunLengths runs = EncodeRunLengths(mask);
      EXPECT_EQ(MaskArea(runs), area);
      const PixelBox expected =
          area == 0 ? PixelBox{} : PixelBox{left, top, right - left + 1, bottom - top + 1};
      EXPECT_EQ(BoundingBox(runs), expected) << size.height << "x" << size.width;
    }
  }
}

TEST(RunLengths, IouMatchesThePixels) {
  for (const ImageSize size : kSizes) {
    for (const double density : {0.1, 0.5, 1.0}) {
      const BinaryMask a = RandomMask(size, density, 1);
      const BinaryMask b = RandomMask(size, 0.6, 2);
      int both = 0, either = 0;
      for (size_t i = 0; i < a.pixels.size(); ++i) {
        both += a.pixels[i] & b.pixels[i];
        either += a.pixels[i] | b.pixels[i];
      }
      const double expected = either == 0 ? 0.0 : static_cast<double>(both) / either;
      EXPECT_DOUBLE_EQ(MaskIou(EncodeRunLengths(a), EncodeRunLengths(b)), expected);
      EXPECT_EQ(SharedArea(EncodeRunLengths(a), EncodeRunLengths(b)), both);
    }
  }
}

TEST(RunLengths, IouOfEmptyMasksIsZero) {
  const RunLengths empty = EncodeRunLengths(RandomMask({4, 4}, 0.0, 1));
  EXPECT_EQ(MaskIou(empty, empty), 0.0);
  const RunLengths full = EncodeRunLengths(RandomMask({4, 4}, 1.0, 1));
  EXPECT_EQ(MaskIou(empty, full), 0.0);
  EXPECT_EQ(MaskIou(full, full), 1.0);
}

TEST(RunLengths, WindowsRoundTrip) {
  std::mt19937 random(5);
  for (int round = 0; round < 200; ++round) {
    const ImageSize size = {1 + static_cast<int>(random() % 20),
                            1 + static_cast<int>(random() % 20)};
    PixelBox window = {.x = static_cast<int>(random() % size.width),
                       .y = static_cast<int>(random() % size.height)};
    window.width = 1 + static_cast<int>(random() % (size.width - window.x));
    window.height = 1 + static_cast<int>(random() % (size.height - window.y));
    const BinaryMask pixels = testing::RandomMask({window.height, window.width}, 0.6, random());
    BinaryMask whole{.size = size, .pixels = std::vector<uint8_t>(size.area())};
    for (int y = 0; y < window.height; ++y) {
      std::copy_n(pixels.pixels.begin() + y * window.width, window.width,
                  whole.pixels.begin() + (window.y + y) * size.width + window.x);
    }
    const RunLengths runs = EncodeWindow(pixels, window, size);
    ASSERT_EQ(runs, EncodeRunLengths(whole)) << round;
    ASSERT_EQ(DecodeWindow(runs, window).pixels, pixels.pixels) << round;
  }
}

}  // namespace
}  // namespace semsam
