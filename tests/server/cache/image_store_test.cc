#include "server/cache/image_store.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "server/batching/tenant_table.h"

namespace semsam {
namespace {

constexpr int64_t kAny = kUnboundedQuota;

std::shared_ptr<const std::string> Bytes(size_t size) {
  return std::make_shared<const std::string>(size, 'x');
}

class ImageStoreTest : public ::testing::Test {
 protected:
  ImageStore::Listed List(const TenantId& tenant, const std::string& sha256, size_t size,
                          int64_t tenant_bytes = kAny) {
    return store_.List(
        tenant, {.sha256 = sha256, .geometry = {.original = {480, 640}}, .bytes = Bytes(size)},
        tenant_bytes);
  }
  bool Knows(const TenantId& tenant, const std::string& sha256) {
    return store_.Find(tenant, sha256).has_value();
  }
  bool HoldsBytes(const TenantId& tenant, const std::string& sha256) {
    const std::optional<ImageStore::Image> image = store_.Find(tenant, sha256);
    return image.has_value() && image->bytes != nullptr;
  }

  const TenantId mine_{"mine"};
  const TenantId other_{"other"};
  ImageStore store_{/*max_bytes=*/100, /*max_unlisted=*/2};
};

TEST_F(ImageStoreTest, OneCopyIsHeldHoweverManyListTheImage) {
  const auto bytes = Bytes(40);
  const auto first = store_.List(mine_, {.sha256 = "aa", .bytes = bytes}, kAny);
  const auto second = List(mine_, "aa", 40);
  const auto third = store_.List(mine_, {.sha256 = "aa"}, kAny);
  EXPECT_EQ(store_.bytes(), 40);
  EXPECT_EQ(second.bytes(), bytes) << "the copy that was there stays";
  EXPECT_EQ(third.bytes(), bytes);
  store_.Unlist(first);
  store_.Unlist(third);
  EXPECT_EQ(second.bytes(), bytes);
  EXPECT_EQ(store_.bytes(), 40);
  store_.Unlist(second);
  EXPECT_EQ(store_.bytes(), 0);
  EXPECT_EQ(bytes.use_count(), 1) << "nothing is held for nobody";
}

TEST_F(ImageStoreTest, TenantsShareNothing) {
  List(mine_, "aa", 40);
  EXPECT_FALSE(Knows(other_, "aa"));
  EXPECT_FALSE(Knows({}, "aa"));
  const auto theirs = List(other_, "aa", 40);
  EXPECT_EQ(store_.bytes(), 80);
  store_.Unlist(theirs);
  EXPECT_TRUE(HoldsBytes(mine_, "aa"));
  EXPECT_FALSE(HoldsBytes(other_, "aa"));
}

TEST_F(ImageStoreTest, TheLeastRecentlyUsedBytesMakeRoom) {
  const auto a = List(mine_, "aa", 40);
  const auto b = List(other_, "bb", 40);
  store_.Touch(a);
  const auto c = List(mine_, "cc", 40);
  EXPECT_NE(a.bytes(), nullptr);
  EXPECT_EQ(b.bytes(), nullptr);
  EXPECT_NE(c.bytes(), nullptr);
  EXPECT_EQ(store_.bytes(), 80);
  EXPECT_EQ(b.sha256(), "bb") << "it stays known";
  EXPECT_EQ(b.geometry().original, (ImageSize{480, 640}));
  EXPECT_TRUE(HoldsBytes(mine_, "aa")) << "a look-up by digest is a use";
  List(mine_, "dd", 40);
  EXPECT_NE(a.bytes(), nullptr);
  EXPECT_EQ(c.bytes(), nullptr);
}

TEST_F(ImageStoreTest, ATenantsQuotaIsPaidByItsOwnImages) {
  const auto theirs = List(other_, "aa", 20, 50);
  const auto first = List(mine_, "aa", 30, 50);
  const auto second = List(mine_, "bb", 20, 50);
  EXPECT_NE(first.bytes(), nullptr);
  const auto third = List(mine_, "cc", 10, 50);
  EXPECT_EQ(first.bytes(), nullptr);
  EXPECT_NE(second.bytes(), nullptr);
  EXPECT_NE(third.bytes(), nullptr);
  EXPECT_NE(theirs.bytes(), nullptr) << "older, and not of this tenant";
  EXPECT_EQ(List(mine_, "dd", 51, 50).bytes(), nullptr) << "can never fit";
  EXPECT_NE(second.bytes(), nullptr) << "nothing went for what cannot fit";
  EXPECT_EQ(store_.bytes(), 50);
}

TEST_F(ImageStoreTest, BytesThatWentComeBack) {
  const auto image = store_.List(mine_, {.sha256 = "aa"}, kAny);
  EXPECT_EQ(image.bytes(), nullptr);
  store_.Retain(image, Bytes(101), kAny);
  EXPECT_EQ(image.bytes(), nullptr) << "larger than the store";
  store_.Retain(image, Bytes(100), kAny);
  EXPECT_NE(image.bytes(), nullptr);
  store_.Retain(image, nullptr, kAny);
  EXPECT_NE(image.bytes(), nullptr);
  EXPECT_EQ(store_.bytes(), 100);
}

TEST_F(ImageStoreTest, WhatNobodyListsStaysKnownForAWhile) {
  for (const char* sha256 : {"aa", "bb"}) store_.Unlist(List(mine_, sha256, 10));
  EXPECT_EQ(store_.unlisted(), 2);
  EXPECT_TRUE(Knows(mine_, "aa")) << "and is the newest now";
  EXPECT_FALSE(HoldsBytes(mine_, "aa"));
  store_.Unlist(List(mine_, "cc", 10));
  EXPECT_EQ(store_.unlisted(), 2);
  EXPECT_FALSE(Knows(mine_, "bb"));
  const auto again = List(mine_, "aa", 10);
  EXPECT_EQ(store_.unlisted(), 1);
  EXPECT_NE(again.bytes(), nullptr);
  store_.Unlist(again);
  EXPECT_EQ(store_.unlisted(), 2);
}

TEST(ImageStore, NoneIsKnownUnlistedWhereNoneMayBe) {
  ImageStore store(100, 0);
  store.Unlist(store.List({}, {.sha256 = "aa", .bytes = Bytes(10)}, kAny));
  EXPECT_FALSE(store.Find({}, "aa").has_value());
  EXPECT_EQ(store.unlisted(), 0);
  EXPECT_EQ(store.bytes(), 0);
}

// Whatever happens in whatever order, the sum is that of the copies that are held.
TEST(ImageStore, AccountingNeverDrifts) {
  struct Held {
    ImageStore::Listed listed;
    TenantId tenant;
  };
  ImageStore store(500, 3);
  std::mt19937 random(7);
  std::vector<Held> held;
  for (int step = 0; step < 5000; ++step) {
    const TenantId tenant{std::to_string(random() % 3)};
    const int sha256 = static_cast<int>(random() % 12);
    if (random() % 2 == 0 || held.empty()) {
      held.push_back({store.List(tenant,
                                 {.sha256 = std::to_string(sha256),
                                  .bytes = random() % 4 == 0 ? nullptr : Bytes(20 + 7 * sha256)},
                                 200),
                      tenant});
    } else {
      std::swap(held[random() % held.size()], held.back());
      store.Unlist(held.back().listed);
      held.pop_back();
    }
    int64_t sum = 0;
    std::vector<const std::string*> seen;
    for (const Held& image : held) {
      const std::string* bytes = image.listed.bytes().get();
      if (bytes == nullptr || std::find(seen.begin(), seen.end(), bytes) != seen.end()) continue;
      seen.push_back(bytes);
      sum += static_cast<int64_t>(bytes->size());
    }
    ASSERT_EQ(store.bytes(), sum) << step;
    ASSERT_LE(sum, 500);
    ASSERT_LE(store.unlisted(), 3);
  }
  for (const Held& image : held) store.Unlist(image.listed);
  EXPECT_EQ(store.bytes(), 0);
}

}  // namespace
}  // namespace semsam
