#include "server/pipeline/model_pool.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "model/base/errors.h"
#include "server/cache/sha256.h"
#include "tests/fakes/fake_segmenter.h"

namespace semsam {
namespace {

TEST(HomeDevice, EachGetsItsShare) {
  std::vector<int> images(4);
  for (int i = 0; i < 4000; ++i) ++images[HomeDevice(Sha256Hex(std::to_string(i)), 4)];
  for (const int count : images) {
    EXPECT_GT(count, 850);
    EXPECT_LT(count, 1150);
  }
}

TEST(HomeDevice, OneMoreTakesImagesOnlyForItself) {
  for (int i = 0; i < 1000; ++i) {
    const std::string sha256 = Sha256Hex(std::to_string(i));
    const int with = HomeDevice(sha256, 4);
    if (with != 3) {
      EXPECT_EQ(with, HomeDevice(sha256, 3));
    }
    EXPECT_EQ(HomeDevice(sha256, 1), 0);
  }
}

TEST(CheckModels, AllMustBeTheSame) {
  FakeSegmenter one;
  FakeSegmenter same;
  FakeSegmenter other({.digest = std::string(64, 'e')});
  EXPECT_TRUE(CheckModels({&one}).ok());
  EXPECT_TRUE(CheckModels({&one, &same}).ok());
  EXPECT_EQ(ErrorField(CheckModels({})), "models");
  EXPECT_EQ(ErrorField(CheckModels({&one, &same, &other})), "models");
  EXPECT_EQ(DeviceNames({&one, &same}), "cpu,cpu");
}

}  // namespace
}  // namespace semsam
