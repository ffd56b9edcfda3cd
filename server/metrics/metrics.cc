#include "server/metrics/metrics.h"

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

#include "model/base/errors.h"
#include "prometheus/counter.h"
#include "prometheus/gauge.h"
#include "prometheus/histogram.h"
#include "prometheus/registry.h"
#include "prometheus/text_serializer.h"

namespace semsam {
namespace {

// Label values, in the order of the enums.
constexpr std::array<std::string_view, 10> kMethods = {
    "GetServerInfo", "CreateSession", "GetSession",    "DeleteSession",     "UploadImage",
    "Segment",       "SegmentOnce",   "RefreshLabels", "SegmentVocabulary", "GenerateMasks"};
constexpr std::array<std::string_view, 7> kQueues = {"decode", "encode", "text",   "background",
                                                     "masks",  "images", "results"};
constexpr std::array<std::string_view, 10> kStages = {
    "image_decode", "preprocess", "encode", "decoder",    "upsample",
    "mask_encode",  "text",       "labels", "vocabulary", "regions"};
constexpr std::array<std::string_view, 3> kBatchKinds = {"images", "queries", "terms"};
constexpr std::array<std::string_view, 3> kLookups = {"hit", "joined", "miss"};
constexpr std::array<std::string_view, 3> kSessionCloses = {"deleted", "idle", "max_age"};
constexpr std::array<std::string_view, 8> kCancelStages = {
    "decode_queue", "encode_queue", "text_queue",   "background_queue",
    "mask_queue",   "image_queue",  "result_queue", "masks"};
constexpr std::array<std::string_view, 17> kCodes = {
    "OK",        "CANCELLED",      "UNKNOWN",           "INVALID_ARGUMENT",   "DEADLINE_EXCEEDED",
    "NOT_FOUND", "ALREADY_EXISTS", "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION",
    "ABORTED",   "OUT_OF_RANGE",   "UNIMPLEMENTED",     "INTERNAL",           "UNAVAILABLE",
    "DATA_LOSS", "UNAUTHENTICATED"};
constexpr std::string_view kOtherReason = "OTHER";
constexpr std::array<std::string_view, 16> kReasons = {
    reason::kInvalidArgument,   reason::kImageUndecodable,
    reason::kImageTooLarge,     reason::kPointOutsideImage,
    reason::kUnknownLevel,      reason::kUploadProtocol,
    reason::kDigestMismatch,    reason::kSessionNotFound,
    reason::kImageNotFound,     reason::kMaskNotFound,
    reason::kCapabilityMissing, reason::kQueueFull,
    reason::kMemoryFull,        reason::kLimitExceeded,
    reason::kDraining,          kOtherReason};

struct BoundedNames {
  const char* used;
  const char* capacity;
  const char* help;
};
constexpr std::array<BoundedNames, 11> kBounded = {{
    {"semsam_cache_bytes", "semsam_cache_capacity_bytes", "Embeddings in the cache"},
    {"semsam_sessions_active", "semsam_sessions_capacity", "Sessions that live"},
    {"semsam_retained_image_bytes", "semsam_retained_image_capacity_bytes",
     "Uploaded images retained by sessions"},
    {"semsam_upload_buffer_bytes", "semsam_upload_buffer_capacity_bytes", "Images being uploaded"},
    {"semsam_segment_calls_active", "semsam_segment_calls_capacity",
     "Segment calls between admission and their last mask"},
    {"semsam_segment_queries_active", "semsam_segment_queries_capacity",
     "Queries of the admitted segment calls"},
    {"semsam_background_calls_active", "semsam_background_calls_capacity",
     "Vocabulary and everything-mode calls between admission and their last answer"},
    {"semsam_result_bytes", "semsam_result_capacity_bytes",
     "Set aside for the model's answers to those calls"},
    {"semsam_text_cache_bytes", "semsam_text_cache_capacity_bytes", "Text embeddings in the cache"},
    {"semsam_word_bytes", "semsam_word_capacity_bytes", "Text embeddings of the calls under way"},
    {"semsam_mask_query_bytes", "semsam_mask_query_capacity_bytes",
     "Query embeddings of masks, kept by sessions"},
}};

template <typename Enum>
constexpr size_t Index(Enum value) {
  return static_cast<size_t>(value);
}

std::vector<double> DurationBuckets() {
  return {0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60};
}
std::vector<double> BatchBuckets() { return {1, 2, 4, 6, 12, 24, 48, 96, 192, 384, 768}; }
std::vector<double> MaskByteBuckets() {
  return {64, 256, 1024, 4096, 16384, 65536, 262144, 1048576, 16777216};
}

// One series a label value, found by enum.
template <typename Metric, size_t N>
using ByLabel = std::array<Metric*, N>;

template <typename Metric, size_t N, typename Family, typename... Args>
ByLabel<Metric, N> AddAll(Family& family, const char* label,
                          const std::array<std::string_view, N>& values, const Args&... args) {
  ByLabel<Metric, N> series;
  for (size_t i = 0; i < N; ++i) {
    series[i] = &family.Add({{label, std::string(values[i])}}, args...);
  }
  return series;
}

}  // namespace

using prometheus::Counter;
using prometheus::Gauge;
using prometheus::Histogram;

struct Metrics::Series {
  std::shared_ptr<prometheus::Registry> registry = std::make_shared<prometheus::Registry>();

