#include "server/metrics/metrics.h"

#include <algorithm>
#include <array>
#include <string>
#include <utility>
#include <vector>

#include "prometheus/counter.h"
#include "prometheus/gauge.h"
#include "prometheus/histogram.h"
#include "prometheus/registry.h"
#include "prometheus/text_serializer.h"
#include "server/metrics/metric_labels.h"

namespace semsam {
namespace {

std::vector<double> DurationBuckets() {
  return {0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05,
          0.1,    0.25,    0.5,    1,     2.5,    5,     10,   30,    60};
}
std::vector<double> BatchBuckets() { return {1, 2, 4, 6, 12, 24, 48, 96, 192, 384, 768}; }
std::vector<double> MaskByteBuckets() {
  return {64, 256, 1024, 4096, 16384, 65536, 262144, 1048576, 16777216};
}

// One series a value, found by it.
template <typename Metric, typename Enum>
class ByLabel {
 public:
  // `args`: what a series takes beside its label.
  template <typename Family, typename... Args>
  ByLabel(Family& family, const char* label, const Args&... args)
      : ByLabel(family, prometheus::Labels{}, label, args...) {}
  // `others`: labels that all of them share.
  template <typename Family, typename... Args>
  ByLabel(Family& family, const prometheus::Labels& others, const char* label,
          const Args&... args) {
    for (size_t i = 0; i < series_.size(); ++i) {
      prometheus::Labels labels = others;
      labels[label] = std::string(LabelOf(static_cast<Enum>(i)));
      series_[i] = &family.Add(labels, args...);
    }
  }

  Metric& operator[](Enum value) const { return *series_[Index(value)]; }

 private:
  std::array<Metric*, Count<Enum>()> series_ = {};
};

}  // namespace

using prometheus::Counter;
using prometheus::Gauge;
using prometheus::Histogram;

struct Metrics::Series {
  explicit Series(int worker_count) : workers(worker_count) {}

  const size_t workers;
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
  template <typename Enum>
  ByLabel<Counter, Enum> Counters(const char* name, const char* help, const char* label) {
    return {prometheus::BuildCounter().Name(name).Help(help).Register(*registry), label};
  }
  template <typename Enum>
  ByLabel<Gauge, Enum> Gauges(const char* name, const char* help, const char* label) {
    return {prometheus::BuildGauge().Name(name).Help(help).Register(*registry), label};
  }
  template <typename Enum>
  ByLabel<Histogram, Enum> Histograms(const char* name, const char* help, const char* label,
                                      const std::vector<double>& buckets) {
    return {prometheus::BuildHistogram().Name(name).Help(help).Register(*registry), label, buckets};
  }

  // One series a worker.
  template <typename Metric, typename Builder>
  std::vector<Metric*> Workers(Builder builder, const char* name, const char* help) {
    auto& family = builder.Name(name).Help(help).Register(*registry);
    std::vector<Metric*> series;
    for (size_t i = 0; i < workers; ++i) {
      series.push_back(&family.Add({{"worker", std::to_string(i)}}));
    }
    return series;
  }

  std::array<std::array<Counter*, kCodes.size()>, Count<Method>()> requests = [this] {
    auto& family = prometheus::BuildCounter()
                       .Name("semsam_requests_total")
                       .Help("Finished calls by method and status code")
                       .Register(*registry);
    std::array<std::array<Counter*, kCodes.size()>, Count<Method>()> table;
    for (size_t m = 0; m < table.size(); ++m) {
      for (size_t c = 0; c < kCodes.size(); ++c) {
        table[m][c] = &family.Add({{"method", std::string(MethodName(static_cast<Method>(m)))},
                                   {"code", std::string(kCodes[c])}});
      }
    }
    return table;
  }();
  ByLabel<Histogram, Method> request_seconds = Histograms<Method>(
      "semsam_request_duration_seconds", "From the first byte of a call to its status", "method",
      DurationBuckets());
  Histogram& first_mask_seconds =
      AddHistogram("semsam_time_to_first_mask_seconds",
                   "From the start of a segment call to its first mask", DurationBuckets());
  std::array<Counter*, kReasons.size()> rejections = [this] {
    auto& family = prometheus::BuildCounter()
                       .Name("semsam_rejections_total")
                       .Help("Calls that failed, by reason")
                       .Register(*registry);
    std::array<Counter*, kReasons.size()> table;
    for (size_t i = 0; i < table.size(); ++i) {
      table[i] = &family.Add({{"reason", std::string(kReasons[i])}});
    }
    return table;
  }();
  ByLabel<Counter, CancelStage> cancellations =
      Counters<CancelStage>("semsam_cancellations_total",
                            "Work dropped because its caller left or its deadline passed", "stage");

