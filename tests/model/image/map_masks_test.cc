#include "model/image/map_masks.h"

#include <gtest/gtest.h>

#include <limits>
#include <random>

#include "model/image/image_header.h"
#include "model/image/panoptic_png.h"
#include "model/image/png_codec.h"
#include "model/image/run_lengths.h"

namespace semsam {
namespace {

// Patches of random labels.
std::vector<int32_t> RandomMap(ImageSize size, int labels, uint32_t seed) {
  std::mt19937 random(seed);
  std::vector<int32_t> map(size.area());
  for (int i = 0; i < 12; ++i) {
    const int top = static_cast<int>(random() % size.height);
    const int left = static_cast<int>(random() % size.width);
    const auto label = static_cast<int32_t>(random() % labels);
    for (int y = top; y < size.height; ++y) {
      for (int x = left; x < size.width; ++x) map[y * size.width + x] = label;
    }
  }
  return map;
}

TEST(MasksOfMap, EqualEncodingEachLabelAlone) {
  for (const ImageSize size : {ImageSize{37, 53}, ImageSize{1, 40}, ImageSize{40, 1},
                               ImageSize{16, 16}, ImageSize{1, 1}}) {
    const std::vector<int32_t> map = RandomMap(size, 9, 5);
    const auto masks = MasksOfMap(map, size, 0, 9);
    ASSERT_TRUE(masks.ok()) << masks.status();
    int64_t total = 0;
    int last = -1;
    for (const LabelMask& mask : *masks) {
      BinaryMask plain{.size = size};
      for (const int32_t label : map) plain.pixels.push_back(label == mask.label);
      EXPECT_EQ(mask.mask, EncodeRunLengths(plain));
      EXPECT_EQ(mask.area, MaskArea(mask.mask));
      EXPECT_GT(mask.label, last);
      EXPECT_GT(mask.area, 0);
      last = mask.label;
      total += mask.area;
    }
    EXPECT_EQ(total, size.area());
  }
}

TEST(MasksOfMap, LabelsOutsideTheRangeHaveNoMask) {
  constexpr int32_t kLeast = std::numeric_limits<int32_t>::min();
  constexpr int32_t kMost = std::numeric_limits<int32_t>::max();
  const std::vector<int32_t> map = {0, 1, 2, 3, kLeast, kMost};
  const auto masks = MasksOfMap(map, {2, 3}, 1, 3);
  ASSERT_TRUE(masks.ok());
  ASSERT_EQ(masks->size(), 2u);
  EXPECT_EQ((*masks)[0].label, 1);
  EXPECT_EQ((*masks)[0].mask.counts, (std::vector<uint32_t>{2, 1, 3}));
  EXPECT_EQ((*masks)[1].label, 2);
}

TEST(MasksOfMap, AMapThatDoesNotFillItsSizeIsAnError) {
  const std::vector<int32_t> map(6);
  EXPECT_EQ(MasksOfMap(map, {2, 4}, 0, 1).status().code(), absl::StatusCode::kInternal);
  EXPECT_EQ(MasksOfMap({}, {0, 0}, 0, 1).status().code(), absl::StatusCode::kInternal);
  EXPECT_EQ(MasksOfMap(map, {2, 3}, 1, 0).status().code(), absl::StatusCode::kInternal);
}

TEST(EncodePanopticPng, DecodesToTheIdsByPanopticapisRule) {
  PanopticMap map{.size = {3, 5}};
  map.ids = {0, 1, 255, 256, 257, 65535, 65536, 70000, (1 << 24) - 1, 7, 7, 7, 8, 8, 0};
  const auto png = EncodePanopticPng(map);
  ASSERT_TRUE(png.ok()) << png.status();
  const std::span<const uint8_t> bytes(reinterpret_cast<const uint8_t*>(png->data()), png->size());
  const auto header = ReadImageHeader(bytes);
  ASSERT_TRUE(header.ok()) << header.status();
  const auto image = DecodePng(bytes, *header);
  ASSERT_TRUE(image.ok()) << image.status();
  ASSERT_EQ(image->size, map.size);
  for (size_t i = 0; i < map.ids.size(); ++i) {
    const uint8_t* rgb = image->pixels.data() + 3 * i;
    EXPECT_EQ(rgb[0] + 256 * rgb[1] + 65536 * rgb[2], map.ids[i]);
  }
}

TEST(EncodePanopticPng, IdsThatDoNotFitAreAnError) {
  PanopticMap map{.size = {1, 2}, .ids = {0, 1 << 24}};
  EXPECT_EQ(EncodePanopticPng(map).status().code(), absl::StatusCode::kInternal);
  map.ids = {0, -1};
  EXPECT_EQ(EncodePanopticPng(map).status().code(), absl::StatusCode::kInternal);
  map.ids = {0};
  EXPECT_EQ(EncodePanopticPng(map).status().code(), absl::StatusCode::kInternal);
}

}  // namespace
}  // namespace semsam
