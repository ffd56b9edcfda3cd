#include "server/cache/text_cache.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace semsam {
namespace {

using ::testing::ElementsAre;

class Counts final : public TextCacheObserver {
 public:
  void OnLookup(CacheLookup outcome) override { ++lookups[static_cast<int>(outcome)]; }
  void OnEvicted(int64_t entries) override { evicted += entries; }
  void OnSize(int64_t now_bytes, int64_t now_entries) override {
    bytes = now_bytes;
    entries = now_entries;
  }
  int lookups[3] = {};
  int64_t evicted = 0;
  int64_t bytes = 0;
  int64_t entries = 0;
};

TextKey Key(const std::string& term, TextMode mode = TextMode::kEnsemble) {
  return {.model_digest = "m", .term = term, .mode = mode};
}

// Of a term of three characters and a row of `values`.
int64_t EntryBytes(int64_t values) {
  return TextCache::kEntryOverheadBytes + values * 4 + 2 * (3 + 1);
}

bool Holds(TextCache& cache, const TextKey& key, size_t values = 2) {
  std::vector<float> row(values);
  return cache.Find(key, TextCache::Look::kFirst, absl::MakeSpan(row));
}

TEST(TextCache, ARowComesBackAsItWasPutIn) {
  TextCache cache(10000);
  cache.Insert(Key("dog"), {1, 2});
  std::vector<float> row(2);
  ASSERT_TRUE(cache.Find(Key("dog"), TextCache::Look::kFirst, absl::MakeSpan(row)));
  EXPECT_THAT(row, ElementsAre(1, 2));
}

TEST(TextCache, ModelTermAndModeAreAllPartOfTheKey) {
  TextCache cache(10000);
  cache.Insert(Key("dog"), {1, 2});
  EXPECT_FALSE(Holds(cache, Key("cat")));
  EXPECT_FALSE(Holds(cache, Key("dog", TextMode::kPlain)));
  EXPECT_FALSE(Holds(cache, {.model_digest = "other", .term = "dog"}));
  EXPECT_TRUE(Holds(cache, Key("dog")));
}

TEST(TextCache, ARowOfAnotherSizeIsNoHit) {
  TextCache cache(10000);
  cache.Insert(Key("dog"), {1, 2});
  EXPECT_FALSE(Holds(cache, Key("dog"), /*values=*/3));
}

TEST(TextCache, TheLeastRecentlyUsedGoesFirst) {
  Counts counts;
  TextCache cache(2 * EntryBytes(2), &counts);
  cache.Insert(Key("dog"), {1, 2});
  cache.Insert(Key("cat"), {3, 4});
  ASSERT_TRUE(Holds(cache, Key("dog")));
  cache.Insert(Key("cow"), {5, 6});
  EXPECT_TRUE(Holds(cache, Key("dog")));
  EXPECT_FALSE(Holds(cache, Key("cat")));
  EXPECT_TRUE(Holds(cache, Key("cow")));
  EXPECT_EQ(counts.evicted, 1);
  EXPECT_EQ(counts.entries, 2);
  EXPECT_EQ(counts.bytes, 2 * EntryBytes(2));
}

TEST(TextCache, AReplacedRowIsCountedOnce) {
  Counts counts;
  TextCache cache(10000, &counts);
  cache.Insert(Key("dog"), {1, 2});
  cache.Insert(Key("dog"), {1, 2, 3, 4});
  EXPECT_EQ(cache.entries(), 1);
  EXPECT_EQ(cache.bytes(), EntryBytes(4));
  EXPECT_EQ(counts.evicted, 0);
  cache.Insert(Key("dog"), {1});
  EXPECT_EQ(cache.bytes(), EntryBytes(1));
}

TEST(TextCache, WhatNeverFitsIsNotHeldAndEvictsNothing) {
  Counts counts;
  TextCache cache(EntryBytes(2), &counts);
  cache.Insert(Key("dog"), {1, 2});
  cache.Insert(Key("cat"), std::vector<float>(100));
  EXPECT_TRUE(Holds(cache, Key("dog")));
  EXPECT_EQ(counts.evicted, 0);
  TextCache none(0);
  none.Insert(Key("dog"), {1, 2});
  EXPECT_EQ(none.entries(), 0);
  EXPECT_EQ(none.bytes(), 0);
}

TEST(TextCache, BytesNeverLeaveTheBudgetAndComeBackExactly) {
  const int64_t budget = 7 * EntryBytes(8);
  TextCache cache(budget);
  for (int i = 0; i < 300; ++i) {
    // Sizes and keys repeat out of step.
    cache.Insert(Key(std::string(3, static_cast<char>('a' + i % 11))), std::vector<float>(i % 13));
    ASSERT_LE(cache.bytes(), budget) << i;
  }
  int64_t held = 0;
  int64_t entries = 0;
  for (int k = 0; k < 11; ++k) {
    for (int values = 0; values < 13; ++values) {
      if (!Holds(cache, Key(std::string(3, static_cast<char>('a' + k))), values)) continue;
      held += EntryBytes(values);
      ++entries;
    }
  }
  EXPECT_EQ(cache.bytes(), held);
  EXPECT_EQ(cache.entries(), entries);
}

TEST(TextCache, AWordCountsOnceHoweverOftenItIsLookedFor) {
  Counts counts;
  TextCache cache(10000, &counts);
  std::vector<float> row(2);
  const auto find = [&](TextCache::Look look) {
    return cache.Find(Key("dog"), look, absl::MakeSpan(row));
  };
  EXPECT_FALSE(find(TextCache::Look::kFirst));
  EXPECT_FALSE(find(TextCache::Look::kFirst));
  EXPECT_FALSE(find(TextCache::Look::kSecond));
  cache.Insert(Key("dog"), {1, 2});
  EXPECT_TRUE(find(TextCache::Look::kSecond));
  EXPECT_TRUE(find(TextCache::Look::kFirst));
  EXPECT_THAT(counts.lookups, ElementsAre(/*hit=*/1, /*joined=*/1, /*miss=*/1));
}

}  // namespace
}  // namespace semsam
