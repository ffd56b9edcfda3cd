// Carries what queues, cache and sessions report into the metrics, so that those
// layers know nothing of Prometheus. Thread-safe, as Metrics is.
#ifndef SEMSAM_SERVER_PIPELINE_METRICS_OBSERVERS_H_
#define SEMSAM_SERVER_PIPELINE_METRICS_OBSERVERS_H_

#include <utility>
#include <vector>

#include "server/batching/work_queue_options.h"
#include "server/cache/embedding_cache.h"
#include "server/cache/session_store.h"
#include "server/cache/text_cache.h"
#include "server/metrics/metrics.h"

namespace semsam {

class QueueMetrics final : public WorkQueueObserver {
 public:
  struct ClassNames {
    Queue queue;
    CancelStage cancel_stage;
  };

  // `classes` in the order of the queue's.
  QueueMetrics(Metrics& metrics, std::vector<ClassNames> classes)
      : metrics_(metrics), classes_(std::move(classes)), last_(classes_.size()) {}

  void OnDepth(int work_class, int64_t entries, int64_t units) override {
    Depth& last = last_[work_class];
    metrics_.AddToQueueDepth(classes_[work_class].queue, entries - last.entries,
                             units - last.units);
    last = {entries, units};
  }
  void OnTaken(int work_class, absl::Duration wait) override {
    metrics_.RecordQueueWait(classes_[work_class].queue, wait);
  }
  void OnDropped(int work_class, absl::StatusCode why) override {
    if (why == absl::StatusCode::kCancelled || why == absl::StatusCode::kDeadlineExceeded) {
      metrics_.RecordCancellation(classes_[work_class].cancel_stage);
    }
  }

 private:
  struct Depth {
    int64_t entries = 0;
    int64_t units = 0;
  };

  Metrics& metrics_;
  const std::vector<ClassNames> classes_;
  // What was reported: several queues may add up to one depth. Under the queue's lock.
  std::vector<Depth> last_;
};

inline LookupOutcome OutcomeOf(CacheLookup lookup) {
  switch (lookup) {
    case CacheLookup::kHit:
      return LookupOutcome::kHit;
    case CacheLookup::kJoined:
      return LookupOutcome::kJoined;
    case CacheLookup::kMiss:
      break;
  }
  return LookupOutcome::kMiss;
}

class CacheMetrics final : public EmbeddingCacheObserver {
 public:
  explicit CacheMetrics(Metrics& metrics) : metrics_(metrics) {}

  void OnLookup(CacheLookup outcome) override { metrics_.RecordLookup(OutcomeOf(outcome)); }
  void OnEvicted(int64_t entries) override { metrics_.RecordEvictions(entries); }
  void OnSize(int64_t bytes, int64_t entries) override {
    metrics_.SetUsed(Bounded::kCacheBytes, bytes);
    metrics_.SetCacheEntries(entries);
  }
  void OnDeviceSize(int device, int64_t bytes) override {
    metrics_.SetWorkerCacheBytes(device, bytes);
  }

 private:
  Metrics& metrics_;
};

class TextCacheMetrics final : public TextCacheObserver {
 public:
  explicit TextCacheMetrics(Metrics& metrics) : metrics_(metrics) {}

  void OnLookup(CacheLookup outcome) override { metrics_.RecordTextLookup(OutcomeOf(outcome)); }
  void OnEvicted(int64_t entries) override { metrics_.RecordTextEvictions(entries); }
  void OnSize(int64_t bytes, int64_t entries) override {
    metrics_.SetUsed(Bounded::kTextCacheBytes, bytes);
    metrics_.SetTextCacheEntries(entries);
  }

 private:
  Metrics& metrics_;
};

class SessionMetrics final : public SessionStoreObserver {
 public:
  explicit SessionMetrics(Metrics& metrics) : metrics_(metrics) {}

  void OnCreated() override { metrics_.RecordSessionCreated(); }
  void OnClosed(SessionEnd cause) override {
    switch (cause) {
      case SessionEnd::kDeleted:
        return metrics_.RecordSessionClosed(SessionClose::kDeleted);
      case SessionEnd::kIdle:
        return metrics_.RecordSessionClosed(SessionClose::kIdle);
      case SessionEnd::kMaxAge:
        return metrics_.RecordSessionClosed(SessionClose::kMaxAge);
    }
  }
  void OnActive(int64_t sessions) override { metrics_.SetUsed(Bounded::kSessions, sessions); }
  void OnRetainedBytes(int64_t bytes) override {
    metrics_.SetUsed(Bounded::kRetainedImageBytes, bytes);
  }
  void OnUnlistedImages(int64_t images) override {
    metrics_.SetUsed(Bounded::kUnlistedImages, images);
  }
  void OnMaskQueryBytes(int64_t bytes) override {
    metrics_.SetUsed(Bounded::kMaskQueryBytes, bytes);
  }

 private:
  Metrics& metrics_;
};

}  // namespace semsam

#endif  // SEMSAM_SERVER_PIPELINE_METRICS_OBSERVERS_H_
