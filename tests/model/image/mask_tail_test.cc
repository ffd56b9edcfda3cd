#include "model/image/mask_tail.h"

#include <gtest/gtest.h>

#include <cmath>

#include "model/image/run_lengths.h"
#include "tests/model/image/image_test_util.h"
#include "tests/support/npy.h"

namespace semsam {
namespace {

using testing::BlobLogits;
using testing::NoiseLogits;

// PyTorch's CPU kernel, one pixel at a time.
float PlainBilinear(LogitsView logits, ImageSize padded, int y, int x) {
  struct Source {
    int i0, i1;
    float w0, w1;
  };
  const auto source = [](int in, int out, int i) -> Source {
    const float at = std::max(0.0f, static_cast<float>(in) / out * (i + 0.5f) - 0.5f);
    const int i0 = static_cast<int>(at);
    return {i0, i0 + (i0 < in - 1), 1.0f - (at - i0), at - i0};
  };
  const Source v = source(logits.size.height, padded.height, y);
  const Source h = source(logits.size.width, padded.width, x);
  const float top = std::fma(h.w0, logits.at(v.i0, h.i0), h.w1 * logits.at(v.i0, h.i1));
  const float bottom = std::fma(h.w0, logits.at(v.i1, h.i0), h.w1 * logits.at(v.i1, h.i1));
  return std::fma(v.w0, top, v.w1 * bottom);
}

std::vector<float> PlainNetworkMap(LogitsView logits, const ImageGeometry& geometry) {
  std::vector<float> map;
  for (int y = 0; y < geometry.network.height; ++y) {
    for (int x = 0; x < geometry.network.width; ++x) {
      map.push_back(PlainBilinear(logits, geometry.padded, y, x));
    }
  }
  return map;
}

// Antialiased bicubic of one line, in double.
std::vector<double> PlainBicubicLine(const std::vector<double>& line, int out) {
  const auto kernel = [](double x) {
    x = std::abs(x);
    if (x < 1) return 1.5 * x * x * x - 2.5 * x * x + 1;
    if (x < 2) return -0.5 * x * x * x + 2.5 * x * x - 4 * x + 2;
    return 0.0;
  };
  const int in = static_cast<int>(line.size());
  const double scale = static_cast<double>(in) / out;
  const double stretch = std::max(1.0, scale);
  std::vector<double> resized;
  for (int i = 0; i < out; ++i) {
    const double center = (i + 0.5) * scale;
    double total = 0, sum = 0;
    for (int k = 0; k < in; ++k) {
      const double weight = kernel((k + 0.5 - center) / stretch);
      total += weight;
      sum += weight * line[k];
    }
    resized.push_back(sum / total);
  }
  return resized;
}

std::vector<double> PlainOriginalMap(LogitsView logits, const ImageGeometry& geometry) {
  const std::vector<float> network = PlainNetworkMap(logits, geometry);
  const auto [height, width] = geometry.network;
  std::vector<std::vector<double>> wide;
  for (int y = 0; y < height; ++y) {
    wide.push_back(PlainBicubicLine({network.begin() + static_cast<ptrdiff_t>(y) * width,
                                     network.begin() + static_cast<ptrdiff_t>(y + 1) * width},
                                    geometry.original.width));
  }
  std::vector<double> map(static_cast<size_t>(geometry.original.area()));
  for (int x = 0; x < geometry.original.width; ++x) {
    std::vector<double> column;
    for (int y = 0; y < height; ++y) column.push_back(wide[y][x]);
    const std::vector<double> resized = PlainBicubicLine(column, geometry.original.height);
    for (int y = 0; y < geometry.original.height; ++y) {
      map[static_cast<size_t>(y) * geometry.original.width + x] = resized[y];
    }
  }
  return map;
}

struct Case {
  std::string name;
  ImageSize grid;
  ImageGeometry geometry;
  std::vector<float> logits;

