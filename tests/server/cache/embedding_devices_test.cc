// The cache over several devices: where an embedding is, and whose budget it counts for.
#include <memory>
#include <utility>
#include <vector>

#include "model/base/errors.h"
#include "tests/server/cache/embedding_cache_fixture.h"

namespace semsam {
namespace {

EmbeddingCache::OnMiss LeadOn(int device, int64_t bytes) {
  return {.embedding_bytes = bytes, .device = device};
}

// Puts an embedding on `device`, or where there is room; says where.
int FillOn(EmbeddingCache& cache, const char* name, int device, int64_t bytes) {
  auto answer = std::make_shared<Answer>();
  auto flight = cache.Get(Key(name), LeadOn(device, bytes), AlwaysWanted(), Into(answer));
  EXPECT_NE(flight, nullptr);
  if (flight == nullptr) return -1;
  const int chosen = flight->device();
  flight->Finish(MakeEmbedding(bytes));
  EXPECT_TRUE(answer->found.ok());
  EXPECT_EQ(answer->found->device, chosen);
  return chosen;
}

// Where it is; -1: nowhere.
int Where(EmbeddingCache& cache, const char* name) {
  auto answer = std::make_shared<Answer>();
  cache.Get(Key(name), Fail(), AlwaysWanted(), Into(answer));
  return answer->found.ok() ? answer->found->device : -1;
}

TEST(EmbeddingDevices, EachHasItsBudget) {
  EmbeddingCache cache({.budget_bytes = 20, .devices = 2});
  EXPECT_EQ(FillOn(cache, "a", 0, 10), 0);
  EXPECT_EQ(FillOn(cache, "b", 0, 10), 0);
  EXPECT_EQ(FillOn(cache, "c", 1, 20), 1);
  EXPECT_EQ(cache.bytes(), 40);
  EXPECT_EQ(FillOn(cache, "d", 0, 10), 0);
  EXPECT_EQ(Where(cache, "a"), -1) << "the least recently used there made room";
  EXPECT_EQ(Where(cache, "b"), 0);
  EXPECT_EQ(Where(cache, "c"), 1);
  EXPECT_EQ(Where(cache, "d"), 0);
}

TEST(EmbeddingDevices, WhatIsInUseOnOneSendsTheNextToAnother) {
  EmbeddingCache cache({.budget_bytes = 10, .devices = 3});
  FillOn(cache, "a", 1, 10);
  const auto used = Peek(cache, Key("a"));
  EXPECT_EQ(FillOn(cache, "b", 1, 10), 2);
  const auto also_used = Peek(cache, Key("b"));
  auto under_way =
      cache.Get(Key("c"), LeadOn(1, 10), AlwaysWanted(), Into(std::make_shared<Answer>()));
  ASSERT_NE(under_way, nullptr);
  EXPECT_EQ(under_way->device(), 0);
  auto refused = std::make_shared<Answer>();
  EXPECT_EQ(cache.Get(Key("d"), LeadOn(1, 10), AlwaysWanted(), Into(refused)), nullptr);
  EXPECT_EQ(ErrorReason(refused->found.status()), reason::kMemoryFull);
  under_way->Finish(absl::InternalError("no"));
  EXPECT_EQ(FillOn(cache, "d", 1, 10), 0) << "what was set aside is free again";
}

TEST(EmbeddingDevices, WhatLeftOneComesBackToIt) {
  std::vector<std::shared_ptr<EmbeddingCache::Evicted>> leaving;
  CacheCounts counts;
  EmbeddingCache cache({.budget_bytes = 10, .devices = 2}, &counts,
                       [&leaving](std::shared_ptr<EmbeddingCache::Evicted> evicted) {
                         leaving.push_back(std::move(evicted));
                       });
  FillOn(cache, "a", 1, 10);
  FillOn(cache, "b", 1, 10);
  ASSERT_EQ(leaving.size(), 1);
  EXPECT_EQ(leaving[0]->device(), 1);
  EXPECT_EQ(counts.bytes, 20);
  EXPECT_EQ(Where(cache, "a"), 1);
  EXPECT_EQ(leaving[0]->embedding(), nullptr);
  leaving.clear();
  EXPECT_EQ(cache.bytes(), 10);
  EXPECT_EQ(counts.bytes, 10);
}

TEST(EmbeddingDevices, AtTheEndTheLastOfEachComesLast) {
  EmbeddingCache cache({.budget_bytes = 100, .devices = 2});
  for (const auto& [name, device] : {std::pair{"a", 0}, {"b", 0}, {"c", 0}, {"d", 1}}) {
    FillOn(cache, name, device, 10);
  }
  std::vector<std::string> order;
  for (const auto& one : cache.TakeIdle()) order.push_back(one->key().image_sha256);
  EXPECT_EQ(order, (std::vector<std::string>{"a", "b", "c", "d"}));
}

}  // namespace
}  // namespace semsam
