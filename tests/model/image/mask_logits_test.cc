#include "model/image/mask_logits.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "model/base/float16.h"
#include "tests/model/image/image_test_util.h"

namespace semsam {
namespace {

using testing::BlobLogits;

// A picture whose network frame needs padding on both axes.
constexpr ImageGeometry kGeometry{
    .original = {50, 90}, .network = {100, 180}, .padded = {128, 192}};
constexpr ImageSize kGrid{32, 48};

float ValueOf(const PackedLogits& packed, int y, int x) {
  const size_t at = (static_cast<size_t>(y) * packed.size.width + x) * 2;
  const auto low = static_cast<uint8_t>(packed.halves[at]);
  const auto high = static_cast<uint8_t>(packed.halves[at + 1]);
  return HalfToFloat(static_cast<uint16_t>(high << 8 | low));
}

// What a client makes of them: bilinear between cells, the outermost beyond the last centre.
float At(const PackedLogits& packed, float x, float y) {
  const auto split = [](float at, int cells) {
    at = std::clamp(at, 0.0f, static_cast<float>(cells - 1));
    const int first = std::min(static_cast<int>(at), std::max(0, cells - 2));
    return std::pair(first, at - static_cast<float>(first));
  };
  const auto [row, down] = split(y / packed.cell_height - 0.5f, packed.size.height);
  const auto [column, right] = split(x / packed.cell_width - 0.5f, packed.size.width);
  const auto line = [&, column = column, right = right](int at) {
    return (1 - right) * ValueOf(packed, at, column) + right * ValueOf(packed, at, column + 1);
  };
  return (1 - down) * line(row) + down * line(row + 1);
}

TEST(MaskLogits, TheGridIsCutToThePicture) {
  const std::vector<float> logits = BlobLogits(kGrid, 1);
  const PackedLogits original =
      PackLogits({kGrid, logits.data()}, kGeometry, MaskResolution::kOriginal);
  EXPECT_EQ(original.size, (ImageSize{25, 45}));
  EXPECT_EQ(original.cell_width, 2);
  EXPECT_EQ(original.cell_height, 2);
  EXPECT_EQ(original.halves.size(), 25 * 45 * 2);
  const PackedLogits network =
      PackLogits({kGrid, logits.data()}, kGeometry, MaskResolution::kNetwork);
  EXPECT_EQ(network.cell_width, 4);
  EXPECT_EQ(network.cell_height, 4);
  EXPECT_EQ(network.halves, original.halves);
}

TEST(MaskLogits, ACellThatReachesIntoThePictureIsKept) {
  const std::vector<float> logits(static_cast<size_t>(kGrid.area()), 1.0f);
  const PackedLogits packed = PackLogits(
      {kGrid, logits.data()}, {.original = {97, 101}, .network = {97, 101}, .padded = {128, 192}},
      MaskResolution::kOriginal);
  EXPECT_EQ(packed.size, (ImageSize{25, 26}));
}

TEST(MaskLogits, ValuesAreTheNearestHalvesLowByteFirst) {
  std::vector<float> logits(static_cast<size_t>(kGrid.area()), 0.0f);
  logits[0] = 1.0f;
  logits[1] = -2.5f;
  logits[2] = 1e9f;
  logits[3] = -1e9f;
  logits[kGrid.width] = 0.1f;
  const PackedLogits packed =
      PackLogits({kGrid, logits.data()}, kGeometry, MaskResolution::kOriginal);
  EXPECT_EQ(packed.halves.substr(0, 2), std::string("\x00\x3c", 2));
  EXPECT_EQ(ValueOf(packed, 0, 1), -2.5f);
  EXPECT_EQ(ValueOf(packed, 0, 2), 65504.0f) << "no infinity travels";
  EXPECT_EQ(ValueOf(packed, 0, 3), -65504.0f);
  EXPECT_EQ(ValueOf(packed, 1, 0), HalfToFloat(FloatToHalf(0.1f)));
}

TEST(MaskLogits, AClientCanMakeTheMaskOfThem) {
  int64_t different = 0;
  int64_t set = 0;
  for (uint32_t seed = 0; seed < 8; ++seed) {
    const std::vector<float> logits = BlobLogits(kGrid, seed);
    const LogitsView view{kGrid, logits.data()};
    const BinaryMask mask = LogitsToMask(view, kGeometry, MaskResolution::kNetwork);
    const PackedLogits packed = PackLogits(view, kGeometry, MaskResolution::kNetwork);
    for (int y = 0; y < mask.size.height; ++y) {
      for (int x = 0; x < mask.size.width; ++x) {
        const bool own = At(packed, static_cast<float>(x) + 0.5f, static_cast<float>(y) + 0.5f) > 0;
        const bool theirs = mask.pixels[static_cast<size_t>(y) * mask.size.width + x] != 0;
        different += own != theirs ? 1 : 0;
        set += theirs ? 1 : 0;
      }
    }
  }
  EXPECT_GT(set, 10000);
  EXPECT_LT(different, set / 500);
}

}  // namespace
}  // namespace semsam