  LogitsView view() const { return {grid, logits.data()}; }
};

// Grids at, below and above the 64 bits of a word, cut and uncut, blobs and noise,
// and logits of every factor that is not 4.
std::vector<Case> Cases() {
  std::vector<Case> cases;
  const auto add = [&cases](std::string name, ImageSize grid, ImageSize padded, ImageSize network) {
    const ImageGeometry geometry{.original = network, .network = network, .padded = padded};
    cases.push_back({name + " blobs", grid, geometry, BlobLogits(grid, cases.size())});
    cases.push_back({name + " noise", grid, geometry, NoiseLogits(grid, cases.size())});
  };
  for (const ImageSize grid :
       {ImageSize{8, 8}, {16, 63}, {8, 64}, {24, 65}, {1, 1}, {1, 127}, {40, 128}, {3, 2}}) {
    const ImageSize padded{4 * grid.height, 4 * grid.width};
    const std::string name = std::to_string(grid.height) + "x" + std::to_string(grid.width);
    add(name, grid, padded, padded);
    add(name + " cut", grid, padded, {padded.height - 3, padded.width - 2});
    add(name + " cut more", grid, padded, {(padded.height + 1) / 2, (padded.width + 1) / 2});
    add(name + " times 1", grid, grid, grid);
    add(name + " times 3", grid, {3 * grid.height, 3 * grid.width},
        {3 * grid.height - 1, 3 * grid.width});
  }
  return cases;
}

TEST(MaskTail, NetworkMasksEqualThePlainReferenceInEveryPixel) {
  for (const Case& test : Cases()) {
    const std::vector<float> map = PlainNetworkMap(test.view(), test.geometry);
    BinaryMask expected{.size = test.geometry.network};
    for (const float value : map) expected.pixels.push_back(value > 0);
    const BinaryMask mask = LogitsToMask(test.view(), test.geometry, MaskResolution::kNetwork);
    EXPECT_EQ(mask.pixels, expected.pixels) << test.name;
    EXPECT_EQ(LogitsToRunLengths(test.view(), test.geometry, MaskResolution::kNetwork),
              EncodeRunLengths(expected))
        << test.name;
    EXPECT_EQ(UpsampleLogits(test.view(), test.geometry), map) << test.name;
  }
}

TEST(MaskTail, StabilityCountsPixelsAboveTheTwoThresholds) {
  for (const Case& test : Cases()) {
    for (const float offset : {1.0f, 0.25f, 3.0f, 0.0f}) {
      int64_t strict = 0, loose = 0;
      for (const float value : PlainNetworkMap(test.view(), test.geometry)) {
        strict += value > offset;
        loose += value > -offset;
      }
      const float expected = loose == 0 ? 0.0f : static_cast<float>(strict) / loose;
      EXPECT_EQ(StabilityScore(test.view(), test.geometry, offset), expected)
          << test.name << " " << offset;
    }
  }
}

TEST(MaskTail, ValuesNextToTheThresholdAreNotSkipped) {
  // Corners within a few units in the last place of a threshold, on either side.
  std::mt19937 random(12);
  const ImageSize grid{16, 70};
  const ImageGeometry geometry{.original = {64, 280}, .network = {64, 280}, .padded = {64, 280}};
  for (const float threshold : {1.0f, -1.0f, 0.0f}) {
    std::vector<float> logits(grid.area());
    for (float& logit : logits) {
      logit = threshold;
      for (uint32_t steps = random() % 4; steps > 0; --steps) {
        logit = std::nextafter(logit, random() % 2 ? 2.0f : -2.0f);
      }
    }
    const LogitsView view{grid, logits.data()};
    int64_t strict = 0, loose = 0;
    std::vector<uint8_t> mask;
    for (const float value : PlainNetworkMap(view, geometry)) {
      strict += value > 1;
      loose += value > -1;
      mask.push_back(value > 0);
    }
    const float expected = loose == 0 ? 0.0f : static_cast<float>(strict) / loose;
    EXPECT_EQ(StabilityScore(view, geometry), expected) << threshold;
    EXPECT_EQ(LogitsToMask(view, geometry, MaskResolution::kNetwork).pixels, mask) << threshold;
  }
}

TEST(MaskTail, OriginalMasksEqualThePlainReferenceUpToRounding) {
  const ImageSize grid{16, 24};
  const ImageSize padded{64, 96};
  const ImageSize network{60, 91};
  for (const ImageSize original :
       {ImageSize{120, 182}, {61, 92}, {333, 500}, {45, 68}, {13, 20}, {60, 200}, {200, 91}}) {
    for (const bool noise : {false, true}) {
      const std::vector<float> logits = noise ? NoiseLogits(grid, 3) : BlobLogits(grid, 3);
      const LogitsView view{grid, logits.data()};
      const ImageGeometry geometry{.original = original, .network = network, .padded = padded};
      const std::vector<double> map = PlainOriginalMap(view, geometry);
      const BinaryMask mask = LogitsToMask(view, geometry, MaskResolution::kOriginal);
      ASSERT_EQ(mask.size, original);
      int inside = 0;
      for (size_t i = 0; i < map.size(); ++i) {
        inside += mask.pixels[i];
        if (std::abs(map[i]) < 1e-4) continue;
        ASSERT_EQ(mask.pixels[i], map[i] > 0)
            << original.height << "x" << original.width << " pixel " << i << ": " << map[i];
      }
      EXPECT_GT(inside, 0);
      EXPECT_LT(inside, original.area());
      EXPECT_EQ(LogitsToRunLengths(view, geometry, MaskResolution::kOriginal),
                EncodeRunLengths(mask));
    }
  }
}

TEST(MaskTail, EqualOriginalAndNetworkSizesNeedNoSecondResize) {
  const ImageSize grid{10, 20};
  const std::vector<float> logits = NoiseLogits(grid, 8);
  const ImageGeometry geometry{.original = {37, 77}, .network = {37, 77}, .padded = {40, 80}};
  EXPECT_EQ(LogitsToRunLengths({grid, logits.data()}, geometry, MaskResolution::kOriginal),
            LogitsToRunLengths({grid, logits.data()}, geometry, MaskResolution::kNetwork));
}

TEST(MaskTail, UpsampledLogitsEqualThePublishedOnesInEveryBit) {
  const std::string dir = std::string(SEMSAM_PARITY_DIR) + "/net/swin_t_";
  if (!testing::FileExists(dir + "a_click1_up_lv2.npy"))
    GTEST_SKIP() << "no parity folder: " << dir;
  struct Golden {
    const char* image;
    const char* levels;
    std::vector<int> tokens;
  };
  for (const Golden& golden : {Golden{"a", "lv2", {2}}, {"b", "lv0", {0}}, {"c", "lv03", {0, 3}}}) {
    const std::string prompt = dir + golden.image + "_click1_";
    const auto logits = testing::ReadNpy<float>(prompt + "pred_masks.npy");
    const auto expected = testing::ReadNpy<float>(prompt + "up_" + golden.levels + ".npy");
    ASSERT_EQ(logits.shape.size(), 3u);
    const ImageSize grid{static_cast<int>(logits.dim(1)), static_cast<int>(logits.dim(2))};
    const ImageSize network{static_cast<int>(expected.dim(1)), static_cast<int>(expected.dim(2))};
    const ImageGeometry geometry{
        .original = network, .network = network, .padded = {4 * grid.height, 4 * grid.width}};
    for (size_t i = 0; i < golden.tokens.size(); ++i) {
      const LogitsView view{grid, logits.data.data() + golden.tokens[i] * grid.area()};
      const std::vector<float> plane(expected.data.begin() + i * network.area(),
                                     expected.data.begin() + (i + 1) * network.area());
      EXPECT_EQ(UpsampleLogits(view, geometry), plane) << golden.image << " " << golden.tokens[i];
      std::vector<uint8_t> mask;
      for (const float value : plane) mask.push_back(value > 0);
      EXPECT_EQ(LogitsToMask(view, geometry, MaskResolution::kOriginal).pixels, mask);
    }
  }
}

TEST(MaskTail, GeometryIsValidated) {
  const ImageGeometry good{.original = {300, 400}, .network = {60, 80}, .padded = {64, 96}};
  EXPECT_TRUE(ValidateGeometry(good, {16, 24}).ok());
  EXPECT_TRUE(ValidateGeometry(good, {64, 96}).ok());
  EXPECT_FALSE(ValidateGeometry(good, {65, 96}).ok());
  EXPECT_FALSE(ValidateGeometry(good, {0, 24}).ok());
  ImageGeometry bad = good;
  bad.network = {65, 80};
  EXPECT_FALSE(ValidateGeometry(bad, {16, 24}).ok());
  bad = good;
  bad.original = {0, 400};
  EXPECT_FALSE(ValidateGeometry(bad, {16, 24}).ok());
}

}  // namespace
}  // namespace semsam
