#include "model/base/ordered_loader.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <memory>
#include <set>

#include "model/base/mutex.h"

namespace semsam {
namespace {

TEST(OrderedLoaderTest, ItemsComeInOrderWithinTheirBounds) {
  Mutex mutex;
  int64_t held = 0, most = 0;
  std::set<int64_t> begun;
  {
    OrderedLoader<int64_t> loader(
        {.threads = 4, .max_items = 6, .max_bytes = 3},
        [&](int64_t ordinal) {
          const MutexLock lock(mutex);
          EXPECT_TRUE(begun.insert(ordinal).second);
          most = std::max(most, ++held);
          return ordinal * ordinal;
        },
        [](const int64_t&) { return 1; });
    for (int64_t i = 0; i < 300; ++i) {
      ASSERT_EQ(loader.Next(), i * i);
      const MutexLock lock(mutex);
      --held;
    }
  }
  // Six were asked for at once at most; three bytes finished, three more on their way,
  // and the one that was taken but not yet counted.
  EXPECT_LE(most, 7);
  EXPECT_LE(begun.size(), 307u);
}

TEST(OrderedLoaderTest, AnItemThatIsLargerThanTheBoundStillComes) {
  OrderedLoader<int64_t> loader(
      {.threads = 2, .max_items = 1, .max_bytes = 1}, [](int64_t ordinal) { return ordinal; },
      [](const int64_t&) { return 100; });
  for (int64_t i = 0; i < 20; ++i) ASSERT_EQ(loader.Next(), i);
}

TEST(OrderedLoaderTest, ItsEndWaitsForWhatIsBeingMade) {
  for (int taken = 0; taken < 20; ++taken) {
    std::atomic<int> begun = 0, ended = 0;
    {
      OrderedLoader<std::unique_ptr<int64_t>> loader(
          {.threads = 3, .max_items = 5},
          [&](int64_t ordinal) {
            ++begun;
            auto item = std::make_unique<int64_t>(ordinal);
            ++ended;
            return item;
          },
          [](const std::unique_ptr<int64_t>&) { return 8; });
      for (int64_t i = 0; i < taken; ++i) ASSERT_EQ(*loader.Next(), i);
    }
    EXPECT_EQ(begun, ended);
    EXPECT_GE(begun, taken);
    EXPECT_LE(begun, taken + 5);
  }
}

}  // namespace
}  // namespace semsam
