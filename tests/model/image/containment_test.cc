#include "model/image/containment.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "model/base/errors.h"
#include "model/image/run_lengths.h"
#include "tests/model/image/image_test_util.h"

namespace semsam {
namespace {

std::vector<int> Parents(const std::vector<RunLengths>& masks, double share) {
  std::vector<const RunLengths*> pointers;
  for (const RunLengths& mask : masks) pointers.push_back(&mask);
  const auto parents = FindParents(pointers, share);
  EXPECT_TRUE(parents.ok()) << parents.status();
  return parents.value_or(std::vector<int>());
}

RunLengths Rectangle(ImageSize size, int x, int y, int width, int height) {
  BinaryMask mask{.size = size, .pixels = std::vector<uint8_t>(size.area())};
  for (int r = y; r < y + height; ++r) {
    std::fill_n(mask.pixels.begin() + r * size.width + x, width, uint8_t{1});
  }
  return EncodeRunLengths(mask);
}

constexpr ImageSize kSize = {20, 30};

TEST(FindParents, WalksFromSceneToObjectToPart) {
  const std::vector<RunLengths> masks = {Rectangle(kSize, 4, 4, 2, 2),    // part
                                         Rectangle(kSize, 0, 0, 30, 20),  // scene
                                         Rectangle(kSize, 3, 3, 10, 9),   // object
                                         Rectangle(kSize, 20, 2, 3, 3)};  // another object
  EXPECT_EQ(Parents(masks, 0.95), (std::vector<int>{2, -1, 1, 1}));
}

TEST(FindParents, EqualMasksAreSiblings) {
  const std::vector<RunLengths> masks = {Rectangle(kSize, 2, 2, 4, 4), Rectangle(kSize, 2, 2, 4, 4),
                                         Rectangle(kSize, 0, 0, 8, 8),
                                         Rectangle(kSize, 1, 1, 8, 8)};
  // Of the two equally large ones that hold both, the first.
  EXPECT_EQ(Parents(masks, 1), (std::vector<int>{2, 2, -1, -1}));
}

TEST(FindParents, TheShareDecides) {
  // 55 of 100 pixels inside.
  const std::vector<RunLengths> masks = {Rectangle({40, 40}, 0, 0, 20, 5),
                                         Rectangle({40, 40}, 9, 0, 25, 30)};
  EXPECT_EQ(Parents(masks, 0.55), (std::vector<int>{1, -1}));
  EXPECT_EQ(Parents(masks, 0.551), (std::vector<int>{-1, -1}));
}

TEST(FindParents, EmptyMasksHaveNoneAndAreNones) {
  const std::vector<RunLengths> masks = {Rectangle(kSize, 0, 0, 0, 0),
                                         Rectangle(kSize, 1, 1, 3, 3)};
  EXPECT_EQ(Parents(masks, 0.5), (std::vector<int>{-1, -1}));
  EXPECT_TRUE(Parents({}, 0.5).empty());
}

std::vector<int> PlainParents(const std::vector<BinaryMask>& masks, double share) {
  const auto area = [](const BinaryMask& mask) {
    return std::count(mask.pixels.begin(), mask.pixels.end(), 1);
  };
  std::vector<int> parents;
  for (const BinaryMask& inner : masks) {
    int parent = -1;
    for (size_t i = 0; i < masks.size() && area(inner) > 0; ++i) {
      int64_t shared = 0;
      for (size_t p = 0; p < inner.pixels.size(); ++p)
        shared += inner.pixels[p] & masks[i].pixels[p];
      if (area(masks[i]) > area(inner) && shared >= share * area(inner) - 1e-6 &&
          (parent < 0 || area(masks[i]) < area(masks[parent]))) {
        parent = static_cast<int>(i);
      }
    }
    parents.push_back(parent);
  }
  return parents;
}

TEST(FindParents, EqualsPlainCountingOnRandomMasks) {
  std::mt19937 random(3);
  int found = 0;
  for (int round = 0; round < 40; ++round) {
    const ImageSize size = {1 + static_cast<int>(random() % 25),
                            1 + static_cast<int>(random() % 25)};
    std::vector<BinaryMask> masks;
    for (int i = 0; i < 25; ++i) {
      // Noise of several densities, cut to a window.
      BinaryMask mask = testing::RandomMask(size, (random() % 10 + 1) / 10.0, random());
      const int left = static_cast<int>(random() % size.width);
      const int top = static_cast<int>(random() % size.height);
      for (int y = 0; y < size.height; ++y) {
        for (int x = 0; x < size.width; ++x) {
          if (y < top / 2 || x < left / 2) mask.pixels[y * size.width + x] = 0;
        }
      }
      masks.push_back(std::move(mask));
    }
    std::vector<RunLengths> runs;
    for (const BinaryMask& mask : masks) runs.push_back(EncodeRunLengths(mask));
    for (const double share : {0.3, 0.75, 1.0}) {
      const std::vector<int> parents = Parents(runs, share);
      ASSERT_EQ(parents, PlainParents(masks, share)) << round;
      found += static_cast<int>(parents.size() - std::count(parents.begin(), parents.end(), -1));
    }
  }
  EXPECT_GT(found, 300);
}

TEST(FindParents, BadInputIsAnError) {
  const RunLengths mask = Rectangle(kSize, 1, 1, 2, 2);
  const RunLengths other = Rectangle({30, 20}, 1, 1, 2, 2);
  const RunLengths* masks[] = {&mask, &other};
  EXPECT_EQ(FindParents(masks, 0.5).status().code(), absl::StatusCode::kInternal);
  for (const double share : {0.0, -1.0, 1.01, std::nan("")}) {
    EXPECT_EQ(ErrorField(FindParents({masks, 1}, share).status()), "share");
  }
}

TEST(FindParents, StopsWhenItIsCancelled) {
  const RunLengths mask = Rectangle(kSize, 1, 1, 2, 2);
  const std::vector<const RunLengths*> masks(5, &mask);
  int asked = 0;
  EXPECT_EQ(FindParents(masks, 0.5, [&] { return ++asked == 3; }).status().code(),
            absl::StatusCode::kCancelled);
  EXPECT_EQ(asked, 3);
}

}  // namespace
}  // namespace semsam
