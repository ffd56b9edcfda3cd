#include "model/image/polygon_mask.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <limits>
#include <string>
#include <vector>

#include "model/image/mask_codec.h"
#include "model/image/run_length_sets.h"
#include "nlohmann/json.hpp"
#include "tests/model/image/image_test_util.h"

namespace semsam {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(PolygonMask, EqualsPycocotoolsInEveryPixel) {
  std::ifstream file(SEMSAM_SOURCE_DIR "/tests/model/image/polygon_samples.json");
  const nlohmann::json samples = nlohmann::json::parse(file, nullptr, false);
  ASSERT_TRUE(samples.is_array());
  ASSERT_GT(samples.size(), 200);
  for (const nlohmann::json& sample : samples) {
    const ImageSize size{.height = sample["height"], .width = sample["width"]};
    RunLengths filled = EmptyMask(size);
    for (const nlohmann::json& polygon : sample["polygons"]) {
      const auto one = FillPolygon(polygon.get<std::vector<double>>(), size);
      ASSERT_TRUE(one.ok()) << one.status();
      filled = UnionOf(filled, *one);
    }
    const auto expected = DecodeCocoString(sample["counts"].get<std::string>(), size);
    ASSERT_TRUE(expected.ok()) << expected.status();
    EXPECT_EQ(testing::RowsOf(DecodeRunLengths(filled)),
              testing::RowsOf(DecodeRunLengths(*expected)))
        << sample.dump();
  }
}

TEST(PolygonMask, ARectangleCoversWhatItTouchesTheCentresOf) {
  const auto mask =
      FillPolygon(std::vector<double>{1, 1, 4, 1, 4, 3, 1, 3}, {.height = 4, .width = 5});
  ASSERT_TRUE(mask.ok());
  EXPECT_THAT(testing::RowsOf(DecodeRunLengths(*mask)),
              ElementsAre(".....", ".###.", ".###.", "....."));
}

TEST(PolygonMask, WhatIsNoOutlineIsRefused) {
  const ImageSize size{.height = 4, .width = 5};
  const auto message = [&](const std::vector<double>& xy) {
    return std::string(FillPolygon(xy, size).status().message());
  };
  EXPECT_THAT(message({1, 1, 2, 2, 3}), HasSubstr("5 numbers, not pairs"));
  EXPECT_THAT(message({1, 1, 2, 2}), HasSubstr("fewer than three points"));
  EXPECT_THAT(message({}), HasSubstr("fewer than three points"));
  EXPECT_THAT(message({1, 1, 2, std::numeric_limits<double>::quiet_NaN(), 3, 3}),
              HasSubstr("point 1 is out of range"));
  EXPECT_THAT(message({1, 1, 2, 2, 1e300, 3}), HasSubstr("point 2 is out of range"));
  std::vector<double> long_one;
  for (int i = 0; i < 40; ++i) {
    long_one.push_back(i % 2 == 0 ? -1e6 : 1e6);
    long_one.push_back(i);
  }
  EXPECT_THAT(message(long_one), HasSubstr("too long"));
}

}  // namespace
}  // namespace semsam