  ByLabel<Gauge, Queue> queue_entries =
      Gauges<Queue>("semsam_queue_depth", "Queued entries", "queue");
  ByLabel<Gauge, Queue> queue_units =
      Gauges<Queue>("semsam_queue_units", "Queued work: queries, images or jobs", "queue");
  ByLabel<Gauge, Queue> queue_entry_capacity =
      Gauges<Queue>("semsam_queue_capacity", "Bound of semsam_queue_depth", "queue");
  ByLabel<Gauge, Queue> queue_unit_capacity =
      Gauges<Queue>("semsam_queue_units_capacity", "Bound of semsam_queue_units", "queue");
  ByLabel<Histogram, Queue> queue_wait_seconds =
      Histograms<Queue>("semsam_queue_wait_seconds", "From entering a queue to being taken",
                        "queue", DurationBuckets());
  ByLabel<Histogram, Stage> stage_seconds = Histograms<Stage>(
      "semsam_stage_duration_seconds", "One run of a stage; encode and decoder count once a batch",
      "stage", DurationBuckets());
  ByLabel<Histogram, BatchKind> batch_size = Histograms<BatchKind>(
      "semsam_batch_size", "Images, queries or terms a model call", "unit", BatchBuckets());
  ByLabel<Counter, RetryCause> model_retries = Counters<RetryCause>(
      "semsam_model_retries_total",
      "Model calls made once more: in halves for want of memory, or one by one after a fault",
      "cause");

  Counter& device_faults = AddCounter(
      "semsam_device_faults_total", "Devices lost for good; the server drains and ends after one");

  std::vector<Counter*> worker_busy =
      Workers<Counter>(prometheus::BuildCounter(), "semsam_worker_busy_seconds_total",
                       "What the model of a worker ran");
  std::vector<Gauge*> worker_cache_bytes =
      Workers<Gauge>(prometheus::BuildGauge(), "semsam_worker_cache_bytes",
                     "Embeddings on the device of a worker");
  std::vector<Gauge*> device_memory =
      Workers<Gauge>(prometheus::BuildGauge(), "semsam_device_memory_used_bytes",
                     "Memory taken on the device of a worker, by whomever; on a CPU what this "
                     "process has in memory");
  std::vector<Gauge*> device_memory_capacity =
      Workers<Gauge>(prometheus::BuildGauge(), "semsam_device_memory_capacity_bytes",
                     "Memory of the device; on a CPU what this process may take");
  ByLabel<Counter, Placement> placements = Counters<Placement>(
      "semsam_image_placements_total",
      "Images encoded or loaded: by the worker that their digest names, or by another", "outcome");

  std::array<std::pair<Gauge*, Gauge*>, Count<Bounded>()> bounded = [this] {
    std::array<std::pair<Gauge*, Gauge*>, Count<Bounded>()> table;
    for (size_t i = 0; i < table.size(); ++i) {
      const BoundedNames names = LabelOf(static_cast<Bounded>(i));
      table[i] = {&AddGauge(names.used, names.help),
                  &AddGauge(names.capacity, "Bound of the gauge of the same name")};
    }
    return table;
  }();
  Gauge& cache_entries = AddGauge("semsam_cache_entries", "Embeddings in the cache");
  ByLabel<Counter, LookupOutcome> lookups =
      Counters<LookupOutcome>("semsam_cache_lookups_total", "Cache lookups by outcome", "outcome");
  prometheus::Family<Counter>& evictions_by_tier =
      prometheus::BuildCounter()
          .Name("semsam_cache_evictions_total")
          .Help("Embeddings evicted, by tier; from the device to the next, if there is one")
          .Register(*registry);
  Counter& evictions = evictions_by_tier.Add({{"tier", "device"}});
  ByLabel<Counter, Tier> tier_evictions{evictions_by_tier, "tier"};
  std::array<ByLabel<Counter, TierOutcome>, Count<Tier>()> tier_lookups = [this] {
    auto& family = prometheus::BuildCounter()
                       .Name("semsam_cache_tier_lookups_total")
                       .Help("Embeddings that the device did not hold, looked up in a tier")
                       .Register(*registry);
    const auto of = [&family](Tier tier) {
      return ByLabel<Counter, TierOutcome>(family, {{"tier", std::string(LabelOf(tier))}},
                                           "outcome");
    };
    return std::array{of(Tier::kHost), of(Tier::kDisk)};
  }();
  ByLabel<Counter, Tier> tier_errors = Counters<Tier>(
      "semsam_cache_tier_errors_total", "Files and memory of a tier that failed it", "tier");
  ByLabel<Gauge, Tier> tier_bytes =
      Gauges<Tier>("semsam_cache_tier_bytes", "Stored embeddings", "tier");
  ByLabel<Gauge, Tier> tier_capacity = Gauges<Tier>("semsam_cache_tier_capacity_bytes",
                                                    "Bound of the gauge of the same name", "tier");
  ByLabel<Gauge, Tier> tier_entries =
      Gauges<Tier>("semsam_cache_tier_entries", "Stored embeddings", "tier");
  ByLabel<Counter, Demotion> demotions = Counters<Demotion>(
      "semsam_cache_demotions_total",
      "Embeddings evicted from the device, by what the tiers below did with them", "outcome");
  Gauge& text_entries = AddGauge("semsam_text_cache_entries", "Text embeddings in the cache");
  ByLabel<Counter, LookupOutcome> text_lookups = Counters<LookupOutcome>(
      "semsam_text_cache_lookups_total", "Words looked up, by outcome", "outcome");
  Counter& text_evictions =
      AddCounter("semsam_text_cache_evictions_total", "Text embeddings evicted");
  Counter& sessions_created = AddCounter("semsam_sessions_created_total", "Sessions created");
  ByLabel<Counter, SessionClose> sessions_closed =
      Counters<SessionClose>("semsam_sessions_closed_total", "Sessions ended, by cause", "cause");

