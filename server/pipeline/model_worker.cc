#include "server/pipeline/model_worker.h"

#include <optional>
#include <utility>

#include "model/base/errors.h"

namespace semsam {
namespace {

WorkQueueOptions QueueOptions(const ModelWorkerOptions& options) {
  return {.classes = {{.name = "decode",
                       .max_entries = options.max_decode_requests,
                       .max_units = options.max_decode_queries,
                       .max_batch_units = options.max_batch_queries},
                      {.name = "load",
                       .max_entries = options.max_encode_images,
                       .max_units = options.max_encode_images},
                      {.name = "encode",
                       .max_entries = options.max_encode_images,
                       .max_units = options.max_encode_images,
                       .max_batch_units = options.max_batch_images,
                       .max_wait = options.max_encode_wait},
                      {.name = "text",
                       .max_entries = options.max_text_jobs,
                       .max_units = options.max_text_jobs},
                      {.name = "background",
                       .max_entries = options.max_background_jobs,
                       .max_units = options.max_background_jobs}},
          .tenants = options.tenants,
          .max_flow_share = options.max_tenant_share,
          .check_deadlines = options.check_deadlines,
          .retry_after = options.retry_after};
}

// Images of other shapes would run one shape after the other, in one call that no click
// gets into.
uint64_t ShapeKey(ImageSize padded) {
  return static_cast<uint64_t>(padded.height) << 32 | static_cast<uint32_t>(padded.width);
}

}  // namespace

ModelWorker::ModelWorker(const ModelWorkerOptions& options, int number,
                         ResilientSegmenter& segmenter, const Clock& clock, Metrics& metrics,
                         WorkQueueObserver* observer, FaultListener* faults)
    : number_(number),
      segmenter_(segmenter),
      clock_(clock),
      metrics_(metrics),
      faults_(faults),
      estimate_(kBackground + 1),
      queue_(QueueOptions(options), clock, observer, &estimate_),
      thread_([this] { Work(); }) {}

ModelWorker::~ModelWorker() { Shutdown(); }

void ModelWorker::Decode(DecodeJob job) {
  const int64_t queries =
      static_cast<int64_t>(job.request.prompts.size()) * segmenter_.info().config.decoder.tokens;
  const absl::Time deadline = job.deadline;
  Submit(kDecode, queries, /*batch_key=*/0, deadline, std::move(job));
}

void ModelWorker::Encode(EncodeJob job) {
  const uint64_t shape = ShapeKey(PaddedSize(segmenter_.info().config, job.image.size));
  Submit(kEncode, /*units=*/1, shape, absl::InfiniteFuture(), std::move(job));
}

void ModelWorker::RunChunk(WorkClass work_class, ChunkJob job) {
  auto shared = std::make_shared<ChunkJob>(std::move(job));
  TaskQueue::Entry entry{.task = shared,
                         .units = 1,
                         .flow = shared->tenant,
                         .check = [shared](absl::Time now) { return shared->check(now); },
                         .drop = [shared](absl::Status why) { shared->drop(std::move(why)); }};
  absl::Status status = queue_.Push(work_class, entry);
  if (!status.ok()) entry.drop(std::move(status));
}

template <typename Job>
void ModelWorker::Submit(WorkClass work_class, int64_t units, uint64_t batch_key,
                         absl::Time deadline, Job job) {
  auto shared = std::make_shared<Job>(std::move(job));
  TaskQueue::Entry entry{
      .task = shared,
      .units = units,
      .batch_key = batch_key,
      .flow = shared->tenant,
      .deadline = deadline,
      .check = [shared](absl::Time now) { return shared->check(now); },
      .drop = [shared](absl::Status why) { shared->done(std::move(why), Times{}); }};
  absl::Status status = queue_.Push(work_class, entry);
  if (!status.ok()) entry.drop(std::move(status));
}

void ModelWorker::Shutdown() {
  Close();
  if (thread_.joinable()) thread_.join();
}

void ModelWorker::Work() {
  while (std::optional<TaskQueue::Batch> batch = queue_.TakeBatch()) {
    const absl::Time start = clock_.Now();
    estimate_.Started(batch->work_class, batch->units, start);
    Run(*std::move(batch));
    const absl::Time end = clock_.Now();
    estimate_.Finished(end);  // of a chunk
    metrics_.RecordBusy(number_, end - start);
    if (const absl::Status fault = segmenter_.fault(); !fault.ok()) return Stop(fault);
  }
}

// Health first: who is refused here asks elsewhere.
void ModelWorker::Stop(const absl::Status& fault) {
  metrics_.RecordDeviceFault();
  if (faults_ != nullptr) faults_->OnDeviceFault(fault);
  queue_.Close(TaskQueue::CloseMode::kReject, DeviceFault("the device failed"));
}

void ModelWorker::Run(TaskQueue::Batch batch) {
  switch (batch.work_class) {
    case kDecode:
      return RunDecode(std::move(batch));
    case kEncode:
      return RunEncode(std::move(batch));
    default:
      for (TaskQueue::Taken& taken : batch.entries) {
        std::get<std::shared_ptr<ChunkJob>>(taken.task)->run(segmenter_, taken.wait);
      }
  }
}

void ModelWorker::RunDecode(TaskQueue::Batch batch) {
  std::vector<DecodeRequest> requests;
  requests.reserve(batch.entries.size());
  for (TaskQueue::Taken& taken : batch.entries) {
    requests.push_back(std::move(std::get<std::shared_ptr<DecodeJob>>(taken.task)->request));
  }
  const absl::Time start = clock_.Now();
  std::vector<absl::StatusOr<DecodeResult>> results = segmenter_.Decode(requests);
  const absl::Duration run = clock_.Now() - start;
  estimate_.Finished(start + run);  // whoever is answered may ask again at once
  metrics_.RecordStage(Stage::kDecoder, run);
  metrics_.RecordBatch(BatchKind::kQueries, batch.units);
  requests.clear();  // the embeddings are no longer in use
  results.resize(batch.entries.size(), absl::InternalError("the model left out a result"));
  for (size_t i = 0; i < batch.entries.size(); ++i) {
    std::get<std::shared_ptr<DecodeJob>>(batch.entries[i].task)
        ->done(std::move(results[i]), Times{.queue = batch.entries[i].wait, .run = run});
  }
}

void ModelWorker::RunEncode(TaskQueue::Batch batch) {
  std::vector<const Rgb8Image*> images;
  images.reserve(batch.entries.size());
  for (const TaskQueue::Taken& taken : batch.entries) {
    images.push_back(&std::get<std::shared_ptr<EncodeJob>>(taken.task)->image);
  }
  const absl::Time start = clock_.Now();
  std::vector<absl::StatusOr<std::shared_ptr<const Embedding>>> results = segmenter_.Encode(images);
  const absl::Duration run = clock_.Now() - start;
  estimate_.Finished(start + run);
  metrics_.RecordStage(Stage::kEncode, run);
  metrics_.RecordBatch(BatchKind::kImages, batch.units);
  results.resize(batch.entries.size(), absl::InternalError("the model left out a result"));
  for (size_t i = 0; i < batch.entries.size(); ++i) {
    std::get<std::shared_ptr<EncodeJob>>(batch.entries[i].task)
        ->done(std::move(results[i]), Times{.queue = batch.entries[i].wait, .run = run});
  }
}

}  // namespace semsam