  Counter& AddCounter(const char* name, const char* help) {
    return prometheus::BuildCounter().Name(name).Help(help).Register(*registry).Add({});
  }
  Gauge& AddGauge(const char* name, const char* help) {
    return prometheus::BuildGauge().Name(name).Help(help).Register(*registry).Add({});
  }
  Histogram& AddHistogram(const char* name, const char* help, const std::vector<double>& buckets) {
    return prometheus::BuildHistogram().Name(name).Help(help).Register(*registry).Add({}, buckets);
  }
  template <size_t N>
  ByLabel<Counter, N> Counters(const char* name, const char* help, const char* label,
                               const std::array<std::string_view, N>& values) {
    return AddAll<Counter>(prometheus::BuildCounter().Name(name).Help(help).Register(*registry),
                           label, values);
  }
  template <size_t N>
  ByLabel<Gauge, N> Gauges(const char* name, const char* help, const char* label,
                           const std::array<std::string_view, N>& values) {
    return AddAll<Gauge>(prometheus::BuildGauge().Name(name).Help(help).Register(*registry), label,
                         values);
  }
  template <size_t N>
  ByLabel<Histogram, N> Histograms(const char* name, const char* help, const char* label,
                                   const std::array<std::string_view, N>& values,
                                   std::vector<double> buckets) {
    return AddAll<Histogram>(prometheus::BuildHistogram().Name(name).Help(help).Register(*registry),
                             label, values, std::move(buckets));
  }

  std::array<ByLabel<Counter, kCodes.size()>, kMethods.size()> requests = [this] {
    auto& family = prometheus::BuildCounter()
                       .Name("semsam_requests_total")
                       .Help("Finished calls by method and status code")
                       .Register(*registry);
    std::array<ByLabel<Counter, kCodes.size()>, kMethods.size()> table;
    for (size_t m = 0; m < kMethods.size(); ++m) {
      for (size_t c = 0; c < kCodes.size(); ++c) {
        table[m][c] =
            &family.Add({{"method", std::string(kMethods[m])}, {"code", std::string(kCodes[c])}});
      }
    }
    return table;
  }();
  ByLabel<Histogram, kMethods.size()> request_seconds =
      Histograms("semsam_request_duration_seconds", "From the first byte of a call to its status",
                 "method", kMethods, DurationBuckets());
  Histogram& first_mask_seconds =
      AddHistogram("semsam_time_to_first_mask_seconds",
                   "From the start of a segment call to its first mask", DurationBuckets());
  ByLabel<Counter, kReasons.size()> rejections =
      Counters("semsam_rejections_total", "Calls that failed, by reason", "reason", kReasons);
  ByLabel<Counter, kCancelStages.size()> cancellations = Counters(
      "semsam_cancellations_total", "Work dropped because its caller left or its deadline passed",
      "stage", kCancelStages);

