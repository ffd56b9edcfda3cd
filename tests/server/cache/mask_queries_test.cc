#include "server/cache/mask_queries.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

namespace semsam {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr int64_t kRowBytes = MaskQueries::kEntryOverheadBytes + 2 * 4;

TEST(MaskQueries, AnEmbeddingComesBackUnderItsId) {
  MaskQueries queries(10, 10000);
  MaskQueries::Shelf shelf;
  const uint64_t first = queries.Add(shelf, {1, 2});
  const uint64_t second = queries.Add(shelf, {3, 4});
  EXPECT_NE(first, 0);
  EXPECT_NE(first, second);
  EXPECT_THAT(queries.Find(shelf, first), ElementsAre(1, 2));
  EXPECT_THAT(queries.Find(shelf, second), ElementsAre(3, 4));
  EXPECT_THAT(queries.Find(shelf, second + 1), IsEmpty());
  EXPECT_THAT(queries.Find(shelf, 0), IsEmpty());
  EXPECT_EQ(queries.bytes(), 2 * kRowBytes);
}

TEST(MaskQueries, AShelfSeesNothingOfAnother) {
  MaskQueries queries(10, 10000);
  MaskQueries::Shelf mine;
  MaskQueries::Shelf other;
  const uint64_t id = queries.Add(mine, {1, 2});
  queries.Add(other, {3, 4});
  EXPECT_THAT(queries.Find(other, id), IsEmpty());
}

TEST(MaskQueries, TheOldestOfAShelfGoesFirst) {
  MaskQueries queries(2, 10000);
  MaskQueries::Shelf full;
  MaskQueries::Shelf other;
  const uint64_t others = queries.Add(other, {9, 9});
  const uint64_t first = queries.Add(full, {1, 2});
  const uint64_t second = queries.Add(full, {3, 4});
  const uint64_t third = queries.Add(full, {5, 6});
  EXPECT_THAT(queries.Find(full, first), IsEmpty());
  EXPECT_THAT(queries.Find(full, second), ElementsAre(3, 4));
  EXPECT_THAT(queries.Find(full, third), ElementsAre(5, 6));
  EXPECT_THAT(queries.Find(other, others), ElementsAre(9, 9)) << "older, but not in the way";
  EXPECT_EQ(queries.bytes(), 3 * kRowBytes);
}

TEST(MaskQueries, BeyondTheBytesTheOldestOfAllGoesFirst) {
  MaskQueries queries(10, 3 * kRowBytes);
  MaskQueries::Shelf a;
  MaskQueries::Shelf b;
  const uint64_t oldest = queries.Add(a, {1, 1});
  const uint64_t second = queries.Add(b, {2, 2});
  queries.Add(a, {3, 3});
  queries.Add(b, {4, 4});
  EXPECT_THAT(queries.Find(a, oldest), IsEmpty());
  EXPECT_THAT(queries.Find(b, second), ElementsAre(2, 2));
  EXPECT_EQ(queries.bytes(), 3 * kRowBytes);
  // A larger one makes room for itself.
  const uint64_t large = queries.Add(a, std::vector<float>(10, 7));
  EXPECT_THAT(queries.Find(b, second), IsEmpty());
  EXPECT_EQ(queries.Find(a, large).size(), 10);
  EXPECT_LE(queries.bytes(), 3 * kRowBytes);
}

TEST(MaskQueries, WhatNeverFitsGetsNoId) {
  MaskQueries::Shelf shelf;
  MaskQueries small(10, kRowBytes);
  const uint64_t held = small.Add(shelf, {1, 2});
  EXPECT_EQ(small.Add(shelf, std::vector<float>(100)), 0);
  EXPECT_THAT(small.Find(shelf, held), ElementsAre(1, 2));
  MaskQueries none(0, 10000);
  MaskQueries::Shelf empty;
  EXPECT_EQ(none.Add(empty, {1, 2}), 0);
}

TEST(MaskQueries, AClearedShelfGivesItsBytesBack) {
  MaskQueries queries(10, 10000);
  MaskQueries::Shelf mine;
  MaskQueries::Shelf other;
  const uint64_t id = queries.Add(mine, {1, 2});
  const uint64_t others = queries.Add(other, {3, 4});
  queries.Add(mine, {5, 6});
  queries.Clear(mine);
  EXPECT_EQ(queries.bytes(), kRowBytes);
  EXPECT_THAT(queries.Find(mine, id), IsEmpty());
  EXPECT_THAT(queries.Find(other, others), ElementsAre(3, 4));
  queries.Clear(other);
  EXPECT_EQ(queries.bytes(), 0);
}

}  // namespace
}  // namespace semsam
