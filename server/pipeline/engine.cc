#include "server/pipeline/engine.h"

#include <algorithm>
#include <utility>

#include "model/base/errors.h"
#include "model/base/status_macros.h"
#include "server/pipeline/image_field.h"
#include "server/pipeline/request_validation.h"

namespace semsam {
namespace {

absl::Status Draining() {
  return ErrorWithReason(absl::StatusCode::kUnavailable, reason::kDraining,
                         "the server is shutting down");
}

CpuPoolOptions CpuOptions(const EngineOptions& options) {
  return {.threads = options.cpu_threads,
          // A segment call queues one job at a time: this never overflows.
          .max_mask_jobs = options.max_segment_calls,
          .max_image_jobs = options.max_queued_images,
          .retry_after = options.retry_after};
}

ModelWorkerOptions WorkerOptions(const EngineOptions& options) {
  // The gate and the cache admit no more than fits here.
  return {.max_decode_requests = options.max_segment_calls,
          .max_decode_queries = options.max_segment_queries,
          .max_batch_queries = options.max_batch_queries,
          .max_encode_images = options.max_queued_images,
          .max_batch_images = options.max_batch_images,
          .retry_after = options.retry_after};
}

}  // namespace

struct Engine::UploadCall {
  ImageUpload upload;
  CallLimits limits;
  UploadDone done;
  ImageSource image;
  StageTimings timings;
};

absl::StatusOr<std::unique_ptr<Engine>> Engine::Create(const EngineOptions& options,
                                                       Segmenter& segmenter,
                                                       const ImageStages& stages,
                                                       const Clock& clock, Metrics& metrics) {
  SEMSAM_RETURN_IF_ERROR(options.Validate(segmenter.info().config));
  return std::unique_ptr<Engine>(new Engine(options, segmenter, stages, clock, metrics));
}

Engine::Engine(const EngineOptions& options, Segmenter& segmenter, const ImageStages& stages,
               const Clock& clock, Metrics& metrics)
    : options_(options),
      segmenter_(segmenter),
      stages_(stages),
      clock_(clock),
      metrics_(metrics),
      worker_metrics_(metrics, {{{Queue::kDecode, CancelStage::kDecodeQueue},
                                 {Queue::kEncode, CancelStage::kEncodeQueue}}}),
      cpu_metrics_(metrics, {{{Queue::kMasks, CancelStage::kMaskQueue},
                              {Queue::kImages, CancelStage::kImageQueue}}}),
      cache_metrics_(metrics),
      session_metrics_(metrics),
      sessions_(options.sessions, clock, &session_metrics_),
      cache_({.budget_bytes = options.cache_bytes,
              .max_flights = options.max_queued_images,
              .retry_after = options.retry_after},
             &cache_metrics_),
      upload_budget_(
          options.upload_buffer_bytes,
          [&metrics](int64_t bytes) { metrics.SetUsed(Bounded::kUploadBufferBytes, bytes); }),
      gate_(options.max_segment_calls, options.max_segment_queries, options.retry_after, metrics),
      cpu_(CpuOptions(options), clock, &cpu_metrics_),
      worker_(WorkerOptions(options), segmenter, clock, metrics, &worker_metrics_),
      encoder_(segmenter.info(), stages, cache_, cpu_, worker_, clock, metrics) {
  PublishCapacities();
}

Engine::~Engine() { Shutdown(); }

void Engine::PublishCapacities() {
  metrics_.SetCapacity(Bounded::kCacheBytes, options_.cache_bytes);
  metrics_.SetCapacity(Bounded::kSessions, options_.sessions.max_sessions);
  metrics_.SetCapacity(Bounded::kRetainedImageBytes, options_.sessions.max_retained_bytes);
  metrics_.SetCapacity(Bounded::kUploadBufferBytes, options_.upload_buffer_bytes);
  metrics_.SetCapacity(Bounded::kSegmentCalls, options_.max_segment_calls);
  metrics_.SetCapacity(Bounded::kSegmentQueries, options_.max_segment_queries);
  metrics_.SetQueueCapacity(Queue::kDecode, options_.max_segment_calls,
                            options_.max_segment_queries);
  metrics_.SetQueueCapacity(Queue::kEncode, options_.max_queued_images, options_.max_queued_images);
  metrics_.SetQueueCapacity(Queue::kMasks, options_.max_segment_calls, options_.max_segment_calls);
  metrics_.SetQueueCapacity(Queue::kImages, options_.max_queued_images, options_.max_queued_images);
}

absl::Status Engine::CheckNotDraining() const {
  return draining_.load(std::memory_order_acquire) ? Draining() : absl::OkStatus();
}

absl::StatusOr<SessionInfo> Engine::CreateSession(absl::Duration ttl) {
  SEMSAM_RETURN_IF_ERROR(CheckNotDraining());
  return sessions_.Create(ttl);
}

absl::StatusOr<SessionInfo> Engine::GetSession(const std::string& session_id) {
  return sessions_.Get(session_id);
}

absl::Status Engine::DeleteSession(const std::string& session_id) {
  return sessions_.Delete(session_id);
}

absl::StatusOr<ImageUpload> Engine::BeginUpload(UploadHeader header) {
  SEMSAM_RETURN_IF_ERROR(CheckNotDraining());
  SEMSAM_RETURN_IF_ERROR(sessions_.CheckRoom(header.session_id));
  return ImageUpload::Begin(std::move(header),
                            {.max_image_bytes = options_.image.max_bytes,
                             .max_chunk_bytes = options_.max_chunk_bytes,
                             .retry_after = options_.retry_after},
                            upload_budget_);
}

void Engine::FinishUpload(ImageUpload upload, CallLimits limits, UploadDone done) {
  if (absl::Status status = upload.CheckComplete(); !status.ok()) return done(std::move(status));
  auto call = std::make_shared<UploadCall>(UploadCall{
      .upload = std::move(upload), .limits = std::move(limits), .done = std::move(done)});
  cpu_.Submit(CpuPool::kImages,
              {.run = [this, call] { ReadUpload(call); },
               .check = [call](absl::Time now) { return call->limits.Check(now); },
               .drop = [call](absl::Status why) { call->done(std::move(why)); }});
}

void Engine::ReadUpload(const std::shared_ptr<UploadCall>& call) {
  absl::StatusOr<ImageSource> image =
      encoder_.Identify(std::make_shared<const std::string>(call->upload.TakeBytes()));
  if (!image.ok()) return call->done(NameImageField(std::move(image).status(), "chunk"));
  if (absl::Status status = call->upload.CheckDigest(image->sha256); !status.ok()) {
    return call->done(std::move(status));
  }
  call->image = *image;
  encoder_.Ensure(*image, call->limits, ImageEncoder::Thread::kCpuPool, call->timings,
                  [this, call](absl::StatusOr<EmbeddingCache::Found> found) {
                    CompleteUpload(*call, std::move(found));
                  });
}

void Engine::CompleteUpload(UploadCall& call, absl::StatusOr<EmbeddingCache::Found> found) {
  if (!found.ok()) return call.done(NameImageField(std::move(found).status(), "chunk"));
  found->embedding.reset();  // no longer in use
  absl::StatusOr<StoredImage> stored =
      sessions_.AddImage(call.upload.session_id(), {.sha256 = call.image.sha256,
                                                    .geometry = call.image.geometry,
                                                    .bytes = std::move(call.image.bytes)});
  if (!stored.ok()) return call.done(std::move(stored).status());
  stored->bytes = nullptr;
  call.done(UploadedImage{.image = *std::move(stored),
                          .cached = found->lookup == CacheLookup::kHit,
                          .timings = call.timings});
}

absl::StatusOr<Engine::Admitted> Engine::Admit(const SegmentRequest& request) {
  const ModelConfig& config = model().config;
  SEMSAM_RETURN_IF_ERROR(CheckNotDraining());
  SEMSAM_RETURN_IF_ERROR(ValidatePrompts(request.prompts, config, options_.prompts));
  SEMSAM_RETURN_IF_ERROR(ValidateOptions(request.options, config));
  StoredImage stored;
  std::vector<Prompt> prompts;
  if (const auto* reference = std::get_if<ImageReference>(&request.image)) {
    SEMSAM_ASSIGN_OR_RETURN(stored,
                            sessions_.FindImage(reference->session_id, reference->image_id));
    SEMSAM_ASSIGN_OR_RETURN(prompts,
                            ToModelPrompts(request.prompts, stored.geometry.original, config));
  } else if (std::get<std::string>(request.image).empty()) {
    return InvalidField("image_bytes", "the image is empty");
  }
  const int64_t queries = static_cast<int64_t>(request.prompts.size()) * config.decoder.tokens;
  SEMSAM_ASSIGN_OR_RETURN(SegmentGate::Ticket ticket, gate_.Admit(queries));
  return Admitted{.ticket = std::move(ticket),
                  .image_id = std::move(stored.image_id),
                  .image = {.sha256 = std::move(stored.sha256),
                            .geometry = stored.geometry,
                            .bytes = std::move(stored.bytes)},
                  .prompts = std::move(prompts)};
}

std::shared_ptr<SegmentHandle> Engine::Segment(SegmentRequest request, CallLimits limits,
                                               SegmentSink sink) {
  absl::StatusOr<Admitted> admitted = Admit(request);
  if (!admitted.ok()) {
    sink.on_done(std::move(admitted).status());
    return nullptr;
  }
  // The call takes its place along; the gate finds the call through it.
  const uint64_t place = admitted->ticket.id();
  const SegmentCall::Parts parts{model().config, stages_, cpu_,    worker_,
                                 encoder_,       clock_,  metrics_};
  auto call =
      std::make_shared<SegmentCall>(parts, std::move(admitted->ticket), std::move(request.prompts),
                                    std::move(request.options), std::move(limits), std::move(sink));
  gate_.SetCall(place, call);
  if (std::string* bytes = std::get_if<std::string>(&request.image)) {
    call->StartWithBytes(std::move(*bytes));
  } else {
    call->StartWithImage(std::move(admitted->image_id), std::move(admitted->image),
                         std::move(admitted->prompts));
  }
  return call;
}

absl::Time Engine::EffectiveDeadline(absl::Time wanted) const {
  const absl::Time now = clock_.Now();
  if (wanted == absl::InfiniteFuture()) return now + options_.default_deadline;
  return std::min(wanted, now + options_.max_deadline);
}

void Engine::Tick() {
  sessions_.SweepExpired();
  worker_.DropDead();
  cpu_.DropDead();
  for (const std::shared_ptr<SegmentCall>& call : gate_.Calls()) call->Wake();
  cache_.Trim();
}

void Engine::StartDrain() {
  draining_.store(true, std::memory_order_release);
  metrics_.SetDraining(true);
}

void Engine::Shutdown() {
  StartDrain();
  // Once the model stands still no call reaches its masks any more, and those that
  // did are known to the gate.
  worker_.Shutdown();
  for (const std::shared_ptr<SegmentCall>& call : gate_.Calls()) call->Abort(Draining());
  cpu_.Shutdown();
}

}  // namespace semsam
