// The workers of a server, one a device, and which of them does what.
//
// Guarantees
//   - What needs an embedding is done by the worker on whose device it is: a
//     PlacedEmbedding goes with its worker, and no other can read it.
//   - An image that must be encoded, or loaded, goes to the worker that its digest names
//     (rendezvous hashing: the same as long as the number of workers stays), unless that one
//     would make it wait `spill_after` longer than the one where it would wait least.
//   - Words go where they wait least.
//   - A worker whose device is lost gets no new images or words while another is there. What
//     is on its device is lost with it: the listener ends the process, see FaultListener.
// With one worker nothing is hashed or compared. Thread-safe.
#ifndef SEMSAM_SERVER_PIPELINE_MODEL_POOL_H_
#define SEMSAM_SERVER_PIPELINE_MODEL_POOL_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "model/base/clock.h"
#include "model/segmenter.h"
#include "server/metrics/metrics.h"
#include "server/pipeline/fault_listener.h"
#include "server/pipeline/metrics_observers.h"
#include "server/pipeline/model_worker.h"
#include "server/pipeline/resilient_segmenter.h"

namespace semsam {

// An embedding and the only worker that can read it.
struct PlacedEmbedding {
  std::shared_ptr<const Embedding> embedding;
  ModelWorker* worker = nullptr;
};

// OK if `models` can serve together: one at least, and all the same model. Else
// INVALID_ARGUMENT.
absl::Status CheckModels(const std::vector<Segmenter*>& models);

// "cuda:0,cuda:1"
std::string DeviceNames(const std::vector<Segmenter*>& models);

// The device, of so many, that the digest of an image names: each gets its share, and one
// more device takes images only for itself.
int HomeDevice(std::string_view sha256, int devices);

class ModelPool {
 public:
  // Counts an image among those that a worker has before it, until it is destroyed.
  struct Leave {
    void operator()(std::atomic<int64_t>* images) const { images->fetch_sub(1); }
  };
  using Place = std::unique_ptr<std::atomic<int64_t>, Leave>;

  // `options` are each worker's; `models` pass CheckModels. Everything passed by reference
  // or pointer outlives the pool; `faults` may be null.
  ModelPool(const ModelWorkerOptions& options, absl::Duration spill_after,
            const std::vector<Segmenter*>& models, const Clock& clock, Metrics& metrics,
            FaultListener* faults);
  ~ModelPool();

  // Of the model that all of them run, with the names of all devices.
  const ModelInfo& info() const { return info_; }
  // For what may be called at any time from any thread, on no matter which device.
  const Segmenter& any() const { return devices_.front()->segmenter; }

  int size() const { return static_cast<int>(devices_.size()); }
  ModelWorker& At(int device) { return devices_[device]->worker; }

  int HomeOf(std::string_view sha256) const { return HomeDevice(sha256, size()); }
  // Where an image of this digest should be encoded now.
  int DeviceFor(std::string_view sha256) const;
  // Takes note that it is about to be.
  Place TakePlace(int device);

  // For words.
  ModelWorker& LeastLoaded();

  // How long a caller should stay away who found too much under way before the models.
  absl::Duration RetryAfter(ModelWorker::WorkClass work_class) const;

  // Reads how full the memory of each device is, for the metrics.
  void ReportMemory();

  // Of each worker; see ModelWorker.
  void DropDead();
  void Shutdown();

 private:
  struct Device {
    Device(const ModelWorkerOptions& options, int number, Segmenter& model, const Clock& clock,
           Metrics& metrics, FaultListener* faults);

    QueueMetrics queue_metrics;
    ResilientSegmenter segmenter;
    std::atomic<int64_t> images{0};  // to be encoded or loaded, from admission to the end
    ModelWorker worker;              // last: its thread uses the others
  };

  absl::Duration ImageWait(int device) const;

  const ModelInfo info_;
  const absl::Duration spill_after_;
  Metrics& metrics_;
  std::atomic<uint32_t> turn_{0};  // who gets words where all wait the same
  std::vector<std::unique_ptr<Device>> devices_;
};

}  // namespace semsam

#endif  // SEMSAM_SERVER_PIPELINE_MODEL_POOL_H_
