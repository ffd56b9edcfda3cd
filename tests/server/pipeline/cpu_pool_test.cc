#include "server/pipeline/cpu_pool.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <utility>

#include "model/base/mutex.h"

namespace semsam {
namespace {

// Jobs that say their name, and jobs that wait. Thread-safe.
class JobLog {
 public:
  CpuPool::Job Named(const std::string& name, TenantId tenant = {}) {
    return Make(std::move(tenant), [this, name] {
      MutexLock lock(mutex_);
      names_ += name;
      changed_.NotifyAll();
    });
  }
  // Waits for Open.
  CpuPool::Job Held() {
    return Make({}, [this] {
      MutexLock lock(mutex_);
      ++held_;
      changed_.NotifyAll();
      while (!open_) changed_.Wait(mutex_);
    });
  }
  void Open() {
    MutexLock lock(mutex_);
    open_ = true;
    changed_.NotifyAll();
  }
  void WaitForHeld(int jobs) {
    MutexLock lock(mutex_);
    while (held_ < jobs) changed_.Wait(mutex_);
  }
  void WaitForNames(size_t bytes) {
    MutexLock lock(mutex_);
    while (names_.size() < bytes) changed_.Wait(mutex_);
  }
  std::string names() const {
    MutexLock lock(mutex_);
    return names_;
  }
  int held() const {
    MutexLock lock(mutex_);
    return held_;
  }

 private:
  template <typename Run>
  CpuPool::Job Make(TenantId tenant, Run run) {
    return {.tenant = std::move(tenant),
            .run = std::move(run),
            .check = [](absl::Time /*now*/) { return absl::OkStatus(); },
            .drop = [](const absl::Status& why) { ADD_FAILURE() << why; }};
  }

  mutable Mutex mutex_;
  CondVar changed_;
  std::string names_ ABSL_GUARDED_BY(mutex_);
  int held_ ABSL_GUARDED_BY(mutex_) = 0;
  bool open_ ABSL_GUARDED_BY(mutex_) = false;
};

TEST(CpuPool, MasksGoBeforeImages) {
  JobLog log;
  const FakeClock clock;
  CpuPool pool({}, clock, nullptr, nullptr);
  pool.Submit(CpuPool::kMasks, log.Held());
  log.WaitForHeld(1);
  pool.Submit(CpuPool::kImages, log.Named("i"));
  pool.Submit(CpuPool::kMasks, log.Named("m"));
  log.Open();
  pool.Shutdown();
  EXPECT_EQ(log.names(), "mi");
}

TEST(CpuPool, ImagesLeaveOneThreadForMasks) {
  JobLog log;
  const FakeClock clock;
  CpuPool pool({.threads = 2}, clock, nullptr, nullptr);
  pool.Submit(CpuPool::kImages, log.Held());
  pool.Submit(CpuPool::kImages, log.Held());
  log.WaitForHeld(1);
  pool.Submit(CpuPool::kMasks, log.Named("m"));
  pool.Submit(CpuPool::kMasks, log.Named("m"));
  log.WaitForNames(2);
  EXPECT_EQ(log.held(), 1);
  log.Open();
  pool.Shutdown();
  EXPECT_EQ(log.held(), 2);
}

TEST(CpuPool, MasksTakeAllThreads) {
  JobLog log;
  const FakeClock clock;
  CpuPool pool({.threads = 3}, clock, nullptr, nullptr);
  for (int i = 0; i < 3; ++i) pool.Submit(CpuPool::kMasks, log.Held());
  log.WaitForHeld(3);
  log.Open();
}

TEST(CpuPool, OneThreadDoesAll) {
  JobLog log;
  const FakeClock clock;
  CpuPool pool({.threads = 1}, clock, nullptr, nullptr);
  pool.Submit(CpuPool::kImages, log.Named("i"));
  log.WaitForNames(1);
}

TEST(CpuPool, TenantsTakeTurns) {
  JobLog log;
  const FakeClock clock;
  CpuPool pool({.tenants = *TenantTable::Parse("b weight=2\n")}, clock, nullptr, nullptr);
  pool.Submit(CpuPool::kMasks, log.Held());
  log.WaitForHeld(1);
  for (const char* tenant : {"a", "b"}) {
    for (int i = 0; i < 4; ++i) pool.Submit(CpuPool::kImages, log.Named(tenant, {tenant}));
  }
  log.Open();
  pool.Shutdown();
  EXPECT_EQ(log.names(), "abbabbaa");
}

}  // namespace
}  // namespace semsam
