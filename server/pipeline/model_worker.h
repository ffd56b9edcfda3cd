// The one thread that calls the model of a device, and the bounded queue in front of it.
//
// Guarantees
//   - The Segmenter is called from this thread alone, one call at a time, and
//     never for a job that was cancelled or whose deadline passed while it waited.
//   - Clicks go before embeddings that only need to be loaded, those before encodes,
//     those before words, and those before background work, which comes in chunks; whatever clicks
//     are queued when the model is free become one batch, and whatever images that are of one size
//     once padded.
//   - An image waits for clicks no longer than max_encode_wait: from then on it shares
//     the model with them, batch by batch.
//   - What clearly cannot be in time is refused before work is done for it, as far as
//     the runs so far tell (ServiceEstimate).
//   - Tenants share each class by their weights.
//   - Every `done` runs exactly once: with a result, with the model's error for
//     this job, or with the reason why it did not run. Of `run` and `drop` exactly
//     one runs, once.
//   - Once the device is lost, the listener is told, what waits is dropped with
//     DEVICE_FAULT, and so is what still comes.
// `done` runs on the model's thread (or the submitter's, on refusal): it must be
// quick. Thread-safe.
#ifndef SEMSAM_SERVER_PIPELINE_MODEL_WORKER_H_
#define SEMSAM_SERVER_PIPELINE_MODEL_WORKER_H_

#include <cstdint>
#include <memory>
#include <thread>
#include <variant>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "model/base/clock.h"
#include "model/segmenter.h"
#include "server/batching/service_estimate.h"
#include "server/batching/tenant_id.h"
#include "server/batching/tenant_table.h"
#include "server/batching/work_queue.h"
#include "server/metrics/metrics.h"
#include "server/pipeline/fault_listener.h"
#include "server/pipeline/resilient_segmenter.h"

namespace semsam {

struct ModelWorkerOptions {
  int64_t max_decode_requests = 256;  // queued
  int64_t max_decode_queries = 4096;  // queued; a prompt is as many as the model has tokens
  int64_t max_batch_queries = 384;
  int64_t max_encode_images = 64;  // queued; as many may wait to be loaded
  int64_t max_batch_images = 1;
  absl::Duration max_encode_wait = absl::Seconds(10);  // behind clicks; 0: as long as they come
  int64_t max_text_jobs = 264;                         // queued
  int64_t max_background_jobs = 8;                     // queued
  TenantTable tenants;                                 // their weights
  double max_tenant_share = 1;                         // of each queue
  bool check_deadlines = true;                         // refuse what cannot be in time
  absl::Duration retry_after = absl::Milliseconds(250);
};

class ModelWorker {
 public:
  // Priority order, highest first.
  enum WorkClass { kDecode = 0, kLoad = 1, kEncode = 2, kText = 3, kBackground = 4 };

  struct Times {
    absl::Duration queue;
    absl::Duration run;  // of the batch that the job was part of
  };
  using Check = absl::AnyInvocable<absl::Status(absl::Time now)>;

  struct DecodeJob {
    DecodeRequest request;
    TenantId tenant;
    absl::Time deadline = absl::InfiniteFuture();
    Check check;
    absl::AnyInvocable<void(absl::StatusOr<DecodeResult>, const Times&)> done;
  };
  struct EncodeJob {
    Rgb8Image image;  // network frame
    TenantId tenant;
    Check check;
    absl::AnyInvocable<void(absl::StatusOr<std::shared_ptr<const Embedding>>, const Times&)> done;
  };
  // A chunk of work that goes alone.
  struct ChunkJob {
    TenantId tenant;
    Check check;
    // Calls the model, on its thread. `queued`: how long the job waited.
    absl::AnyInvocable<void(Segmenter& segmenter, absl::Duration queued)> run;
    absl::AnyInvocable<void(absl::Status why)> drop;
  };

  // `number`: among the workers of the server, from 0. Everything passed by reference
  // outlives the worker; `observer` and `faults` may be null.
  ModelWorker(const ModelWorkerOptions& options, int number, ResilientSegmenter& segmenter,
              const Clock& clock, Metrics& metrics, WorkQueueObserver* observer,
              FaultListener* faults);
  ~ModelWorker();

  void Decode(DecodeJob job);
  void Encode(EncodeJob job);
  // `work_class` is kLoad, kText or kBackground.
  void RunChunk(WorkClass work_class, ChunkJob job);

  // Whether one more image of `tenant` could be encoded by `deadline`; see
  // WorkQueue::CheckDeadline. To be asked before the image is read: Encode does not ask
  // again, for by then others may wait for it who have more time.
  absl::Status CheckEncodeDeadline(const TenantId& tenant, absl::Time deadline) {
    return queue_.CheckDeadline(kEncode, /*units=*/1, tenant, deadline);
  }
  // How long a caller should stay away who found too much under way before the model.
  absl::Duration RetryAfter(WorkClass work_class) const { return queue_.RetryAfter(work_class); }

  // How long words would wait, at best, if they came now; and an image, behind `images`
  // that run, are queued, or are about to come. Nothing as long as too few runs were seen.
  absl::Duration TextWait() const { return queue_.Wait(kText); }
  absl::Duration ImageWait(int64_t images) const { return queue_.WaitBehind(kEncode, images); }
  // Jobs of all classes.
  int64_t queued() const { return queue_.entries(); }

  // Drops jobs that nobody waits for.
  void DropDead() { queue_.DropDead(); }

  // Refuses jobs from now on, and drops those that wait.
  void Close() { queue_.Close(TaskQueue::CloseMode::kReject); }

  // Lets the running batch finish, drops the rest and joins the thread.
  void Shutdown();

 private:
  using Task = std::variant<std::shared_ptr<DecodeJob>, std::shared_ptr<EncodeJob>,
                            std::shared_ptr<ChunkJob>>;
  using TaskQueue = WorkQueue<Task>;

  template <typename Job>
  void Submit(WorkClass work_class, int64_t units, uint64_t batch_key, absl::Time deadline,
              Job job);
  void Work();
  void Run(TaskQueue::Batch batch);
  void RunDecode(TaskQueue::Batch batch);
  void RunEncode(TaskQueue::Batch batch);
  void Stop(const absl::Status& fault);

  const int number_;
  ResilientSegmenter& segmenter_;
  const Clock& clock_;
  Metrics& metrics_;
  FaultListener* const faults_;
  ServiceEstimate estimate_;
  TaskQueue queue_;
  std::thread thread_;
};

}  // namespace semsam

#endif  // SEMSAM_SERVER_PIPELINE_MODEL_WORKER_H_
