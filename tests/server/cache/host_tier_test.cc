#include "server/cache/host_tier.h"

#include <gtest/gtest.h>

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "tests/server/cache/stored_embeddings.h"

namespace semsam {
namespace {

// What an entry of `bytes` bytes counts for.
int64_t Counted(int64_t bytes) {
  HostTier tier(int64_t{1} << 30);
  EXPECT_TRUE(tier.Put(StoredKey("x"), Stored(std::string(bytes, 'x'))).ok());
  return tier.stats().bytes;
}

TEST(HostTier, FindsWhatWasPutInUnderExactlyItsKey) {
  HostTier tier(10000);
  ASSERT_TRUE(tier.Put(StoredKey("a"), Stored("bytes of a")).ok());
  EXPECT_EQ(BytesIn(tier, StoredKey("a")), "bytes of a");
  EXPECT_EQ((*tier.Find(StoredKey("a")))->format, StorageFormat::kFp16);
  EXPECT_EQ(BytesIn(tier, StoredKey("b")), "NOT_FOUND");
  EXPECT_EQ(BytesIn(tier, StoredKey("a", "somebody else")), "NOT_FOUND");
  EXPECT_TRUE(tier.Touch(StoredKey("a")));
  EXPECT_FALSE(tier.Touch(StoredKey("a", "somebody else")));
  EXPECT_FALSE(tier.outlives_process());
}

TEST(HostTier, TheLeastRecentlyUsedMakesRoom) {
  HostTier tier(3 * Counted(100));
  for (const char* name : {"a", "b", "c"}) {
    ASSERT_TRUE(tier.Put(StoredKey(name), Stored(std::string(100, *name))).ok());
  }
  EXPECT_EQ(BytesIn(tier, StoredKey("a")), std::string(100, 'a'));
  ASSERT_TRUE(tier.Put(StoredKey("d"), Stored(std::string(100, 'd'))).ok());
  EXPECT_EQ(BytesIn(tier, StoredKey("b")), "NOT_FOUND") << "the oldest that nobody read since";
  EXPECT_TRUE(tier.Touch(StoredKey("a")));
  ASSERT_TRUE(tier.Put(StoredKey("e"), Stored(std::string(100, 'e'))).ok());
  EXPECT_EQ(BytesIn(tier, StoredKey("c")), "NOT_FOUND");
  EXPECT_TRUE(tier.Touch(StoredKey("a"))) << "a touch is a use";
  EXPECT_EQ(tier.stats().evicted, 2);
  EXPECT_EQ(tier.stats().entries, 3);
  EXPECT_EQ(tier.stats().bytes, tier.stats().capacity_bytes);
}

TEST(HostTier, ReplacingAndRemovingKeepTheSumExact) {
  HostTier tier(int64_t{1} << 20);
  ASSERT_TRUE(tier.Put(StoredKey("a"), Stored(std::string(100, 'x'))).ok());
  ASSERT_TRUE(tier.Put(StoredKey("a"), Stored(std::string(250, 'y'))).ok());
  EXPECT_EQ(tier.stats().bytes, Counted(250));
  EXPECT_EQ(tier.stats().entries, 1);
  EXPECT_EQ(tier.stats().evicted, 0) << "nothing had to make room";
  tier.Remove(StoredKey("b"));
  tier.Remove(StoredKey("a"));
  EXPECT_EQ(tier.stats().bytes, 0);
  EXPECT_EQ(tier.stats().entries, 0);
}

TEST(HostTier, WhatIsAboveTheBudgetIsRefusedAndTakesNothingWithIt) {
  HostTier tier(Counted(100));
  ASSERT_TRUE(tier.Put(StoredKey("a"), Stored(std::string(100, 'x'))).ok());
  EXPECT_TRUE(absl::IsResourceExhausted(tier.Put(StoredKey("b"), Stored(std::string(101, 'x')))));
  EXPECT_TRUE(tier.Touch(StoredKey("a")));
}

TEST(HostTier, WhatIsReadLivesOnAfterItsEviction) {
  HostTier tier(Counted(100));
  ASSERT_TRUE(tier.Put(StoredKey("a"), Stored(std::string(100, 'a'))).ok());
  const auto held = tier.Find(StoredKey("a"));
  ASSERT_TRUE(held.ok());
  ASSERT_TRUE(tier.Put(StoredKey("b"), Stored(std::string(100, 'b'))).ok());
  EXPECT_EQ((*held)->bytes, std::string(100, 'a'));
}

TEST(HostTierStress, TheSumNeverDrifts) {
  HostTier tier(6 * Counted(64));
  std::vector<std::thread> threads;
  std::atomic<int> wrong{0};
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&tier, &wrong, t] {
      for (int i = 0; i < 2000; ++i) {
        const std::string name = std::to_string((i * 7 + t * 3) % 16);
        const std::string bytes(64, name.back());
        switch ((i + t) % 4) {
          case 0:
            if (!tier.Put(StoredKey(name), Stored(bytes)).ok()) ++wrong;
            break;
          case 1:
            tier.Remove(StoredKey(name));
            break;
          default:
            const auto stored = tier.Find(StoredKey(name));
            if (stored.ok() && (*stored)->bytes != bytes) ++wrong;
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
  int64_t sum = 0;
  for (int i = 0; i < 16; ++i) {
    const std::string name = std::to_string(i);
    if (!tier.Touch(StoredKey(name))) continue;
    const int64_t before = tier.stats().bytes;
    tier.Remove(StoredKey(name));
    sum += before - tier.stats().bytes;
  }
  EXPECT_GT(sum, 0);
  EXPECT_EQ(tier.stats().bytes, 0);
  EXPECT_EQ(tier.stats().entries, 0);
}

}  // namespace
}  // namespace semsam