  ByLabel<Gauge, kQueues.size()> queue_entries =
      Gauges("semsam_queue_depth", "Queued entries", "queue", kQueues);
  ByLabel<Gauge, kQueues.size()> queue_units =
      Gauges("semsam_queue_units", "Queued work: queries, images or jobs", "queue", kQueues);
  ByLabel<Gauge, kQueues.size()> queue_entry_capacity =
      Gauges("semsam_queue_capacity", "Bound of semsam_queue_depth", "queue", kQueues);
  ByLabel<Gauge, kQueues.size()> queue_unit_capacity =
      Gauges("semsam_queue_units_capacity", "Bound of semsam_queue_units", "queue", kQueues);
  ByLabel<Histogram, kQueues.size()> queue_wait_seconds =
      Histograms("semsam_queue_wait_seconds", "From entering a queue to being taken", "queue",
                 kQueues, DurationBuckets());
  ByLabel<Histogram, kStages.size()> stage_seconds = Histograms(
      "semsam_stage_duration_seconds", "One run of a stage; encode and decoder count once a batch",
      "stage", kStages, DurationBuckets());
  ByLabel<Histogram, kBatchKinds.size()> batch_size =
      Histograms("semsam_batch_size", "Images, queries or terms a model call", "unit", kBatchKinds,
                 BatchBuckets());

  std::array<std::pair<Gauge*, Gauge*>, kBounded.size()> bounded = [this] {
    std::array<std::pair<Gauge*, Gauge*>, kBounded.size()> table;
    for (size_t i = 0; i < kBounded.size(); ++i) {
      table[i] = {&AddGauge(kBounded[i].used, kBounded[i].help),
                  &AddGauge(kBounded[i].capacity, "Bound of the gauge of the same name")};
    }
    return table;
  }();
  Gauge& cache_entries = AddGauge("semsam_cache_entries", "Embeddings in the cache");
  ByLabel<Counter, kLookups.size()> lookups =
      Counters("semsam_cache_lookups_total", "Cache lookups by outcome", "outcome", kLookups);
  Counter& evictions = prometheus::BuildCounter()
                           .Name("semsam_cache_evictions_total")
                           .Help("Embeddings evicted, by tier")
                           .Register(*registry)
                           .Add({{"tier", "device"}});
  Gauge& text_entries = AddGauge("semsam_text_cache_entries", "Text embeddings in the cache");
  ByLabel<Counter, kLookups.size()> text_lookups = Counters(
      "semsam_text_cache_lookups_total", "Words looked up, by outcome", "outcome", kLookups);
  Counter& text_evictions =
      AddCounter("semsam_text_cache_evictions_total", "Text embeddings evicted");
  Counter& sessions_created = AddCounter("semsam_sessions_created_total", "Sessions created");
  ByLabel<Counter, kSessionCloses.size()> sessions_closed =
      Counters("semsam_sessions_closed_total", "Sessions ended, by cause", "cause", kSessionCloses);

