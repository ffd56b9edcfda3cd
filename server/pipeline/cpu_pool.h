// A few threads for the work around the model: reading images, finishing masks.
//
// Guarantees
//   - Each job either runs or is dropped, exactly once.
//   - Masks go before images: somebody waits for them with a hand on the mouse. Of more
//     threads than one, images leave one free for masks: a picture may take seconds.
//   - The results of long calls have threads of their own: a job of seconds is in
//     nobody's way.
//   - Tenants share each class by their weights.
//   - A full queue drops the new job at once.
// Thread-safe.
#ifndef SEMSAM_SERVER_PIPELINE_CPU_POOL_H_
#define SEMSAM_SERVER_PIPELINE_CPU_POOL_H_

#include <cstdint>
#include <thread>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "model/base/clock.h"
#include "server/batching/tenant_id.h"
#include "server/batching/tenant_table.h"
#include "server/batching/work_queue.h"

namespace semsam {

struct CpuPoolOptions {
  int threads = 1;  // for masks and images
  int result_threads = 1;
  int64_t max_mask_jobs = 256;  // queued
  int64_t max_image_jobs = 64;  // queued
  int64_t max_result_jobs = 8;  // queued
  TenantTable tenants;          // their weights
  double max_tenant_share = 1;  // of each queue
  absl::Duration retry_after = absl::Milliseconds(250);
};

class CpuPool {
 public:
  // kMasks before kImages; kResults apart.
  enum JobClass { kMasks = 0, kImages = 1, kResults = 2 };

  struct Job {
    TenantId tenant;
    absl::AnyInvocable<void()> run;
    // OK while somebody waits; see WorkQueue::Entry.
    absl::AnyInvocable<absl::Status(absl::Time now)> check;
    absl::AnyInvocable<void(absl::Status why)> drop;
  };

  // `clock` and the observers (may be null) outlive the pool; `results` hears of
  // kResults alone, as its class 0.
  CpuPool(const CpuPoolOptions& options, const Clock& clock, WorkQueueObserver* observer,
          WorkQueueObserver* results);
  ~CpuPool();

  // Runs `job` on a thread of the pool, or drops it, here and now if the queue is
  // full or the pool is closed.
  void Submit(JobClass job_class, Job job);

  // Drops jobs that nobody waits for.
  void DropDead() {
    queue_.DropDead();
    results_.DropDead();
  }

  // Runs what is queued, refuses more, and joins the threads.
  void Shutdown();

 private:
  using JobQueue = WorkQueue<absl::AnyInvocable<void()>>;

  // On one thread; takes jobs of the first `classes` classes.
  static void Work(JobQueue& queue, int classes);

  JobQueue queue_;
  JobQueue results_;
  std::vector<std::thread> threads_;
};

}  // namespace semsam

#endif  // SEMSAM_SERVER_PIPELINE_CPU_POOL_H_
