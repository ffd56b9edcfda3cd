// The service without its protocol: sessions, uploads, and calls that segment and
// label, over one model on one device or several.
//
// Guarantees
//   - Every completion callback runs exactly once, on any thread, the caller's own
//     included.
//   - The model runs on a thread of its own a device and pictures on a small pool: no call
//     below blocks its caller for longer than a lock.
//   - Every queue, cache and buffer is bounded (EngineOptions); what does not fit
//     is refused before work is done for it, with a hint when to try again.
//   - Time enters through the Clock; expiry of what waits is driven by Tick.
//   - A call sees the sessions and the embeddings of its tenant alone.
// Thread-safe.
#ifndef SEMSAM_SERVER_PIPELINE_ENGINE_H_
#define SEMSAM_SERVER_PIPELINE_ENGINE_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "model/base/clock.h"
#include "model/segmenter.h"
#include "server/batching/call_limits.h"
#include "server/batching/tenant_id.h"
#include "server/cache/embedding_cache.h"
#include "server/cache/recent_requests.h"
#include "server/cache/session_store.h"
#include "server/cache/text_cache.h"
#include "server/metrics/metrics.h"
#include "server/pipeline/byte_budget.h"
#include "server/pipeline/call_gate.h"
#include "server/pipeline/cpu_pool.h"
#include "server/pipeline/engine_options.h"
#include "server/pipeline/fault_listener.h"
#include "server/pipeline/generate_call.h"
#include "server/pipeline/image_encoder.h"
#include "server/pipeline/image_stages.h"
#include "server/pipeline/image_upload.h"
#include "server/pipeline/interact_streams.h"
#include "server/pipeline/metrics_observers.h"
#include "server/pipeline/model_pool.h"
#include "server/pipeline/refresh_call.h"
#include "server/pipeline/segment_call.h"
#include "server/pipeline/segment_types.h"
#include "server/pipeline/tier_worker.h"
#include "server/pipeline/vocabulary_call.h"
#include "server/pipeline/word_encoder.h"

namespace semsam {

// An image of a session.
struct ImageReference {
  std::string session_id;
  std::string image_id;
};

struct SegmentRequest {
  // Or the bytes of an image that no session holds.
  std::variant<ImageReference, std::string> image;
  std::vector<UserPrompt> prompts;
  SegmentOptions options;
  LabelOptions labels;
  // Of a warm-up: the device (below Engine::devices) that encodes the bytes of `image`, if
  // it has room. Else the digest of the image chooses.
  std::optional<int> device = std::nullopt;
};

struct VocabularyCallRequest {
  ImageReference image;
  UserWords things;
  UserWords stuff;
  UserWords parts;
  VocabularyOptions options;
};

struct GenerateRequest {
  ImageReference image;
  GenerateOptions options;
  LabelOptions labels;
};

// An image that the tenant has uploaded before, into a session that may not list it.
struct AttachRequest {
  std::string session_id;
  std::string sha256;  // hex, any case
};

struct UploadedImage {
  StoredImage image;    // without its bytes
  bool cached = false;  // the embedding was already there
  StageTimings timings;
};

struct InteractSink;  // interact_calls.h

class Engine {
 public:
  static constexpr uint32_t kDefaultPageSize = 50;
  static constexpr uint32_t kMaxPageSize = 100;

  using UploadDone = absl::AnyInvocable<void(absl::StatusOr<UploadedImage>)>;

  // `models`: the same one on each device. They, `stages`, `clock`, `metrics` and `faults`
  // (may be null) outlive the engine.
  // INVALID_ARGUMENT if an option is bad, the models are not the same, or the directory of
  // a tier cannot be used.
  static absl::StatusOr<std::unique_ptr<Engine>> Create(const EngineOptions& options,
                                                        const std::vector<Segmenter*>& models,
                                                        const ImageStages& stages,
                                                        const Clock& clock, Metrics& metrics,
                                                        FaultListener* faults = nullptr);
  ~Engine();

  // A `request_id` (empty: none) makes repeats of a request harmless, see RecentRequests:
  // one that created a session answers with it, as it is by then, while it lives.
  absl::StatusOr<SessionInfo> CreateSession(const TenantId& tenant, absl::Duration ttl,
                                            const std::string& request_id = "");
  absl::StatusOr<SessionInfo> GetSession(const TenantId& tenant, const std::string& session_id);
  absl::StatusOr<SessionInfo> RenewSession(const TenantId& tenant, const std::string& session_id,
                                           absl::Duration ttl);
  absl::Status DeleteSession(const TenantId& tenant, const std::string& session_id,
                             const std::string& request_id = "");
  // See SessionStore::List; a `page_size` of 0 or above kMaxPageSize is set to what it may
  // be. FAILED_PRECONDITION for a call of no tenant: whoever comes would see all ids.
  absl::StatusOr<SessionPage> ListSessions(const TenantId& tenant, uint32_t page_size,
                                           const std::string& page_token);

  // Starts an upload into a session that lives and has room, or lists this very image.
  absl::StatusOr<ImageUpload> BeginUpload(const TenantId& tenant, UploadHeader header);
  // All bytes came: reads, encodes and adds the image to its session.
  void FinishUpload(ImageUpload upload, CallLimits limits, UploadDone done);
  // The same for an image of which the server still holds the bytes or the embedding;
  // NOT_FOUND with its digest where it holds neither.
  void AttachImage(const AttachRequest& request, CallLimits limits, UploadDone done);

  // Answers `request` through `sink`. The handle is null if the call ended before
  // it began.
  std::shared_ptr<StreamHandle> Segment(SegmentRequest request, CallLimits limits,
                                        SegmentSink sink);

