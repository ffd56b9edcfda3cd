#include "server/pipeline/cpu_pool.h"

#include <optional>
#include <utility>

namespace semsam {
namespace {

WorkQueueOptions QueueOptions(const CpuPoolOptions& options) {
  return {.classes = {{.name = "mask",
                       .max_entries = options.max_mask_jobs,
                       .max_units = options.max_mask_jobs},
                      {.name = "image",
                       .max_entries = options.max_image_jobs,
                       .max_units = options.max_image_jobs}},
          .tenants = options.tenants,
          .max_flow_share = options.max_tenant_share,
          .retry_after = options.retry_after};
}

WorkQueueOptions ResultQueueOptions(const CpuPoolOptions& options) {
  return {.classes = {{.name = "result",
                       .max_entries = options.max_result_jobs,
                       .max_units = options.max_result_jobs}},
          .tenants = options.tenants,
          .max_flow_share = options.max_tenant_share,
          .retry_after = options.retry_after};
}

}  // namespace

CpuPool::CpuPool(const CpuPoolOptions& options, const Clock& clock, WorkQueueObserver* observer,
                 WorkQueueObserver* results)
    : queue_(QueueOptions(options), clock, observer),
      results_(ResultQueueOptions(options), clock, results) {
  threads_.reserve(options.threads + options.result_threads);
  for (int i = 0; i < options.threads; ++i) {
    const bool masks_only = i == 0 && options.threads > 1;
    threads_.emplace_back(
        [this, classes = masks_only ? kMasks + 1 : kImages + 1] { Work(queue_, classes); });
  }
  for (int i = 0; i < options.result_threads; ++i) {
    threads_.emplace_back([this] { Work(results_, /*classes=*/1); });
  }
}

CpuPool::~CpuPool() { Shutdown(); }

void CpuPool::Submit(JobClass job_class, Job job) {
  JobQueue::Entry entry{.task = std::move(job.run),
                        .flow = std::move(job.tenant),
                        .check = std::move(job.check),
                        .drop = std::move(job.drop)};
  absl::Status status =
      job_class == kResults ? results_.Push(0, entry) : queue_.Push(job_class, entry);
  if (!status.ok()) entry.drop(std::move(status));
}

void CpuPool::Shutdown() {
  queue_.Close(JobQueue::CloseMode::kDrain);
  results_.Close(JobQueue::CloseMode::kDrain);
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
}

void CpuPool::Work(JobQueue& queue, int classes) {
  while (std::optional<JobQueue::Batch> batch = queue.TakeBatchOf(classes)) {
    for (JobQueue::Taken& taken : batch->entries) taken.task();
  }
}

}  // namespace semsam
