// What the service counts, as Prometheus metrics with the prefix `semsam_`.
//
// Guarantees
//   - Every series exists from the start, at 0.
//   - Labels come from the enums below and from constants of the process: no
//     session, image or request id ever becomes a label.
//   - Durations are in seconds, sizes in bytes.
// Thread-safe; a call is a few atomic operations, or a short lock of its histogram.
#ifndef SEMSAM_SERVER_METRICS_METRICS_H_
#define SEMSAM_SERVER_METRICS_METRICS_H_

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/time/time.h"

namespace prometheus {
class Collectable;
}  // namespace prometheus

namespace semsam {

enum class Method {
  kGetServerInfo,
  kCreateSession,
  kGetSession,
  kRenewSession,
  kListSessions,
  kDeleteSession,
  kUploadImage,
  kAttachImage,
  kSegment,
  kSegmentOnce,
  kRefreshLabels,
  kSegmentVocabulary,
  kGenerateMasks,
  kInteract,
};
enum class Queue {
  kDecode,
  kLoad,
  kEncode,
  kText,
  kBackground,
  kMasks,
  kImages,
  kResults,
  kTierFind,
  kDemote,
};
enum class Stage {
  kImageDecode,
  kPreprocess,
  kEncode,
  kDecoder,
  kUpsample,
  kMaskEncode,
  kText,        // words to embeddings, a chunk
  kLabels,      // embeddings to labels, a mask or a call
  kVocabulary,  // the generic queries of one image
  kRegions,     // from those to masks, or from a chunk of clicks to candidates
  kTierRead,    // a stored embedding out of the tier that has it
  kTierLoad,    // from there into the model
  kTierStore,   // from the model into the tiers
};
enum class BatchKind { kImages, kQueries, kTerms };
// Why the model was asked once more.
enum class RetryCause { kMemory, kFault };
// Where an image was encoded or loaded: by the worker that its digest names, or by one that
// had more time or room.
enum class Placement { kHome, kSpilled };
enum class LookupOutcome { kHit, kJoined, kMiss };
// Where embeddings are kept below the device.
enum class Tier { kHost, kDisk };
enum class TierOutcome { kHit, kMiss, kFailed };
// What became of an embedding that the device had no more room for.
enum class Demotion {
  kStored,
  kHeld,       // every tier had it already
  kTakenBack,  // wanted again before it was stored
  kDropped,    // too much waited to be stored
  kFailed,
};
enum class SessionClose { kDeleted, kIdle, kMaxAge };
// How a click of an Interact stream ended.
enum class ClickOutcome { kAnswered, kSuperseded, kCancelled, kFailed };
// Where a call was when its caller left or its deadline passed.
enum class CancelStage {
  kDecodeQueue,
  kEncodeQueue,
  kTextQueue,
  kBackgroundQueue,
  kMaskQueue,
  kImageQueue,
  kResultQueue,
  kLoadQueue,
  kTierQueue,
  kMasks,
};
// What the operator may change while the server runs.
enum class Reloaded { kTokens, kCertificate };
// Everything with a bound; each has a gauge of what is used and one of the bound.
enum class Bounded {
  kCacheBytes,
  kSessions,
  kRetainedImageBytes,
  kUnlistedImages,
  kUploadBufferBytes,
  kSegmentCalls,
  kSegmentQueries,
  kBackgroundCalls,
  kResultBytes,
  kTextCacheBytes,
  kWordBytes,
  kMaskQueryBytes,
  kRecentRequests,
  kInteractStreams,
  kOpenClicks,
};

std::string_view MethodName(Method method);

// Constants of the process, exposed as semsam_build_info and semsam_model_info.
struct MetricsInfo {
  std::string version;
  std::string model_name;
  std::string model_digest;
  std::string device;
  bool trained = true;
  int workers = 1;
};

// How a tier stands.
struct TierLevel {
  int64_t bytes = 0;
  int64_t capacity_bytes = 0;
  int64_t entries = 0;
  int64_t evicted = 0;  // since the process began: never falls
};

class Metrics {
 public:
  explicit Metrics(const MetricsInfo& info);
  ~Metrics();
  Metrics(const Metrics&) = delete;
  Metrics& operator=(const Metrics&) = delete;

  void RecordRequest(Method method, absl::StatusCode code, absl::Duration duration);
  void RecordTimeToFirstMask(absl::Duration duration);
  // Why a request was refused: a reason of model/base/errors.h. Others count as
  // "OTHER".
  void RecordRejection(std::string_view reason);
  void RecordCancellation(CancelStage stage);

  void SetQueueCapacity(Queue queue, int64_t entries, int64_t units);
  // By how much it changed: the queues of all workers add up.
  void AddToQueueDepth(Queue queue, int64_t entries, int64_t units);
  void RecordQueueWait(Queue queue, absl::Duration wait);
  void RecordStage(Stage stage, absl::Duration duration);
  void RecordBatch(BatchKind kind, int64_t size);
  void RecordModelRetry(RetryCause cause);
  void RecordDeviceFault();
  // `worker` is below MetricsInfo::workers; what comes of others is not counted.
  void RecordBusy(int worker, absl::Duration run);
  void SetWorkerCacheBytes(int worker, int64_t bytes);
  // By everybody who uses the device; on a CPU by this process.
  void SetDeviceMemory(int worker, int64_t used_bytes, int64_t total_bytes);
  void RecordPlacement(Placement placement);

  void SetCapacity(Bounded what, int64_t bound);
  void SetUsed(Bounded what, int64_t used);

  void RecordLookup(LookupOutcome outcome);
  void RecordEvictions(int64_t entries);
  void SetCacheEntries(int64_t entries);
  void RecordTierLookup(Tier tier, TierOutcome outcome);
  void RecordTierError(Tier tier);
  void SetTier(Tier tier, const TierLevel& level);
  void RecordDemotion(Demotion outcome);
  void RecordTextLookup(LookupOutcome outcome);
  void RecordTextEvictions(int64_t entries);
  void SetTextCacheEntries(int64_t entries);
  void RecordSessionCreated();
  void RecordSessionClosed(SessionClose cause);

  void RecordMaskBytes(int64_t bytes);
  void RecordClick(ClickOutcome outcome);
  void SetReady(bool ready);
  void SetDraining(bool draining);
  // A changed file that cannot be used; what was read before stays.
  void RecordReloadFailure(Reloaded what);
  // Of TLS; not called without it.
  void SetCertificateExpiry(absl::Time when);
  // Since the process began: never falls.
  void SetLogLinesDropped(int64_t lines);

  // Everything in the text format of Prometheus.
  std::string Text() const;
  // For an exposer; lives as long as this.
  std::weak_ptr<prometheus::Collectable> collectable() const;

 private:
  struct Series;
  std::unique_ptr<Series> series_;
};

}  // namespace semsam

#endif  // SEMSAM_SERVER_METRICS_METRICS_H_