  std::shared_ptr<StreamHandle> SegmentVocabulary(const VocabularyCallRequest& request,
                                                  CallLimits limits, VocabularySink sink);
  std::shared_ptr<StreamHandle> GenerateMasks(const GenerateRequest& request, CallLimits limits,
                                              GenerateSink sink);

  // A stream of clicks that answers through `sink`; each click is a segment call with
  // the default deadline. UNAVAILABLE or RESOURCE_EXHAUSTED, and `sink` is never
  // called, if there is no place.
  absl::StatusOr<std::shared_ptr<InteractCalls>> Interact(const TenantId& tenant,
                                                          InteractSink sink);

  // Scores other words for masks that the session got. `done` runs exactly once.
  void RefreshLabels(const RefreshLabelsRequest& request, CallLimits limits, RefreshDone done);

  // The deadline of a call that starts now and asks for `wanted` (InfiniteFuture:
  // no wish). A background call may then take as long as any.
  absl::Time EffectiveDeadline(absl::Time wanted, bool background = false) const;

  // Ends what expired: sessions, queued work, paused calls. To be called about
  // once a second.
  void Tick();

  // The first phase of an end: new sessions are UNAVAILABLE from now on, those that
  // live are served as ever.
  void RefuseSessions();
  // The second: uploads and segment calls are UNAVAILABLE, too; what runs goes on.
  // Interact streams end when what they have open is answered.
  void StartDrain();

  // Ends what still waits with UNAVAILABLE, lets the running batch finish and
  // joins all threads. Every callback has run when it returns. Until `store_until`
  // idle embeddings are stored where the next process finds them.
  void Shutdown(absl::Time store_until = absl::InfinitePast());

  const ModelInfo& model() const { return models_.info(); }
  int devices() const { return models_.size(); }
  const EngineOptions& options() const { return options_; }

 private:
  struct UploadCall;
  struct AttachCall;

  Engine(const EngineOptions& options, EmbeddingTiers tiers, const std::vector<Segmenter*>& models,
         const ImageStages& stages, const Clock& clock, Metrics& metrics, FaultListener* faults);

  absl::Status CheckTakesSessions() const;
  absl::Status CheckNotDraining() const;
  void ReadUpload(const std::shared_ptr<UploadCall>& call);
  void CompleteUpload(UploadCall& call, absl::StatusOr<EmbeddingCache::Found> found);
  absl::StatusOr<std::shared_ptr<AttachCall>> AdmitAttach(const AttachRequest& request,
                                                          CallLimits& limits, UploadDone& done);
  void CompleteAttach(AttachCall& call, absl::StatusOr<EmbeddingCache::Found> found);
  // Lists an image whose embedding was `found` in its session.
  absl::StatusOr<UploadedImage> AddToSession(const std::string& session_id, const TenantId& tenant,
                                             ImageSource& image, const StageTimings& timings,
                                             EmbeddingCache::Found& found);
  absl::Status CheckInlineImage(const std::string& bytes) const;

  struct Admitted {
    CallGate::Ticket ticket;
    // For a picture sent along.
    ByteBudget::Reservation inline_memory;
    // For an image of a session; a picture sent along is not read yet.
    std::string image_id;
    ImageSource image;
    std::vector<Prompt> prompts;
    LabelPlan labels;
  };
  absl::StatusOr<Admitted> Admit(const SegmentRequest& request, const TenantId& tenant);
  absl::StatusOr<std::shared_ptr<RefreshCall>> AdmitRefresh(const RefreshLabelsRequest& request,
                                                            CallLimits& limits, RefreshDone& done);
  struct AdmittedVocabulary {
    CallGate::Ticket ticket;
    VocabularyCall::Task task;
  };
  absl::StatusOr<AdmittedVocabulary> Admit(const VocabularyCallRequest& request,
                                           const TenantId& tenant);
  absl::StatusOr<VocabularyWords> CleanVocabulary(const VocabularyCallRequest& request) const;
  struct AdmittedGenerate {
    CallGate::Ticket ticket;
    GenerateCall::Task task;
  };
  absl::StatusOr<AdmittedGenerate> Admit(const GenerateRequest& request, const TenantId& tenant);
  // Sets the memory of a call's results aside; `field` is what could make it smaller.
  absl::StatusOr<std::unique_ptr<ByteBudget::Reservation>> ReserveResult(int64_t bytes,
                                                                         const char* field);
  absl::StatusOr<LabelPlan> Plan(const LabelOptions& labels);
  CallParts Parts();
  std::vector<std::shared_ptr<StreamCall>> Calls() const;
  absl::Status CheckDevice(const SegmentRequest& request) const;
  void PublishCapacities();

  const EngineOptions options_;
  const ImageStages& stages_;
  const Clock& clock_;
  Metrics& metrics_;
  enum class Phase { kServing, kRefusingSessions, kDraining };
  void Enter(Phase phase);  // never back
  std::atomic<Phase> phase_{Phase::kServing};

  // In order of construction: threads stop before what they use goes.
  QueueMetrics cpu_metrics_;
  QueueMetrics result_metrics_;
  QueueMetrics tier_metrics_;
  CacheMetrics cache_metrics_;
  TextCacheMetrics text_metrics_;
  SessionMetrics session_metrics_;
  SessionStore sessions_;
  RecentRequests requests_;
  EmbeddingCache cache_;
  const std::unique_ptr<TierWorker> tiers_;  // null without tiers
  TextCache text_cache_;
  ByteBudget upload_budget_;
  ByteBudget word_budget_;
  ByteBudget result_budget_;
  CallGate gate_;
  CallGate background_gate_;
  InteractStreams interact_streams_;
  CpuPool cpu_;
  ModelPool models_;
  ImageEncoder encoder_;
  WordEncoder words_;
};

}  // namespace semsam

#endif  // SEMSAM_SERVER_PIPELINE_ENGINE_H_
