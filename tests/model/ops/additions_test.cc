// Prompt maps, features at points and means under masks: by hand, and on both paths.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "model/ops/mask_pooling.h"
#include "model/ops/point_features.h"
#include "model/ops/prompt_maps.h"

namespace semsam::ops {
namespace {

double MaxDifference(const at::Tensor& a, const at::Tensor& b) {
  EXPECT_EQ(a.sizes(), b.sizes());
  return (a - b).abs().max().item<double>();
}

class AdditionOps : public ::testing::Test {
 protected:
  void SetUp() override { at::manual_seed(7); }
};

// --- Prompt maps ---

const PromptMapShape kMaps = {.sigmas = {0.03f, 0.2f, 0.5f}, .ramps = {0.02f, 0.3f}};

// In plain loops from the definition.
at::Tensor MapsByHand(const at::Tensor& centres, const at::Tensor& weights, ImageSize grid) {
  const int64_t tokens = weights.size(0) / centres.size(0);
  at::Tensor out = at::zeros({weights.size(0), grid.height, grid.width}, at::kDouble);
  for (int64_t q = 0; q < weights.size(0); ++q) {
    for (int y = 0; y < grid.height; ++y) {
      for (int x = 0; x < grid.width; ++x) {
        const double side = std::max(grid.height, grid.width);
        const double dx = (x + 0.5 - centres[q / tokens][0].item<double>() * grid.width) / side;
        const double dy = (y + 0.5 - centres[q / tokens][1].item<double>() * grid.height) / side;
        double sum = 0;
        int64_t k = 0;
        for (const double s : kMaps.sigmas) {
          sum += weights[q][k++].item<double>() * std::exp(-(dx * dx + dy * dy) / (2 * s * s));
        }
        for (const double r : kMaps.ramps) {
          sum += weights[q][k++].item<double>() * std::tanh(dx / r);
        }
        for (const double r : kMaps.ramps) {
          sum += weights[q][k++].item<double>() * std::tanh(dy / r);
        }
        out[q][y][x] = sum;
      }
    }
  }
  return out.flatten(1);
}

TEST_F(AdditionOps, PromptMapsAreWhatTheirDefinitionSays) {
  const at::Tensor centres = at::tensor({0.3f, 0.6f, 0.f, 1.f}).view({2, 2});
  const at::Tensor weights = at::randn({6, kMaps.count()});
  for (const ImageSize grid : {ImageSize{9, 21}, ImageSize{16, 8}}) {
    const at::Tensor logits = at::randn({6, grid.area()});
    const at::Tensor expected = logits.to(at::kDouble) + MapsByHand(centres, weights, grid);
    for (const Path path : {Path::kReference, Path::kTraining}) {
      const at::Tensor actual = AddPromptMaps(kMaps, centres, weights, grid, logits, path);
      EXPECT_LT(MaxDifference(actual.to(at::kDouble), expected), 1e-5);
      EXPECT_FALSE(actual.is_same(logits));
    }
    const at::Tensor native = AddPromptMaps(kMaps, centres, weights, grid, logits, Path::kNative);
    EXPECT_LT(MaxDifference(native.to(at::kDouble), expected), 1e-5);
    EXPECT_TRUE(native.is_same(logits)) << "a pass over all masks for nothing";
  }
}

TEST_F(AdditionOps, PromptMapsOfOneKindAloneWork) {
  const ImageSize grid = {8, 12};
  const at::Tensor centres = at::rand({2, 2});
  for (const PromptMapShape& shape : {PromptMapShape{.sigmas = {0.1f}, .ramps = {}},
                                      PromptMapShape{.sigmas = {}, .ramps = {0.1f}}}) {
    const at::Tensor weights = at::randn({4, shape.count()});
    const at::Tensor zeros = at::zeros({4, grid.area()});
    EXPECT_LT(
        MaxDifference(AddPromptMaps(shape, centres, weights, grid, zeros.clone(), Path::kNative),
                      AddPromptMaps(shape, centres, weights, grid, zeros, Path::kReference)),
        1e-5);
  }
}

TEST_F(AdditionOps, PromptMapsOfAPromptDoNotDependOnOthers) {
  const ImageSize grid = {15, 20};
  const at::Tensor centres = at::rand({5, 2});
  const at::Tensor weights = at::randn({30, kMaps.count()});
  const at::Tensor logits = at::randn({30, grid.area()});
  const at::Tensor all =
      AddPromptMaps(kMaps, centres, weights, grid, logits.clone(), Path::kNative);
  for (int64_t p = 0; p < 5; ++p) {
    for (int64_t tokens = 1; tokens <= 6; ++tokens) {
      const int64_t first = p * 6;
      const at::Tensor one =
          AddPromptMaps(kMaps, centres.slice(0, p, p + 1), weights.slice(0, first, first + tokens),
                        grid, logits.slice(0, first, first + tokens).clone(), Path::kNative);
      EXPECT_TRUE(at::equal(one, all.slice(0, first, first + tokens)));
    }
  }
}

TEST_F(AdditionOps, MapsThatDoNotFitAreRefused) {
  const at::Tensor centres = at::rand({2, 2});
  const at::Tensor logits = at::randn({6, 20});
  EXPECT_THROW(AddPromptMaps(kMaps, centres, at::randn({6, 3}), {4, 5}, logits, Path::kNative),
               c10::Error);
  EXPECT_THROW(
      AddPromptMaps(kMaps, centres, at::randn({6, kMaps.count()}), {4, 6}, logits, Path::kNative),
      c10::Error);
}

// --- Features at points ---

PyramidMemory MakeMemory(int channels, ImageSize finest, at::ScalarType type = at::kFloat) {
  PyramidMemory image;
  int64_t tokens = 0;
  for (const int stride : {4, 2, 1}) {
    image.levels.push_back({finest.height / stride, finest.width / stride});
    tokens += image.levels.back().area();
  }
  image.memory = at::randn({tokens, channels}, type);
  return image;
}

TEST_F(AdditionOps, PointFeaturesAreBilinearWithTheBorderGoingOn) {
  PyramidMemory image;
  image.levels = {{1, 1}, {2, 4}};
  image.memory = at::tensor({7.f, 0.f, 1.f, 2.f, 3.f, 10.f, 11.f, 12.f, 13.f}).view({9, 1});
  // The middle of a pixel, between four of them, and the corners of the picture.
  const at::Tensor points =
      at::tensor({.375f, .25f, .25f, .5f, 0.f, 0.f, 1.f, 1.f, 1.f, 0.f}).view({5, 2});
  const at::Tensor expected =
      at::tensor({7.f, 1.f, 7.f, 5.5f, 7.f, 0.f, 7.f, 13.f, 7.f, 3.f}).view({5, 2});
  for (const Path path : {Path::kNative, Path::kReference, Path::kTraining}) {
    const std::vector<int> image_of = {0, 0, 0, 0, 0};
    EXPECT_LT(MaxDifference(PointFeatures({&image, 1}, image_of, points, path), expected), 1e-6);
  }
}

TEST_F(AdditionOps, PointFeaturesOfSeveralImagesKeepTheOrderOfThePoints) {
  const std::vector<PyramidMemory> images = {MakeMemory(48, {8, 12}), MakeMemory(48, {16, 4}),
                                             MakeMemory(48, {4, 4})};
  const std::vector<int> image_of = {2, 0, 1, 1, 0, 2, 0};
  const at::Tensor points = at::rand({7, 2}) * 1.2 - 0.1;  // some outside
  const at::Tensor native = PointFeatures(images, image_of, points, Path::kNative);
  EXPECT_LT(MaxDifference(native, PointFeatures(images, image_of, points, Path::kTraining)), 1e-5);
  for (int64_t p = 0; p < 7; ++p) {
    const std::vector<int> first = {0};
    const at::Tensor one = PointFeatures({&images[static_cast<size_t>(image_of[p])], 1}, first,
                                         points.slice(0, p, p + 1), Path::kNative);
    EXPECT_TRUE(at::equal(one[0], native[p]));
  }
}

TEST_F(AdditionOps, APointThatIsNoNumberStaysInsideTheImage) {
  const PyramidMemory image = MakeMemory(16, {8, 8});
  const std::vector<int> image_of = {0};
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const float far = std::numeric_limits<float>::infinity();
  const at::Tensor features =
      PointFeatures({&image, 1}, image_of, at::tensor({nan, far}).view({1, 2}), Path::kNative);
  EXPECT_TRUE(features.isfinite().all().item<bool>());
}

TEST_F(AdditionOps, PointFeaturesTrainTheMemoryUnderThePoints) {
  PyramidMemory image = MakeMemory(3, {4, 4}, at::kDouble);
  image.memory.requires_grad_(true);
  const std::vector<int> image_of = {0, 0};
  PointFeatures({&image, 1}, image_of, at::tensor({.3, .4, .3, .4}, at::kDouble).view({2, 2}),
                Path::kTraining)
      .sum()
      .backward();
  // Every level gets one of each channel and point.
  EXPECT_NEAR(image.memory.grad().sum().item<double>(), 3 * 3 * 2, 1e-9);
}

// As in mixed precision, where the memory comes out of a product.
TEST_F(AdditionOps, PointsInSinglePrecisionReadAMemoryInHalf) {
  PyramidMemory image = MakeMemory(16, {8, 8});
  const std::vector<int> image_of = {0, 0};
  const at::Tensor points = at::rand({2, 2});
  const at::Tensor expected = PointFeatures({&image, 1}, image_of, points, Path::kTraining);
  image.memory = image.memory.to(at::kBFloat16);
  const at::Tensor actual = PointFeatures({&image, 1}, image_of, points, Path::kTraining);
  EXPECT_LT(MaxDifference(actual, expected), 0.05);
}

// --- Means under masks ---

TEST_F(AdditionOps, MeansUnderMasksOnBothPathsAgree) {
  for (const int64_t channels : {20, 32, 64, 128}) {
    for (const int factor : {1, 2, 4}) {
      const ImageSize level = {7, 71};  // not whole lanes, more than a block of cells
      const ImageSize grid = {level.height * factor, level.width * factor};
      const at::Tensor logits = at::randn({9, grid.area()}) * 8;
      const at::Tensor features = at::randn({level.area(), channels});
      EXPECT_LT(MaxDifference(PoolUnderMasks(logits, grid, features, level, Path::kNative),
                              PoolUnderMasks(logits, grid, features, level, Path::kReference)),
                2e-6);
    }
  }
}

TEST_F(AdditionOps, TheMeanIsThatOfWhatTheMaskCovers) {
  const ImageSize level = {2, 2};
  const at::Tensor features = at::tensor({1.f, 2.f, 4.f, 8.f}).view({4, 1}).expand({4, 32});
  at::Tensor logits = at::full({3, 4, 4}, -200.f);
  logits[0].slice(0, 0, 2).slice(1, 2, 4).fill_(200.f);  // one cell of the level
  logits[1][3].fill_(200.f);                             // half of the two lower ones
  for (const Path path : {Path::kNative, Path::kReference}) {
    const at::Tensor mean = PoolUnderMasks(logits.flatten(1), {4, 4}, features, level, path);
    EXPECT_NEAR(mean[0][5].item<float>(), 2, 1e-5);
    EXPECT_NEAR(mean[1][31].item<float>(), 6, 1e-5);
    EXPECT_NEAR(mean[2][0].item<float>(), 0, 1e-5);  // nothing is covered
  }
}

TEST_F(AdditionOps, AMeanDoesNotDependOnOtherMasks) {
  const ImageSize level = {12, 25};
  const ImageSize grid = {24, 50};
  const at::Tensor features = at::randn({level.area(), 80});
  const at::Tensor logits = at::randn({17, grid.area()});
  const at::Tensor all = PoolUnderMasks(logits, grid, features, level, Path::kNative);
  for (int64_t n : {1, 2, 3, 5, 6, 7, 13}) {
    EXPECT_TRUE(
        at::equal(PoolUnderMasks(logits.slice(0, 17 - n), grid, features, level, Path::kNative),
                  all.slice(0, 17 - n)));
  }
}

TEST_F(AdditionOps, MeansTrainTheFeaturesNotTheMasks) {
  const at::Tensor logits = at::randn({2, 64}, at::kDouble).requires_grad_(true);
  const at::Tensor features = at::randn({16, 5}, at::kDouble).requires_grad_(true);
  PoolUnderMasks(logits, {8, 8}, features, {4, 4}, Path::kTraining).sum().backward();
  EXPECT_FALSE(logits.grad().defined());
  EXPECT_NEAR(features.grad().sum().item<double>(), 2 * 5, 1e-5);
}

TEST_F(AdditionOps, MasksThatDoNotFitTheLevelAreRefused) {
  const at::Tensor features = at::randn({6, 16});
  EXPECT_THROW(PoolUnderMasks(at::randn({1, 30}), {5, 6}, features, {2, 3}, Path::kNative),
               c10::Error);
  EXPECT_THROW(PoolUnderMasks(at::randn({1, 6}), {1, 6}, features, {2, 3}, Path::kNative),
               c10::Error);
}

}  // namespace
}  // namespace semsam::ops
