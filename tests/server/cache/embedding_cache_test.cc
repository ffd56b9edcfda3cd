#include "server/cache/embedding_cache.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "model/base/clock.h"
#include "model/base/errors.h"
#include "tests/server/cache/embedding_cache_fixture.h"

namespace semsam {
namespace {

TEST(EmbeddingCache, AHitAnswersAtOnce) {
  EmbeddingCache cache({.budget_bytes = 100});
  Fill(cache, Key("a"), 10);
  auto answer = std::make_shared<Answer>();
  EXPECT_EQ(cache.Get(Key("a"), Lead(), AlwaysWanted(), Into(answer)), nullptr);
  ASSERT_TRUE(answer->found.ok());
  EXPECT_EQ(answer->found->lookup, CacheLookup::kHit);
  EXPECT_EQ(answer->found->embedding->size_bytes(), 10);
}

TEST(EmbeddingCache, EveryPartOfTheKeyTellsEmbeddingsApart) {
  EmbeddingCache cache({.budget_bytes = 100});
  Fill(cache, Key("a", {640, 800}), 10);
  EXPECT_NE(Peek(cache, Key("a", {640, 800})), nullptr);
  EXPECT_EQ(Peek(cache, Key("a", {800, 640})), nullptr);
  EXPECT_EQ(Peek(cache, Key("b", {640, 800})), nullptr);
  EmbeddingKey other = Key("a", {640, 800});
  other.model_digest = "another";
  EXPECT_EQ(Peek(cache, other), nullptr);
  other = Key("a", {640, 800});
  other.preprocessing = "another";
  EXPECT_EQ(Peek(cache, other), nullptr);
  other = Key("a", {640, 800});
  other.tenant.name = "another";
  EXPECT_EQ(Peek(cache, other), nullptr);
}

TEST(EmbeddingCache, ConcurrentMissesMakeOneFlight) {
  EmbeddingCache cache({.budget_bytes = 100});
  auto leader = std::make_shared<Answer>();
  auto follower = std::make_shared<Answer>();
  auto flight = cache.Get(Key("a"), Lead(), AlwaysWanted(), Into(leader));
  ASSERT_NE(flight, nullptr);
  EXPECT_EQ(cache.Get(Key("a"), Lead(), AlwaysWanted(), Into(follower)), nullptr);
  EXPECT_EQ(leader->calls + follower->calls, 0);
  flight->Finish(MakeEmbedding(10));
  ASSERT_TRUE(leader->found.ok());
  ASSERT_TRUE(follower->found.ok());
  EXPECT_EQ(leader->found->embedding, follower->found->embedding);
  EXPECT_EQ(leader->found->lookup, CacheLookup::kMiss);
  EXPECT_EQ(follower->found->lookup, CacheLookup::kJoined);
  EXPECT_EQ(leader->calls, 1);
  EXPECT_EQ(follower->calls, 1);
}

TEST(EmbeddingCache, AFailedFlightIsToldToAllAndLeavesNothing) {
  EmbeddingCache cache({.budget_bytes = 100});
  auto leader = std::make_shared<Answer>();
  auto follower = std::make_shared<Answer>();
  auto flight = cache.Get(Key("a"), Lead(), AlwaysWanted(), Into(leader));
  cache.Get(Key("a"), Lead(), AlwaysWanted(), Into(follower));
  flight->Finish(absl::InternalError("device fault"));
  EXPECT_EQ(leader->found.status().code(), absl::StatusCode::kInternal);
  EXPECT_EQ(follower->found.status().code(), absl::StatusCode::kInternal);
  EXPECT_EQ(cache.bytes(), 0);
  auto retry = cache.Get(Key("a"), Lead(), AlwaysWanted(), Into(leader));
  EXPECT_NE(retry, nullptr) << "the next caller may try again";
}

TEST(EmbeddingCache, AnAbandonedFlightFailsItsCallers) {
  EmbeddingCache cache({.budget_bytes = 100});
  auto answer = std::make_shared<Answer>();
  cache.Get(Key("a"), Lead(), AlwaysWanted(), Into(answer)).reset();
  EXPECT_EQ(answer->calls, 1);
  EXPECT_EQ(answer->found.status().code(), absl::StatusCode::kInternal);
}

TEST(EmbeddingCache, AFlightLivesAsLongAsOneCallerDoes) {
  EmbeddingCache cache({.budget_bytes = 100});
  bool leader_left = false;
  bool follower_left = false;
  const auto wanted_until = [](bool& left) {
    return [&left](absl::Time /*now*/) {
      return left ? absl::CancelledError("left") : absl::OkStatus();
    };
  };
  auto leader = std::make_shared<Answer>();
  auto follower = std::make_shared<Answer>();
  auto flight = cache.Get(Key("a"), Lead(), wanted_until(leader_left), Into(leader));
  cache.Get(Key("a"), Lead(), wanted_until(follower_left), Into(follower));
  leader_left = true;
  EXPECT_TRUE(flight->Check(absl::Now()).ok());
  follower_left = true;
  const absl::Status why = flight->Check(absl::Now());
  EXPECT_EQ(why.code(), absl::StatusCode::kCancelled);

  // The dead flight takes nobody along: a newcomer leads a flight of its own.
  auto newcomer = std::make_shared<Answer>();
  auto second = cache.Get(Key("a"), Lead(), AlwaysWanted(), Into(newcomer));
  ASSERT_NE(second, nullptr);
  flight->Finish(why);
  EXPECT_EQ(leader->calls, 1);
  EXPECT_EQ(follower->calls, 1);
  EXPECT_EQ(newcomer->calls, 0);
  second->Finish(MakeEmbedding(10));
  EXPECT_TRUE(newcomer->found.ok());
}

// A caller who leaves with `status` once it is set.
EmbeddingCache::Check WantedUntil(const absl::Status& status) {
  return [&status](absl::Time /*now*/) { return status; };
}

TEST(EmbeddingCache, WhoLeftIsAnsweredWhileTheEncodeGoesOn) {
  EmbeddingCache cache({.budget_bytes = 100});
  absl::Status leader_left;
  absl::Status follower_left;
  auto leader = std::make_shared<Answer>();
  auto follower = std::make_shared<Answer>();
  auto patient = std::make_shared<Answer>();
  auto flight = cache.Get(Key("a"), Lead(), WantedUntil(leader_left), Into(leader));
  cache.Get(Key("a"), Lead(), WantedUntil(follower_left), Into(follower));
  cache.Get(Key("a"), Lead(), AlwaysWanted(), Into(patient));
  cache.DropDeadWaiters(absl::Now());
  EXPECT_EQ(leader->calls + follower->calls + patient->calls, 0);
  leader_left = absl::CancelledError("left");
  follower_left = absl::DeadlineExceededError("too late");
  cache.DropDeadWaiters(absl::Now());
  EXPECT_EQ(leader->found.status().code(), absl::StatusCode::kCancelled);
  EXPECT_EQ(follower->found.status().code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_EQ(patient->calls, 0);
  EXPECT_TRUE(flight->Check(absl::Now()).ok());
  flight->Finish(MakeEmbedding(10));
  EXPECT_TRUE(patient->found.ok());
  EXPECT_EQ(leader->calls, 1);
  EXPECT_EQ(follower->calls, 1);
}

TEST(EmbeddingCache, AFlightThatAllLeftTakesANewcomerAlongUntilItIsChecked) {
  EmbeddingCache cache({.budget_bytes = 100});
  absl::Status left;
  auto leader = std::make_shared<Answer>();
  auto flight = cache.Get(Key("a"), Lead(), WantedUntil(left), Into(leader));
  left = absl::CancelledError("left");
  cache.DropDeadWaiters(absl::Now());
  EXPECT_EQ(leader->calls, 1);
  auto newcomer = std::make_shared<Answer>();
  EXPECT_EQ(cache.Get(Key("a"), Lead(), WantedUntil(left), Into(newcomer)), nullptr);
  cache.DropDeadWaiters(absl::Now());
  EXPECT_EQ(newcomer->calls, 1);
  const absl::Status why = flight->Check(absl::Now());
  EXPECT_EQ(why.code(), absl::StatusCode::kCancelled);
  auto second = cache.Get(Key("a"), Lead(), AlwaysWanted(), Into(newcomer));
  EXPECT_NE(second, nullptr) << "closed";
  flight->Finish(why);
  EXPECT_EQ(leader->calls, 1);
  EXPECT_EQ(newcomer->calls, 1);
}

TEST(EmbeddingCache, EachCallerOfADeadFlightIsToldHisOwnReason) {
  EmbeddingCache cache({.budget_bytes = 100});
  const absl::Status too_late = absl::DeadlineExceededError("too late");
  const absl::Status left = absl::CancelledError("left");
  auto leader = std::make_shared<Answer>();
  auto follower = std::make_shared<Answer>();
  auto flight = cache.Get(Key("a"), Lead(), WantedUntil(too_late), Into(leader));
  cache.Get(Key("a"), Lead(), WantedUntil(left), Into(follower));
  flight->Finish(flight->Check(absl::Now()));
  EXPECT_EQ(leader->found.status().code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_EQ(follower->found.status().code(), absl::StatusCode::kCancelled);
}

TEST(EmbeddingCache, ACallerWithoutBytesJoinsButNeverLeads) {
  EmbeddingCache cache({.budget_bytes = 100});
  auto answer = std::make_shared<Answer>();
  EXPECT_EQ(cache.Get(Key("a"), Fail(), AlwaysWanted(), Into(answer)), nullptr);
  EXPECT_TRUE(absl::IsNotFound(answer->found.status()));
  auto leader = std::make_shared<Answer>();
  auto flight = cache.Get(Key("a"), Lead(), AlwaysWanted(), Into(leader));
  auto joined = std::make_shared<Answer>();
  cache.Get(Key("a"), Fail(), AlwaysWanted(), Into(joined));
  flight->Finish(MakeEmbedding(10));
  EXPECT_TRUE(joined->found.ok());
}

TEST(EmbeddingCache, TheLeastRecentlyUsedGoesFirst) {
  CacheCounts counts;
  EmbeddingCache cache({.budget_bytes = 30}, &counts);
  for (const char* name : {"a", "b", "c"}) Fill(cache, Key(name), 10);
  EXPECT_NE(Peek(cache, Key("a")), nullptr);
  Fill(cache, Key("d"), 10);
  EXPECT_NE(Peek(cache, Key("a")), nullptr) << "used since";
  EXPECT_EQ(Peek(cache, Key("b")), nullptr);
  EXPECT_EQ(cache.bytes(), 30);
  EXPECT_EQ(counts.evicted, 1);
  EXPECT_EQ(counts.bytes, 30);
  EXPECT_EQ(counts.entries, 3);
}

TEST(EmbeddingCache, BytesCountNotEntries) {
  EmbeddingCache cache({.budget_bytes = 100});
  for (int i = 0; i < 10; ++i) Fill(cache, Key(std::to_string(i)), 10);
  EXPECT_EQ(cache.entries(), 10);
  Fill(cache, Key("large"), 95);
  EXPECT_EQ(cache.entries(), 1);
  EXPECT_EQ(cache.bytes(), 95);
}

TEST(EmbeddingCache, WhatIsInUseIsNeverEvicted) {
  EmbeddingCache cache({.budget_bytes = 20});
  Fill(cache, Key("a"), 10);
  std::shared_ptr<const Embedding> held = Peek(cache, Key("a"));
  Fill(cache, Key("b"), 10);
  Fill(cache, Key("c"), 10);
  EXPECT_EQ(Peek(cache, Key("a")), held);
  EXPECT_EQ(Peek(cache, Key("b")), nullptr) << "older than c, and idle";
  EXPECT_EQ(cache.bytes(), 20);
}

TEST(EmbeddingCache, WhatWasInUseAboveTheBudgetGoesOnceItIsIdle) {
  EmbeddingCache cache({.budget_bytes = 5});
  Fill(cache, Key("a"), 10);
  EXPECT_EQ(cache.bytes(), 10) << "it was in use while it was put in";
  std::shared_ptr<const Embedding> held = Peek(cache, Key("a"));
  cache.Trim();
  EXPECT_EQ(cache.bytes(), 10);
  held.reset();
  cache.Trim();
  EXPECT_EQ(cache.bytes(), 0);
  EXPECT_EQ(cache.entries(), 0);
}

TEST(EmbeddingCache, NewFlightsAreRefusedWhileWhatIsInUseFillsTheBudget) {
  EmbeddingCache cache({.budget_bytes = 10, .retry_after = absl::Milliseconds(70)});
  Fill(cache, Key("a"), 10);
  std::shared_ptr<const Embedding> held = Peek(cache, Key("a"));
  auto answer = std::make_shared<Answer>();
  EXPECT_EQ(cache.Get(Key("b"), Lead(), AlwaysWanted(), Into(answer)), nullptr);
  EXPECT_EQ(ErrorReason(answer->found.status()), reason::kMemoryFull);
  EXPECT_EQ(ErrorRetryAfter(answer->found.status()), absl::Milliseconds(70));
  held.reset();
  EXPECT_NE(cache.Get(Key("b"), Lead(), AlwaysWanted(), Into(answer)), nullptr);
}

TEST(EmbeddingCache, FlightsAreBounded) {
  EmbeddingCache cache({.budget_bytes = 100, .max_flights = 1});
  auto answer = std::make_shared<Answer>();
  auto flight = cache.Get(Key("a"), Lead(), AlwaysWanted(), Into(answer));
  auto refused = std::make_shared<Answer>();
  EXPECT_EQ(cache.Get(Key("b"), Lead(), AlwaysWanted(), Into(refused)), nullptr);
  EXPECT_EQ(ErrorReason(refused->found.status()), reason::kQueueFull);
  flight->Finish(MakeEmbedding(1));
  EXPECT_NE(cache.Get(Key("b"), Lead(), AlwaysWanted(), Into(refused)), nullptr);
}

TEST(EmbeddingLru, ReplacingAnEntryKeepsTheSumExact) {
  EmbeddingLru lru(/*budget_bytes=*/100);
  lru.Insert(Key("a"), MakeEmbedding(10));
  lru.Insert(Key("a"), MakeEmbedding(25));
  EXPECT_EQ(lru.bytes(), 25);
  EXPECT_EQ(lru.entries(), 1);
  lru.Insert(Key("b"), MakeEmbedding(5));
  EXPECT_EQ(lru.bytes(), 30);
  EXPECT_EQ(lru.in_use_bytes(), 0);
  const auto held = lru.Find(Key("b"));
  EXPECT_EQ(lru.in_use_bytes(), 5);
}

// Accounting and single flight under load: what the cache says it holds is what
// lives.
TEST(EmbeddingCacheStress, AccountingNeverDrifts) {
  constexpr int kThreads = 4;
  constexpr int kRounds = 1500;
  constexpr int64_t kBytes = 10;
  std::atomic<int> alive{0};
  {
    EmbeddingCache cache({.budget_bytes = 8 * kBytes});
    std::atomic<int> answered{0};
    std::vector<std::thread> threads;
    for (int t = 0; t < kThreads; ++t) {
      threads.emplace_back([&, t] {
        for (int i = 0; i < kRounds; ++i) {
          const EmbeddingKey key = Key(std::to_string((i * 7 + t * 3) % 24));
          auto flight =
              cache.Get(key, Lead(), AlwaysWanted(),
                        [&](absl::StatusOr<EmbeddingCache::Found> /*found*/) { ++answered; });
          if (flight == nullptr) continue;
          if (i % 11 == 0) {
            flight->Finish(absl::InternalError("lost"));
          } else {
            flight->Finish(std::make_shared<const SizedEmbedding>(kBytes, &alive));
          }
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
    cache.Trim();
    EXPECT_EQ(answered, kThreads * kRounds);
    EXPECT_EQ(cache.bytes(), alive * kBytes);
    EXPECT_EQ(cache.entries(), alive);
    EXPECT_LE(cache.bytes(), 8 * kBytes);
  }
  EXPECT_EQ(alive, 0);
}

TEST(EmbeddingCacheShare, OneTenantLeavesFlightsForOthers) {
  EmbeddingCache cache({.max_flights = 4, .max_tenant_share = 0.5});
  const auto alive = [](absl::Time /*now*/) { return absl::OkStatus(); };
  absl::Status status;
  const auto get = [&](const char* tenant, const char* sha256) {
    status = absl::OkStatus();
    return cache.Get({.tenant = {tenant}, .image_sha256 = sha256}, Lead(), alive,
                     [&status](const auto& found) { status = found.status(); });
  };
  const auto first = get("greedy", "1");
  auto second = get("greedy", "2");
  EXPECT_NE(second, nullptr);
  EXPECT_EQ(get("greedy", "3"), nullptr);
  EXPECT_EQ(ErrorReason(status), reason::kQuotaExceeded);
  EXPECT_TRUE(ErrorRetryAfter(status).has_value());
  const auto other = get("other", "3");
  EXPECT_NE(other, nullptr);
  second->Finish(absl::CancelledError());
  const auto third = get("greedy", "3");
  EXPECT_NE(third, nullptr);
}

}  // namespace
}  // namespace semsam
