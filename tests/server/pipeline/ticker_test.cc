#include "server/pipeline/ticker.h"

#include <gtest/gtest.h>

#include "absl/time/clock.h"
#include "model/base/mutex.h"

namespace semsam {
namespace {

TEST(Ticker, TicksUntilItIsDestroyed) {
  Mutex mutex;
  CondVar ticked;
  int ticks = 0;
  {
    Ticker ticker(absl::Milliseconds(1), [&] {
      MutexLock lock(mutex);
      ++ticks;
      ticked.NotifyAll();
    });
    MutexLock lock(mutex);
    while (ticks < 3) ticked.Wait(mutex);
  }
  EXPECT_GE(ticks, 3);
}

TEST(Ticker, StopsWithoutWaitingForTheNextTick) {
  bool ticked = false;
  const absl::Time start = absl::Now();
  {
    const Ticker ticker(absl::Hours(1), [&] { ticked = true; });
  }
  EXPECT_LT(absl::Now() - start, absl::Minutes(1));
  EXPECT_FALSE(ticked);
}

}  // namespace
}  // namespace semsam
