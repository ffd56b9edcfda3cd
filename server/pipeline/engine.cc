#include "server/pipeline/engine.h"

#include <algorithm>
#include <functional>
#include <utility>

#include "model/base/errors.h"
#include "model/base/status_macros.h"
#include "server/pipeline/interact_calls.h"

namespace semsam {
namespace {

absl::Status Draining() {
  return ErrorWithReason(absl::StatusCode::kUnavailable, reason::kDraining,
                         "the server is shutting down");
}

CpuPoolOptions CpuOptions(const EngineOptions& options) {
  return {.threads = options.cpu_threads,
          .result_threads = options.result_threads,
          // A call queues one job at a time: these never overflow.
          .max_mask_jobs = options.max_segment_calls,
          .max_image_jobs = options.max_queued_images,
          .max_result_jobs = options.max_background_calls,
          .tenants = options.tenants,
          .max_tenant_share = options.TenantShare(),
          .retry_after = options.retry_after};
}

ModelWorkerOptions WorkerOptions(const EngineOptions& options) {
  // The gate and the cache admit no more than fits here.
  return {.max_decode_requests = options.max_segment_calls,
          .max_decode_queries = options.max_segment_queries,
          .max_batch_queries = options.max_batch_queries,
          .max_encode_images = options.max_queued_images,
          .max_batch_images = options.max_batch_images,
          .max_encode_wait = options.max_encode_wait,
          .max_text_jobs = options.max_segment_calls + options.max_background_calls,
          .max_background_jobs = options.max_background_calls,
          .tenants = options.tenants,
          .max_tenant_share = options.TenantShare(),
          .check_deadlines = options.deadline_admission,
          .retry_after = options.retry_after};
}

// Null without tiers.
std::unique_ptr<TierWorker> MakeTierWorker(const EngineOptions& options, EmbeddingTiers tiers,
                                           const std::vector<Segmenter*>& models,
                                           const Clock& clock, Metrics& metrics,
                                           WorkQueueObserver& observer) {
  if (tiers.empty()) return nullptr;
  // A look belongs to a flight: it never overflows.
  return std::make_unique<TierWorker>(options.tiers, /*max_finds=*/options.max_queued_images,
                                      options.retry_after, std::move(tiers), models, clock, metrics,
                                      &observer);
}

std::function<void(int64_t)> Reporter(Metrics& metrics, Bounded what) {
  return [&metrics, what](int64_t used) { metrics.SetUsed(what, used); };
}

}  // namespace

absl::StatusOr<std::unique_ptr<Engine>> Engine::Create(const EngineOptions& options,
                                                       const std::vector<Segmenter*>& models,
                                                       const ImageStages& stages,
                                                       const Clock& clock, Metrics& metrics,
                                                       FaultListener* faults) {
  SEMSAM_RETURN_IF_ERROR(CheckModels(models));
  const ModelInfo& info = models.front()->info();
  SEMSAM_RETURN_IF_ERROR(options.Validate(info.config));
  SEMSAM_ASSIGN_OR_RETURN(EmbeddingTiers tiers, OpenTiers(options.tiers, info.digest));
  return std::unique_ptr<Engine>(
      new Engine(options, std::move(tiers), models, stages, clock, metrics, faults));
}

Engine::Engine(const EngineOptions& options, EmbeddingTiers tiers,
               const std::vector<Segmenter*>& models, const ImageStages& stages, const Clock& clock,
               Metrics& metrics, FaultListener* faults)
    : options_(options),
      stages_(stages),
      clock_(clock),
      metrics_(metrics),
      cpu_metrics_(metrics, {{Queue::kMasks, CancelStage::kMaskQueue},
                             {Queue::kImages, CancelStage::kImageQueue}}),
      result_metrics_(metrics, {{Queue::kResults, CancelStage::kResultQueue}}),
      tier_metrics_(metrics, {{Queue::kTierFind, CancelStage::kTierQueue},
                              {Queue::kDemote, CancelStage::kTierQueue}}),
      cache_metrics_(metrics),
      text_metrics_(metrics),
      session_metrics_(metrics),
      sessions_(options.sessions, clock, &session_metrics_, options.tenants),
      requests_(options.requests, clock, Reporter(metrics, Bounded::kRecentRequests)),
      cache_(
          {.budget_bytes = options.cache_bytes,
           .devices = static_cast<int>(models.size()),
           .max_flights = options.max_queued_images,
           .max_tenant_share = options.TenantShare(),
           .retry_after = options.retry_after},
          &cache_metrics_,
          tiers.empty() ? EmbeddingCache::EvictionSink()
                        : [this](std::shared_ptr<EmbeddingCache::Evicted>
                                     evicted) { tiers_->Demote(std::move(evicted)); }),
      tiers_(MakeTierWorker(options, std::move(tiers), models, clock, metrics, tier_metrics_)),
      text_cache_(options.text_cache_bytes, &text_metrics_),
      upload_budget_(options.upload_buffer_bytes, Reporter(metrics, Bounded::kUploadBufferBytes),
                     options.tenants, &TenantQuota::max_upload_bytes),
      word_budget_(options.word_buffer_bytes, Reporter(metrics, Bounded::kWordBytes)),
      result_budget_(options.result_buffer_bytes, Reporter(metrics, Bounded::kResultBytes)),
      gate_({.what = "segment",
             .max_calls = options.max_segment_calls,
             .max_queries = options.max_segment_queries,
             .retry_after = options.retry_after,
             .retry_when_full = [this] { return models_.RetryAfter(ModelWorker::kDecode); },
             .calls = Bounded::kSegmentCalls,
             .queries = Bounded::kSegmentQueries,
             .tenants = options.tenants,
             .tenant_calls = &TenantQuota::max_calls,
             .tenant_queries = &TenantQuota::max_queries,
             .max_tenant_share = options.TenantShare()},
            metrics),
      background_gate_(
          {.what = "background",
           .max_calls = options.max_background_calls,
           .retry_after = options.retry_after,
           .retry_when_full = [this] { return models_.RetryAfter(ModelWorker::kBackground); },
           .calls = Bounded::kBackgroundCalls,
           .tenants = options.tenants,
           .tenant_calls = &TenantQuota::max_background_calls,
           .max_tenant_share = options.TenantShare()},
          metrics),
      interact_streams_(options.interact.max_streams, options.retry_after, metrics),
      cpu_(CpuOptions(options), clock, &cpu_metrics_, &result_metrics_),
      models_(WorkerOptions(options), options.spill_after, models, clock, metrics, faults),
      encoder_(stages, cache_, tiers_.get(), cpu_, models_, clock, metrics),
      words_(text_cache_, models_, clock, metrics, options.max_batch_texts) {
  PublishCapacities();
}

Engine::~Engine() { Shutdown(); }

void Engine::PublishCapacities() {
  // No overflow, however much each may hold.
  metrics_.SetCapacity(Bounded::kCacheBytes,
                       std::min(options_.cache_bytes, INT64_MAX / devices()) * devices());
  metrics_.SetCapacity(Bounded::kSessions, options_.sessions.max_sessions);
  metrics_.SetCapacity(Bounded::kRetainedImageBytes, options_.sessions.max_retained_bytes);
  metrics_.SetCapacity(Bounded::kUnlistedImages, options_.sessions.max_unlisted_images);
  metrics_.SetCapacity(Bounded::kUploadBufferBytes, options_.upload_buffer_bytes);
  metrics_.SetCapacity(Bounded::kSegmentCalls, options_.max_segment_calls);
  metrics_.SetCapacity(Bounded::kSegmentQueries, options_.max_segment_queries);
  metrics_.SetCapacity(Bounded::kBackgroundCalls, options_.max_background_calls);
  metrics_.SetCapacity(Bounded::kResultBytes, options_.result_buffer_bytes);
  metrics_.SetCapacity(Bounded::kTextCacheBytes, options_.text_cache_bytes);
  metrics_.SetCapacity(Bounded::kWordBytes, options_.word_buffer_bytes);
  metrics_.SetCapacity(Bounded::kMaskQueryBytes, options_.sessions.max_mask_query_bytes);
  metrics_.SetCapacity(Bounded::kRecentRequests, options_.requests.max_entries);
  metrics_.SetCapacity(Bounded::kInteractStreams, options_.interact.max_streams);
  metrics_.SetCapacity(Bounded::kOpenClicks,
                       int64_t{options_.interact.max_streams} * options_.interact.max_open_clicks);
  metrics_.SetQueueCapacity(Queue::kDecode, options_.max_segment_calls,
                            options_.max_segment_queries);
  metrics_.SetQueueCapacity(Queue::kLoad, options_.max_queued_images, options_.max_queued_images);
  metrics_.SetQueueCapacity(Queue::kEncode, options_.max_queued_images, options_.max_queued_images);
  const int64_t text_jobs = int64_t{options_.max_segment_calls} + options_.max_background_calls;
  metrics_.SetQueueCapacity(Queue::kText, text_jobs, text_jobs);
  for (const Queue queue : {Queue::kBackground, Queue::kResults}) {
    metrics_.SetQueueCapacity(queue, options_.max_background_calls, options_.max_background_calls);
  }
  metrics_.SetQueueCapacity(Queue::kMasks, options_.max_segment_calls, options_.max_segment_calls);
  metrics_.SetQueueCapacity(Queue::kImages, options_.max_queued_images, options_.max_queued_images);
}

absl::Status Engine::CheckNotDraining() const {
  return phase_.load(std::memory_order_acquire) < Phase::kDraining ? absl::OkStatus() : Draining();
}

absl::Status Engine::CheckTakesSessions() const {
  return phase_.load(std::memory_order_acquire) == Phase::kServing ? absl::OkStatus() : Draining();
}

absl::Time Engine::EffectiveDeadline(absl::Time wanted, bool background) const {
  const absl::Time now = clock_.Now();
  if (wanted == absl::InfiniteFuture() && !background) return now + options_.default_deadline;
  return std::min(wanted, now + options_.max_deadline);
}

std::vector<std::shared_ptr<StreamCall>> Engine::Calls() const {
  std::vector<std::shared_ptr<StreamCall>> calls = gate_.Calls();
  for (std::shared_ptr<StreamCall>& call : background_gate_.Calls()) {
    calls.push_back(std::move(call));
  }
  return calls;
}

void Engine::Tick() {
  sessions_.SweepExpired();
  requests_.Sweep();
  cache_.DropDeadWaiters(clock_.Now());
  if (tiers_ != nullptr) tiers_->DropDead();
  models_.DropDead();
  cpu_.DropDead();
  for (const std::shared_ptr<StreamCall>& call : Calls()) call->Wake();
  cache_.Trim();
  // Last: a device may take its time to tell.
  models_.ReportMemory();
}

void Engine::Enter(Phase phase) {
  Phase current = phase_.load(std::memory_order_acquire);
  while (current < phase && !phase_.compare_exchange_weak(current, phase)) {
  }
  metrics_.SetDraining(true);
  if (phase < Phase::kDraining) return;
  for (const std::shared_ptr<InteractCalls>& stream : interact_streams_.All()) {
    stream->Close(Draining());
  }
}

void Engine::RefuseSessions() { Enter(Phase::kRefusingSessions); }

void Engine::StartDrain() { Enter(Phase::kDraining); }

void Engine::Shutdown(absl::Time store_until) {
  StartDrain();
  // Once the models stand still no call reaches its masks any more, and those that
  // did are known to the gate.
  models_.Shutdown();
  for (const std::shared_ptr<StreamCall>& call : Calls()) call->Abort(Draining());
  // What a look leads to is refused by the model and done by the pool.
  if (tiers_ != nullptr) tiers_->Shutdown(store_until);
  cpu_.Shutdown();
  if (tiers_ != nullptr && clock_.Now() < store_until) {
    tiers_->StoreAll(cache_.TakeIdle(), store_until);
  }
}

}  // namespace semsam
