#include "model/cook/backdrops.h"

#include <array>
#include <memory>
#include <set>
#include <string>

#include "gtest/gtest.h"

namespace semsam {
namespace {

// Pictures whose red is their index, their green the column.
class Stripes final : public Dataset {
 public:
  explicit Stripes(ImageSize size) : size_(size) {}

  const DatasetInfo& info() const override { return info_; }
  size_t size() const override { return 40; }
  std::string name(size_t index) const override { return std::to_string(index); }
  absl::StatusOr<Sample> Load(size_t index) const override {
    auto picture = std::make_shared<Rgb8Image>(Rgb8Image{.size = size_});
    for (int64_t i = 0; i < size_.area(); ++i) {
      const auto column = static_cast<uint8_t>(i % size_.width);
      picture->pixels.insert(picture->pixels.end(), {static_cast<uint8_t>(index), column, 0});
    }
    return Sample{.name = name(index),
                  .pixels = std::move(picture),
                  .size = size_,
                  .vocabulary = std::make_shared<const Vocabulary>(),
                  .licence = "CC0",
                  .source = "stripes"};
  }

 private:
  const ImageSize size_;
  const DatasetInfo info_;
};

TEST(Photographs, OfManyEveryNthIsKept) {
  const Stripes dataset({60, 90});
  const std::array<size_t, 6> indices = {1, 3, 5, 7, 9, 11};
  Photographs photographs;
  ASSERT_TRUE(photographs.Add(dataset, indices, 3).ok());
  EXPECT_EQ(photographs.size(), 3u);
  Random random(1);
  std::set<int> seen;
  for (int i = 0; i < 50; ++i) seen.insert(photographs.Draw({30, 30}, random).picture.pixels[0]);
  EXPECT_EQ(seen, (std::set<int>{1, 5, 9}));
  Photographs none;
  ASSERT_TRUE(none.Add(dataset, {}, 3).ok());
  EXPECT_EQ(none.size(), 0u);
}

TEST(Photographs, ACropIsOfTheWantedShapeAndAtLeastHalfOfWhatFits) {
  const Stripes dataset({60, 90});
  const std::array<size_t, 1> indices = {7};
  Photographs photographs;
  ASSERT_TRUE(photographs.Add(dataset, indices, 1).ok());
  Random random(2);
  for (int i = 0; i < 30; ++i) {
    const Backdrop backdrop = photographs.Draw({80, 120}, random);
    EXPECT_EQ(backdrop.picture.size, (ImageSize{80, 120}));
    EXPECT_FALSE(backdrop.empty);
    EXPECT_EQ(backdrop.licence, "CC0");
    EXPECT_EQ(backdrop.source, "stripes");
    const int columns = backdrop.picture.row(40)[3 * 119 + 1] - backdrop.picture.row(40)[1];
    EXPECT_GE(columns, 42);
    EXPECT_LE(columns, 90);
  }
}

TEST(Photographs, LargeOnesAreKeptSmallAndThereIsABound) {
  const Stripes dataset({400, 800});
  const std::array<size_t, 40> indices = {};
  Photographs photographs;
  for (int i = 0; i < 10; ++i) {
    const Stripes small({8, 8});
    ASSERT_TRUE(photographs.Add(small, indices, 40).ok());
  }
  EXPECT_EQ(photographs.Add(dataset, indices, 1).code(), absl::StatusCode::kResourceExhausted);
}

TEST(PaintedBackdrop, OneSeedGivesOneGroundAndNothingIsOnIt) {
  std::set<std::string> grounds;
  for (uint64_t seed = 1; seed <= 5; ++seed) {
    Random first(seed), second(seed);
    const Backdrop a = PaintedBackdrop({40, 50}, first);
    EXPECT_EQ(a.picture.pixels, PaintedBackdrop({40, 50}, second).picture.pixels);
    EXPECT_EQ(a.picture.pixels.size(), 40u * 50 * 3);
    EXPECT_TRUE(a.empty);
    grounds.emplace(a.picture.pixels.begin(), a.picture.pixels.end());
  }
  EXPECT_EQ(grounds.size(), 5u);
}

}  // namespace
}  // namespace semsam