  Histogram& mask_bytes =
      AddHistogram("semsam_mask_bytes", "Encoded size of a mask", MaskByteBuckets());
  Gauge& ready = AddGauge("semsam_ready", "1 while the service takes calls");
  Gauge& draining = AddGauge("semsam_draining", "1 while it finishes what runs and takes no more");
};

std::string_view MethodName(Method method) { return kMethods[Index(method)]; }

Metrics::Metrics(const MetricsInfo& info) : series_(std::make_unique<Series>()) {
  prometheus::BuildGauge()
      .Name("semsam_build_info")
      .Help("Always 1; the version is the label")
      .Register(*series_->registry)
      .Add({{"version", info.version}})
      .Set(1);
  prometheus::BuildGauge()
      .Name("semsam_model_info")
      .Help("Always 1; the model is in the labels")
      .Register(*series_->registry)
      .Add({{"name", info.model_name},
            {"digest", info.model_digest},
            {"device", info.device},
            {"trained", info.trained ? "true" : "false"}})
      .Set(1);
}

Metrics::~Metrics() = default;

void Metrics::RecordRequest(Method method, absl::StatusCode code, absl::Duration duration) {
  const size_t c = std::min(Index(code), kCodes.size() - 1);
  series_->requests[Index(method)][c]->Increment();
  series_->request_seconds[Index(method)]->Observe(absl::ToDoubleSeconds(duration));
}

void Metrics::RecordTimeToFirstMask(absl::Duration duration) {
  series_->first_mask_seconds.Observe(absl::ToDoubleSeconds(duration));
}

void Metrics::RecordRejection(std::string_view reason) {
  size_t i = std::find(kReasons.begin(), kReasons.end(), reason) - kReasons.begin();
  i = std::min(i, kReasons.size() - 1);
  series_->rejections[i]->Increment();
}

void Metrics::RecordCancellation(CancelStage stage) {
  series_->cancellations[Index(stage)]->Increment();
}

void Metrics::SetQueueCapacity(Queue queue, int64_t entries, int64_t units) {
  series_->queue_entry_capacity[Index(queue)]->Set(static_cast<double>(entries));
  series_->queue_unit_capacity[Index(queue)]->Set(static_cast<double>(units));
}

void Metrics::SetQueueDepth(Queue queue, int64_t entries, int64_t units) {
  series_->queue_entries[Index(queue)]->Set(static_cast<double>(entries));
  series_->queue_units[Index(queue)]->Set(static_cast<double>(units));
}

void Metrics::RecordQueueWait(Queue queue, absl::Duration wait) {
  series_->queue_wait_seconds[Index(queue)]->Observe(absl::ToDoubleSeconds(wait));
}

void Metrics::RecordStage(Stage stage, absl::Duration duration) {
  series_->stage_seconds[Index(stage)]->Observe(absl::ToDoubleSeconds(duration));
}

void Metrics::RecordBatch(BatchKind kind, int64_t size) {
  series_->batch_size[Index(kind)]->Observe(static_cast<double>(size));
}

void Metrics::SetCapacity(Bounded what, int64_t bound) {
  series_->bounded[Index(what)].second->Set(static_cast<double>(bound));
}

void Metrics::SetUsed(Bounded what, int64_t used) {
  series_->bounded[Index(what)].first->Set(static_cast<double>(used));
}

void Metrics::RecordLookup(LookupOutcome outcome) { series_->lookups[Index(outcome)]->Increment(); }

void Metrics::RecordEvictions(int64_t entries) {
  series_->evictions.Increment(static_cast<double>(entries));
}

void Metrics::SetCacheEntries(int64_t entries) {
  series_->cache_entries.Set(static_cast<double>(entries));
}

void Metrics::RecordTextLookup(LookupOutcome outcome) {
  series_->text_lookups[Index(outcome)]->Increment();
}

void Metrics::RecordTextEvictions(int64_t entries) {
  series_->text_evictions.Increment(static_cast<double>(entries));
}

void Metrics::SetTextCacheEntries(int64_t entries) {
  series_->text_entries.Set(static_cast<double>(entries));
}

void Metrics::RecordSessionCreated() { series_->sessions_created.Increment(); }

void Metrics::RecordSessionClosed(SessionClose cause) {
  series_->sessions_closed[Index(cause)]->Increment();
}

void Metrics::RecordMaskBytes(int64_t bytes) {
  series_->mask_bytes.Observe(static_cast<double>(bytes));
}

void Metrics::SetReady(bool ready) { series_->ready.Set(ready ? 1 : 0); }

void Metrics::SetDraining(bool draining) { series_->draining.Set(draining ? 1 : 0); }

std::string Metrics::Text() const {
  return prometheus::TextSerializer().Serialize(series_->registry->Collect());
}

std::weak_ptr<prometheus::Collectable> Metrics::collectable() const { return series_->registry; }

}  // namespace semsam