  Histogram& mask_bytes =
      AddHistogram("semsam_mask_bytes", "Encoded size of a mask", MaskByteBuckets());
  ByLabel<Counter, ClickOutcome> clicks = Counters<ClickOutcome>(
      "semsam_interact_clicks_total", "Clicks of Interact streams, by how they ended", "outcome");
  Gauge& ready = AddGauge("semsam_ready", "1 while the service takes calls");
  ByLabel<Counter, Reloaded> reload_failures = Counters<Reloaded>(
      "semsam_reload_failures_total", "Changed files that could not be used, by kind", "file");
  Gauge& certificate_expiry =
      AddGauge("semsam_certificate_expiry_timestamp_seconds",
               "When the TLS certificate ends to be valid, since 1970; 0 without TLS");
  Counter& log_lines_dropped =
      AddCounter("semsam_log_lines_dropped_total", "Lines of the log that nobody read in time");
  Gauge& draining = AddGauge("semsam_draining", "1 while it finishes what runs and takes no more");
};

namespace {

// A gauge takes no negative increments.
void Change(Gauge& gauge, double by) {
  if (by < 0) {
    gauge.Decrement(-by);
  } else {
    gauge.Increment(by);
  }
}

}  // namespace

std::string_view MethodName(Method method) { return LabelOf(method); }

Metrics::Metrics(const MetricsInfo& info) : series_(std::make_unique<Series>(info.workers)) {
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
  series_->request_seconds[method].Observe(absl::ToDoubleSeconds(duration));
}

void Metrics::RecordTimeToFirstMask(absl::Duration duration) {
  series_->first_mask_seconds.Observe(absl::ToDoubleSeconds(duration));
}

void Metrics::RecordRejection(std::string_view reason) {
  size_t i = std::find(kReasons.begin(), kReasons.end(), reason) - kReasons.begin();
  i = std::min(i, kReasons.size() - 1);
  series_->rejections[i]->Increment();
}

void Metrics::RecordCancellation(CancelStage stage) { series_->cancellations[stage].Increment(); }

void Metrics::SetQueueCapacity(Queue queue, int64_t entries, int64_t units) {
  series_->queue_entry_capacity[queue].Set(static_cast<double>(entries));
  series_->queue_unit_capacity[queue].Set(static_cast<double>(units));
}

void Metrics::AddToQueueDepth(Queue queue, int64_t entries, int64_t units) {
  Change(series_->queue_entries[queue], static_cast<double>(entries));
  Change(series_->queue_units[queue], static_cast<double>(units));
}

void Metrics::RecordQueueWait(Queue queue, absl::Duration wait) {
  series_->queue_wait_seconds[queue].Observe(absl::ToDoubleSeconds(wait));
}

void Metrics::RecordStage(Stage stage, absl::Duration duration) {
  series_->stage_seconds[stage].Observe(absl::ToDoubleSeconds(duration));
}

void Metrics::RecordBatch(BatchKind kind, int64_t size) {
  series_->batch_size[kind].Observe(static_cast<double>(size));
}

void Metrics::RecordDeviceFault() { series_->device_faults.Increment(); }

void Metrics::RecordBusy(int worker, absl::Duration run) {
  if (static_cast<size_t>(worker) >= series_->workers) return;
  series_->worker_busy[worker]->Increment(std::max(0.0, absl::ToDoubleSeconds(run)));
}

void Metrics::SetWorkerCacheBytes(int worker, int64_t bytes) {
  if (static_cast<size_t>(worker) >= series_->workers) return;
  series_->worker_cache_bytes[worker]->Set(static_cast<double>(bytes));
}

void Metrics::SetDeviceMemory(int worker, int64_t used_bytes, int64_t total_bytes) {
  if (static_cast<size_t>(worker) >= series_->workers) return;
  series_->device_memory[worker]->Set(static_cast<double>(used_bytes));
  series_->device_memory_capacity[worker]->Set(static_cast<double>(total_bytes));
}

void Metrics::RecordPlacement(Placement placement) { series_->placements[placement].Increment(); }

void Metrics::RecordModelRetry(RetryCause cause) { series_->model_retries[cause].Increment(); }

void Metrics::SetCapacity(Bounded what, int64_t bound) {
  series_->bounded[Index(what)].second->Set(static_cast<double>(bound));
}

void Metrics::SetUsed(Bounded what, int64_t used) {
  series_->bounded[Index(what)].first->Set(static_cast<double>(used));
}

void Metrics::RecordLookup(LookupOutcome outcome) { series_->lookups[outcome].Increment(); }

void Metrics::RecordEvictions(int64_t entries) {
  series_->evictions.Increment(static_cast<double>(entries));
}

void Metrics::SetCacheEntries(int64_t entries) {
  series_->cache_entries.Set(static_cast<double>(entries));
}

void Metrics::RecordTierLookup(Tier tier, TierOutcome outcome) {
  series_->tier_lookups[Index(tier)][outcome].Increment();
}

void Metrics::RecordTierError(Tier tier) { series_->tier_errors[tier].Increment(); }

void Metrics::SetTier(Tier tier, const TierLevel& level) {
  series_->tier_bytes[tier].Set(static_cast<double>(level.bytes));
  series_->tier_capacity[tier].Set(static_cast<double>(level.capacity_bytes));
  series_->tier_entries[tier].Set(static_cast<double>(level.entries));
  Counter& evicted = series_->tier_evictions[tier];
  evicted.Increment(std::max(0.0, static_cast<double>(level.evicted) - evicted.Value()));
}

void Metrics::RecordDemotion(Demotion outcome) { series_->demotions[outcome].Increment(); }

void Metrics::RecordTextLookup(LookupOutcome outcome) {
  series_->text_lookups[outcome].Increment();
}

void Metrics::RecordTextEvictions(int64_t entries) {
  series_->text_evictions.Increment(static_cast<double>(entries));
}

void Metrics::SetTextCacheEntries(int64_t entries) {
  series_->text_entries.Set(static_cast<double>(entries));
}

void Metrics::RecordSessionCreated() { series_->sessions_created.Increment(); }

void Metrics::RecordSessionClosed(SessionClose cause) {
  series_->sessions_closed[cause].Increment();
}

void Metrics::RecordMaskBytes(int64_t bytes) {
  series_->mask_bytes.Observe(static_cast<double>(bytes));
}

void Metrics::RecordClick(ClickOutcome outcome) { series_->clicks[outcome].Increment(); }

void Metrics::SetReady(bool ready) { series_->ready.Set(ready ? 1 : 0); }

void Metrics::SetDraining(bool draining) { series_->draining.Set(draining ? 1 : 0); }

void Metrics::RecordReloadFailure(Reloaded what) { series_->reload_failures[what].Increment(); }

void Metrics::SetCertificateExpiry(absl::Time when) {
  series_->certificate_expiry.Set(static_cast<double>(absl::ToUnixSeconds(when)));
}

void Metrics::SetLogLinesDropped(int64_t lines) {
  Counter& counter = series_->log_lines_dropped;
  counter.Increment(std::max(0.0, static_cast<double>(lines) - counter.Value()));
}

std::string Metrics::Text() const {
  return prometheus::TextSerializer().Serialize(series_->registry->Collect());
}

std::weak_ptr<prometheus::Collectable> Metrics::collectable() const { return series_->registry; }

}  // namespace semsam
