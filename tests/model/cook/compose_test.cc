#include "model/cook/compose.h"

#include <memory>

#include "gtest/gtest.h"
#include "model/image/run_lengths.h"
#include "tests/model/cook/cook_test_util.h"

namespace semsam {
namespace {

Backdrop GreyBackdrop(ImageSize size, bool empty) {
  Backdrop backdrop{.empty = empty};
  backdrop.picture.size = size;
  backdrop.picture.pixels.assign(static_cast<size_t>(size.area()) * 3, 10);
  return backdrop;
}

std::shared_ptr<const Sprite> Shared(ImageSize size, uint8_t grey, const std::string& name) {
  return std::make_shared<const Sprite>(BoxSprite(size, grey, name));
}

// CheckSample asks for a vocabulary as readers give it.
absl::Status Check(Sample sample) {
  sample.vocabulary = std::make_shared<const Vocabulary>();
  return CheckSample(sample);
}

TEST(Compose, MasksAreWhatIsLeftToSee) {
  const auto loaded = Compose(GreyBackdrop({100, 100}, true),
                              {{.sprite = Shared({40, 40}, 100, "far"), .x = 10, .y = 10},
                               {.sprite = Shared({40, 40}, 200, "near"), .x = 30, .y = 10}});
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  const Sample& sample = loaded->sample;
  ASSERT_TRUE(Check(sample).ok()) << Check(sample);
  // The far one keeps its left half, which is its part: the part says nothing new.
  ASSERT_EQ(sample.annotations.size(), 3u);
  EXPECT_EQ(sample.annotations[0].object_name, "far");
  EXPECT_EQ(sample.annotations[0].box, (BoxPx{10, 10, 30, 50}));
  EXPECT_EQ(sample.annotations[1].object_name, "near");
  EXPECT_EQ(sample.annotations[1].box, (BoxPx{30, 10, 70, 50}));
  EXPECT_EQ(sample.annotations[2].parent, 1);
  EXPECT_EQ(sample.annotations[2].box, (BoxPx{30, 10, 50, 50}));
  EXPECT_FALSE(sample.unknown.has_value() && MaskArea(*sample.unknown) > 0);
  const auto grey = [&](int x, int y) { return loaded->picture.row(y)[3 * x]; };
  EXPECT_EQ(grey(0, 0), 10);
  EXPECT_EQ(grey(29, 20), 100);
  EXPECT_EQ(grey(30, 20), 200);
}

TEST(Compose, WhatHardlyShowsIsUnknownAndSoIsAPhotograph) {
  const std::vector<PlacedSprite> sprites = {
      {.sprite = Shared({40, 40}, 100, "hidden"), .x = 10, .y = 10},
      {.sprite = Shared({60, 60}, 200, "near"), .x = 15, .y = 0}};
  const auto painted = Compose(GreyBackdrop({100, 100}, true), sprites);
  ASSERT_TRUE(painted.ok()) << painted.status();
  ASSERT_EQ(painted->sample.annotations.size(), 2u);
  EXPECT_EQ(painted->sample.annotations[0].object_name, "near");
  ASSERT_TRUE(painted->sample.unknown.has_value());
  EXPECT_EQ(MaskArea(*painted->sample.unknown), 5 * 40);

  const auto photograph = Compose(GreyBackdrop({100, 100}, false), sprites);
  ASSERT_TRUE(photograph.ok()) << photograph.status();
  EXPECT_EQ(MaskArea(*photograph->sample.unknown), 100 * 100 - 60 * 60);
}

TEST(Compose, SpritesAreCutAtTheEdgesAndBlendByAlpha) {
  Sprite half = BoxSprite({20, 20}, 210, "glass");
  for (size_t i = 3; i < half.image.pixels.size(); i += 4) half.image.pixels[i] = 128;
  const auto loaded = Compose(GreyBackdrop({50, 60}, true),
                              {{.sprite = std::make_shared<const Sprite>(half), .x = -8, .y = 40},
                               {.sprite = Shared({20, 20}, 99, "outside"), .x = 60, .y = 0}});
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  ASSERT_EQ(loaded->sample.annotations.size(), 1u);  // 2 x 10 px of the part are too few
  EXPECT_EQ(loaded->sample.annotations[0].box, (BoxPx{0, 40, 12, 50}));
  EXPECT_EQ(loaded->picture.row(45)[0], (210 * 128 + 10 * 127 + 127) / 255);
  EXPECT_EQ(loaded->picture.row(45)[36], 10);
}

TEST(Compose, ARowIsTheParentOfItsLike) {
  const auto duck = Shared({30, 30}, 150, "duck");
  const auto loaded = Compose(
      GreyBackdrop({100, 100}, true),
      {{.sprite = duck, .x = 0, .y = 5, .row = 1}, {.sprite = duck, .x = 30, .y = 5, .row = 1}});
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  const std::vector<Annotation>& annotations = loaded->sample.annotations;
  ASSERT_EQ(annotations.size(), 5u);
  EXPECT_EQ(annotations[0].object_name, "");
  EXPECT_EQ(annotations[0].parent, -1);
  EXPECT_EQ(MaskArea(*annotations[0].mask), 2 * 900);
  EXPECT_EQ(annotations[1].parent, 0);
  EXPECT_EQ(annotations[3].parent, 0);
  EXPECT_EQ(annotations[4].parent, 3);
}

TEST(Coverage, OfASpriteIsWhatIsMoreThanHalfOpaque) {
  Sprite sprite = BoxSprite({4, 4}, 1, "");
  sprite.image.pixels[3] = kOpaqueAlpha - 1;
  sprite.image.pixels[7] = kOpaqueAlpha;
  EXPECT_EQ(MaskArea(Coverage(sprite.image)), 15);
}

TEST(ResizeRgba, WhatCannotBeSeenDoesNotBleedIntoTheEdges) {
  // White on transparent green.
  Rgba8Image image{.size = {40, 20}};
  for (int y = 0; y < 40; ++y) {
    for (int x = 0; x < 20; ++x) {
      const bool inside = x >= 5 && x < 15;
      const uint8_t other = inside ? 255 : 0;
      image.pixels.insert(image.pixels.end(), {other, 255, other, other});
    }
  }
  const Rgba8Image resized = ResizeRgba(image, 16);
  EXPECT_EQ(resized.size, (ImageSize{16, 8}));
  bool soft = false;
  for (size_t i = 0; i < resized.pixels.size(); i += 4) {
    const uint8_t alpha = resized.pixels[i + 3];
    soft |= alpha > 16 && alpha < 240;
    if (alpha <= 16) continue;
    EXPECT_GE(resized.pixels[i], 240) << i;  // red stays with green: white
  }
  EXPECT_TRUE(soft);
}

}  // namespace
}  // namespace semsam
