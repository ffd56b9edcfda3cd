// What leaves the cache, what is on its way into it, and what a flight is made from.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "model/base/errors.h"
#include "model/base/mutex.h"
#include "tests/server/cache/embedding_cache_fixture.h"

namespace semsam {
namespace {

using ::testing::ElementsAre;

// Keeps what a cache hands on, in order. Thread-safe.
class Leaving {
 public:
  EmbeddingCache::EvictionSink Sink() {
    return [this](std::shared_ptr<EmbeddingCache::Evicted> evicted) {
      MutexLock lock(mutex_);
      evicted_.push_back(std::move(evicted));
    };
  }
  std::vector<std::shared_ptr<EmbeddingCache::Evicted>> Take() {
    MutexLock lock(mutex_);
    return std::exchange(evicted_, {});
  }

 private:
  Mutex mutex_;
  std::vector<std::shared_ptr<EmbeddingCache::Evicted>> evicted_ ABSL_GUARDED_BY(mutex_);
};

std::unique_ptr<EmbeddingCache::Flight> Begin(EmbeddingCache& cache, const EmbeddingKey& key,
                                              EmbeddingCache::OnMiss on_miss,
                                              std::shared_ptr<Answer> answer) {
  return cache.Get(key, std::move(on_miss), AlwaysWanted(), Into(std::move(answer)));
}

TEST(EmbeddingEviction, WhatIsEvictedCountsUntilItIsLetGoOf) {
  Leaving leaving;
  CacheCounts counts;
  std::atomic<int> alive{0};
  EmbeddingCache cache({.budget_bytes = 10}, &counts, leaving.Sink());
  auto flight = Begin(cache, Key("a"), Lead(), std::make_shared<Answer>());
  flight->Finish(std::make_shared<const SizedEmbedding>(10, &alive));
  flight = Begin(cache, Key("b"), Lead(), std::make_shared<Answer>());
  flight->Finish(std::make_shared<const SizedEmbedding>(10, &alive));
  cache.Trim();
  auto evicted = leaving.Take();
  ASSERT_EQ(evicted.size(), 1);
  EXPECT_EQ(evicted[0]->key(), Key("a"));
  EXPECT_EQ(evicted[0]->bytes(), 10);
  EXPECT_EQ(counts.evicted, 1);
  EXPECT_EQ(cache.bytes(), 20);
  EXPECT_EQ(counts.bytes, 20);
  EXPECT_EQ(cache.entries(), 2);
  EXPECT_EQ(alive, 2);
  evicted.clear();
  EXPECT_EQ(cache.bytes(), 10);
  EXPECT_EQ(counts.bytes, 10);
  EXPECT_EQ(alive, 1);
}

TEST(EmbeddingEviction, WhatIsWantedBeforeItIsStoredIsTakenBack) {
  Leaving leaving;
  EmbeddingCache cache({.budget_bytes = 10}, nullptr, leaving.Sink());
  Fill(cache, Key("a"), 10);
  const Embedding* const a = Peek(cache, Key("a")).get();
  Fill(cache, Key("b"), 10);
  cache.Trim();
  const auto first = leaving.Take();
  ASSERT_EQ(first.size(), 1);
  EXPECT_EQ(Peek(cache, Key("a")).get(), a) << "a hit";
  EXPECT_EQ(first[0]->embedding(), nullptr);
  const auto second = leaving.Take();
  ASSERT_EQ(second.size(), 1) << "in its place";
  EXPECT_EQ(second[0]->key(), Key("b"));
  EXPECT_EQ(cache.bytes(), 20);
  // Out again, while the first handle is still held.
  EXPECT_NE(Peek(cache, Key("b")), nullptr);
  const auto third = leaving.Take();
  ASSERT_EQ(third.size(), 1);
  EXPECT_EQ(third[0]->embedding().get(), a);
  EXPECT_EQ(cache.bytes(), 20);
}

TEST(EmbeddingEviction, AFlightThatEndsLateReplacesWhatIsLeaving) {
  Leaving leaving;
  std::atomic<int> alive{0};
  EmbeddingCache cache({.budget_bytes = 10}, nullptr, leaving.Sink());
  absl::Status left = absl::CancelledError("left");
  auto dead = cache.Get(
      Key("a"), Lead(), [&left](absl::Time /*now*/) { return left; },
      Into(std::make_shared<Answer>()));
  EXPECT_FALSE(dead->Check(absl::Now()).ok());
  auto flight = Begin(cache, Key("a"), Lead(), std::make_shared<Answer>());
  flight->Finish(std::make_shared<const SizedEmbedding>(10, &alive));
  Fill(cache, Key("b"), 10);
  cache.Trim();
  dead->Finish(std::make_shared<const SizedEmbedding>(10, &alive));
  EXPECT_EQ(alive, 1) << "one of a";
  cache.Trim();
  auto all = leaving.Take();
  for (const auto& evicted : all)
    EXPECT_TRUE(evicted->embedding() == nullptr || evicted->key() == Key("b"));
  all.clear();
  EXPECT_EQ(cache.bytes(), 10);
  EXPECT_EQ(alive, 1);
}

TEST(EmbeddingEviction, AllThatIsIdleCanBeTaken) {
  Leaving leaving;
  EmbeddingCache cache({.budget_bytes = 100}, nullptr, leaving.Sink());
  for (const char* name : {"a", "b", "c"}) Fill(cache, Key(name), 10);
  const auto held = Peek(cache, Key("b"));
  std::vector<std::string> names;
  for (const auto& evicted : cache.TakeIdle()) names.push_back(evicted->key().image_sha256);
  EXPECT_THAT(names, ElementsAre("a", "c")) << "the least recently used first";
  EXPECT_EQ(cache.bytes(), 10);
  EXPECT_TRUE(leaving.Take().empty());
}

TEST(EmbeddingReservation, WhatIsUnderWayCountsAgainstTheBudget) {
  EmbeddingCache cache({.budget_bytes = 30});
  auto answer = std::make_shared<Answer>();
  auto first = Begin(cache, Key("a"), Lead(/*embedding_bytes=*/10), answer);
  auto second = Begin(cache, Key("b"), Lead(10), answer);
  auto refused = std::make_shared<Answer>();
  EXPECT_EQ(Begin(cache, Key("c"), Lead(11), refused), nullptr);
  EXPECT_EQ(ErrorReason(refused->found.status()), reason::kMemoryFull);
  auto third = Begin(cache, Key("c"), Lead(10), answer);
  EXPECT_NE(third, nullptr);
  // A flight that brings nothing gives its place back; one that does keeps it while the
  // embedding is in use.
  first->Finish(absl::InternalError("lost"));
  second->Finish(MakeEmbedding(10));
  ASSERT_TRUE(answer->found.ok());
  auto fourth = Begin(cache, Key("d"), Lead(10), std::make_shared<Answer>());
  EXPECT_NE(fourth, nullptr);
  EXPECT_EQ(Begin(cache, Key("e"), Lead(10), refused), nullptr);
  answer->found = absl::UnknownError("let go of");
  EXPECT_NE(Begin(cache, Key("e"), Lead(10), refused), nullptr);
}

TEST(EmbeddingReservation, WhatIsIdleMakesRoomWhenAFlightBegins) {
  CacheCounts counts;
  EmbeddingCache cache({.budget_bytes = 30}, &counts);
  for (const char* name : {"a", "b", "c"}) Fill(cache, Key(name), 10);
  auto flight = Begin(cache, Key("d"), Lead(20), std::make_shared<Answer>());
  EXPECT_EQ(cache.bytes(), 10);
  EXPECT_EQ(counts.evicted, 2);
  EXPECT_NE(Peek(cache, Key("c")), nullptr);
  flight->Finish(MakeEmbedding(20));
  EXPECT_EQ(cache.bytes(), 30);
}

TEST(EmbeddingReservation, OneAloneIsNeverRefusedForItsSize) {
  EmbeddingCache cache({.budget_bytes = 5});
  auto flight = Begin(cache, Key("a"), Lead(10), std::make_shared<Answer>());
  ASSERT_NE(flight, nullptr);
  auto refused = std::make_shared<Answer>();
  EXPECT_EQ(Begin(cache, Key("b"), Lead(10), refused), nullptr);
  EXPECT_EQ(ErrorReason(refused->found.status()), reason::kMemoryFull);
  flight->Finish(MakeEmbedding(10));
  EXPECT_NE(Begin(cache, Key("b"), Lead(10), refused), nullptr);
}

TEST(EmbeddingFlight, TheImageOfAnyCallerWillDo) {
  EmbeddingCache cache({.budget_bytes = 100});
  const auto image = std::make_shared<const std::string>("picture");
  auto leader = std::make_shared<Answer>();
  auto flight = Begin(cache, Key("a"), Lead(), leader);
  auto joined = std::make_shared<Answer>();
  EXPECT_EQ(Begin(cache, Key("a"), {.lead = true, .image = image}, joined), nullptr);
  const auto taken = flight->TakeImage();
  ASSERT_TRUE(taken.ok());
  EXPECT_EQ(*taken, image);
  flight->Finish(MakeEmbedding(10));
  EXPECT_TRUE(leader->found.ok());
  EXPECT_TRUE(joined->found.ok());
  EXPECT_EQ(joined->found->lookup, CacheLookup::kJoined);
  EXPECT_FALSE(joined->found->existed());
}

TEST(EmbeddingFlight, WithoutAnyImageItIsClosedToThoseWhoBringOne) {
  EmbeddingCache cache({.budget_bytes = 100});
  auto without = std::make_shared<Answer>();
  auto flight = Begin(cache, Key("a"), Lead(), without);
  const absl::Status none = flight->TakeImage().status();
  EXPECT_TRUE(absl::IsNotFound(none));
  auto with = std::make_shared<Answer>();
  const auto image = std::make_shared<const std::string>("picture");
  auto second = Begin(cache, Key("a"), {.lead = true, .image = image}, with);
  ASSERT_NE(second, nullptr) << "a flight of his own";
  flight->Finish(none);
  EXPECT_TRUE(absl::IsNotFound(without->found.status()));
  EXPECT_TRUE(second->TakeImage().ok());
  second->Finish(MakeEmbedding(10));
  EXPECT_TRUE(with->found.ok());
}

TEST(EmbeddingFlight, AnImageIsHeldNoLongerThanItsFlight) {
  EmbeddingCache cache({.budget_bytes = 100});
  auto image = std::make_shared<const std::string>("picture");
  const std::weak_ptr<const std::string> held = image;
  auto flight = Begin(cache, Key("a"), {.lead = true, .image = image}, std::make_shared<Answer>());
  image.reset();
  EXPECT_FALSE(held.expired());
  flight->Finish(MakeEmbedding(10));
  EXPECT_TRUE(held.expired()) << "nobody asked for it";
}

TEST(EmbeddingFlight, WhatWasLoadedExistedBefore) {
  EmbeddingCache cache({.budget_bytes = 100});
  auto answer = std::make_shared<Answer>();
  auto flight = Begin(cache, Key("a"), Lead(), answer);
  flight->Finish(MakeEmbedding(10), EmbeddingCache::Origin::kLoaded);
  ASSERT_TRUE(answer->found.ok());
  EXPECT_EQ(answer->found->lookup, CacheLookup::kMiss);
  EXPECT_TRUE(answer->found->existed());
}

TEST(EmbeddingLru, WhatIsInUseIsARunningSum) {
  EmbeddingLru lru(/*budget_bytes=*/100);
  lru.Insert(Key("a"), MakeEmbedding(10));
  lru.Insert(Key("b"), MakeEmbedding(5));
  auto first = lru.Find(Key("a"));
  auto second = lru.Find(Key("a"));
  EXPECT_EQ(first, second);
  EXPECT_EQ(lru.in_use_bytes(), 10) << "however many use it";
  first.reset();
  EXPECT_EQ(lru.in_use_bytes(), 10);
  lru.Insert(Key("a"), MakeEmbedding(25));
  const auto third = lru.Find(Key("a"));
  EXPECT_EQ(lru.in_use_bytes(), 35) << "the replaced one is still in memory";
  second.reset();
  EXPECT_EQ(lru.in_use_bytes(), 25);
}

TEST(EmbeddingLru, AUseMayOutliveTheTier) {
  std::shared_ptr<const Embedding> held;
  {
    EmbeddingLru lru(/*budget_bytes=*/100);
    lru.Insert(Key("a"), MakeEmbedding(10));
    held = lru.Find(Key("a"));
  }
  EXPECT_EQ(held->size_bytes(), 10);
}

// Lookups, flights, evictions, takings-back and stores at once: what the cache says it
// holds is what lives, and the reservations come back.
TEST(EmbeddingEvictionStress, AccountingNeverDrifts) {
  constexpr int kThreads = 4;
  constexpr int kRounds = 1500;
  constexpr int64_t kBytes = 10;
  std::atomic<int> alive{0};
  {
    Leaving leaving;
    EmbeddingCache cache({.budget_bytes = 8 * kBytes}, nullptr, leaving.Sink());
    std::atomic<int> answered{0};
    std::vector<std::thread> threads;
    for (int t = 0; t < kThreads; ++t) {
      threads.emplace_back([&, t] {
        for (int i = 0; i < kRounds; ++i) {
          const EmbeddingKey key = Key(std::to_string((i * 7 + t * 3) % 24));
          auto flight =
              cache.Get(key, Lead(kBytes), AlwaysWanted(),
                        [&](absl::StatusOr<EmbeddingCache::Found> /*found*/) { ++answered; });
          if (flight != nullptr && i % 11 == 0) {
            flight->Finish(absl::InternalError("lost"));
          } else if (flight != nullptr) {
            flight->Finish(std::make_shared<const SizedEmbedding>(kBytes, &alive));
          }
          if (i % 3 != 0) continue;
          // As the one who stores does: looks, then lets go.
          for (const auto& evicted : leaving.Take()) (void)evicted->embedding();
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(answered, kThreads * kRounds);
    cache.Trim();
    EXPECT_EQ(cache.bytes(), alive * kBytes) << "with what is leaving";
    EXPECT_EQ(cache.entries(), alive);
    leaving.Take();
    EXPECT_EQ(cache.bytes(), alive * kBytes);
    EXPECT_LE(cache.bytes(), 8 * kBytes);
    auto whole = Begin(cache, Key("whole"), Lead(8 * kBytes), std::make_shared<Answer>());
    EXPECT_NE(whole, nullptr) << "nothing is reserved or in use any more";
    leaving.Take();
    EXPECT_EQ(cache.bytes(), 0);
    whole->Finish(absl::InternalError("lost"));
  }
  EXPECT_EQ(alive, 0);
}

}  // namespace
}  // namespace semsam
