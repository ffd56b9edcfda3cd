#include "model/cook/scene_cook.h"

#include <set>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "model/cook/name_plan.h"
#include "model/image/run_lengths.h"
#include "tests/model/cook/cook_test_util.h"

namespace semsam {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

SpriteShelf ShelfOf(const SpriteSource& source) {
  SpriteShelf shelf;
  for (size_t i = 0; i < source.entries().size(); ++i) shelf.Add({.source = &source, .index = i});
  return shelf;
}

TEST(SpriteShelf, NamesAreDrawnAlikeHoweverManyPicturesTheyHave) {
  const FakeSource source("s", {"cat", "dog", "dog", "dog", "dog", "dog", "dog", "dog", ""});
  const SpriteShelf shelf = ShelfOf(source);
  EXPECT_EQ(shelf.size(), 9u);
  EXPECT_THAT(shelf.names(), ElementsAre("cat", "dog"));
  Random random(7);
  std::map<std::string, int> drawn;
  for (int i = 0; i < 3000; ++i) ++drawn[shelf.Draw(random).entry().object_name];
  for (const char* const name : {"cat", "dog", ""}) EXPECT_NEAR(drawn[name], 1000, 120) << name;
}

TEST(CookScene, TheSameGeneratorGivesTheSameScene) {
  const FakeSource source("s", {"cat", "dog", "cow", "emu"});
  const SpriteShelf shelf = ShelfOf(source);
  for (uint64_t seed = 1; seed <= 8; ++seed) {
    LeftOut left_out(0);
    Random first(seed), second(seed);
    const auto a = CookScene(shelf, Photographs(), {}, left_out, first);
    const auto b = CookScene(shelf, Photographs(), {}, left_out, second);
    ASSERT_TRUE(a.ok()) << a.status();
    ASSERT_TRUE(b.ok()) << b.status();
    EXPECT_EQ(a->picture.pixels, b->picture.pixels);
    EXPECT_EQ(a->sample.annotations, b->sample.annotations);
    EXPECT_EQ(std::min(a->sample.size.height, a->sample.size.width), 320);
    EXPECT_EQ(a->sample.licence, "s licence");
    EXPECT_EQ(a->sample.source, "s source");
  }
}

TEST(CookScene, ScenesHoldOneLargeSpriteOrSeveral) {
  const FakeSource source("s", {"cat", "dog", "cow", "emu"});
  const SpriteShelf shelf = ShelfOf(source);
  LeftOut left_out(0);
  Random random(3);
  for (int i = 0; i < 10; ++i) {
    const auto alone = CookScene(shelf, Photographs(), {.alone_chance = 1}, left_out, random);
    ASSERT_TRUE(alone.ok()) << alone.status();
    ASSERT_EQ(alone->sample.annotations.size(), 2u);
    EXPECT_GE(MaskArea(*alone->sample.annotations[0].mask), 160 * 160);
    const auto several = CookScene(
        shelf, Photographs(),
        {.alone_chance = 0, .min_sprites = 4, .max_sprites = 4, .row_chance = 1}, left_out, random);
    ASSERT_TRUE(several.ok()) << several.status();
    int rows = 0;
    for (const Annotation& annotation : several->sample.annotations) {
      rows += annotation.parent < 0 && annotation.object_name.empty() ? 1 : 0;
    }
    EXPECT_GE(rows, 2);
    EXPECT_LE(rows, 4);
  }
}

TEST(CookScene, BrokenSpritesAreNamedAndBounded) {
  const FakeSource source("s", {"broken cup", "broken pot", "empty sky", "cat"});
  const SpriteShelf shelf = ShelfOf(source);
  LeftOut lenient(2);
  Random random(5);
  for (int i = 0; i < 20; ++i) {
    const auto scene = CookScene(shelf, Photographs(), {}, lenient, random);
    ASSERT_TRUE(scene.ok()) << scene.status();
    for (const Annotation& annotation : scene->sample.annotations) {
      EXPECT_TRUE(annotation.object_name.empty() || annotation.object_name == "cat");
    }
  }
  EXPECT_EQ(lenient.broken(),
            (std::map<std::string, std::string>{{"s/0broken cup", "byte 3: torn"},
                                                {"s/1broken pot", "byte 3: torn"}}));
  EXPECT_EQ(lenient.unsuitable(), 1u);

  LeftOut strict(1);
  absl::Status status;
  for (int i = 0; i < 20 && status.ok(); ++i) {
    status = CookScene(shelf, Photographs(), {}, strict, random).status();
  }
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(std::string(status.message()), HasSubstr("byte 3: torn"));

  const FakeSource nothing("n", {"empty a", "empty b"});
  EXPECT_EQ(CookScene(ShelfOf(nothing), Photographs(), {}, lenient, random).status().code(),
            absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(CookScene(SpriteShelf(), Photographs(), {}, lenient, random).status().code(),
            absl::StatusCode::kFailedPrecondition);
}

std::vector<std::string> Letters(char first, char last) {
  std::vector<std::string> names;
  for (char c = first; c <= last; ++c) names.emplace_back(1, c);
  return names;
}

TEST(NamePlan, EveryTenthNameIsHeldOutInAllStyles) {
  const FakeSource one("one", Letters('a', 'o'));
  const FakeSource two("two", Letters('f', 't'));
  const NamePlan plan({&one, &two});
  EXPECT_EQ(plan.held_out_names(), (std::set<std::string>{"j", "t"}));
  for (const SpriteSource* source : {&one, &two}) {
    for (size_t i = 0; i < source->entries().size(); ++i) {
      const SpriteSource::Entry& entry = source->entries()[i];
      EXPECT_EQ(plan.HeldOut(entry, i), entry.object_name == "j" || entry.object_name == "t");
    }
  }
  EXPECT_TRUE(plan.HeldOut({.title = "x", .object_name = ""}, 9));
  EXPECT_FALSE(plan.HeldOut({.title = "x", .object_name = ""}, 10));
}

TEST(NamePlan, AnAliasIsHeldOutWithItsName) {
  // "b" is another word for "j", the tenth of a, c, .. k.
  const FakeSource one("one", Letters('a', 'k'), {{"b", "j"}});
  const NamePlan plan({&one});
  EXPECT_EQ(plan.held_out_names(), (std::set<std::string>{"k"}));
  const FakeSource two("two", Letters('a', 'l'), {{"b", "k"}});
  const NamePlan other({&two});
  EXPECT_EQ(other.held_out_names(), (std::set<std::string>{"k"}));
  EXPECT_TRUE(other.HeldOut({.title = "x", .object_name = "b"}, 0));
}

TEST(NamePlan, AnUnseenStyleIsOfNamesThatAreTrainedOnInAnother) {
  const FakeSource style("style", Letters('a', 'z'));
  const FakeSource other("other", Letters('a', 'w'));
  const NamePlan plan({&style, &other});  // j and t are held out
  EXPECT_EQ(NamesForUnseenStyle(plan, style, {&other}), (std::set<std::string>{"k", "v"}));
}

}  // namespace
}  // namespace semsam
