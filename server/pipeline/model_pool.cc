#include "server/pipeline/model_pool.h"

#include <algorithm>
#include <tuple>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "model/base/errors.h"

namespace semsam {
namespace {

ModelInfo InfoOf(const std::vector<Segmenter*>& models) {
  ModelInfo info = models.front()->info();
  info.device = DeviceNames(models);
  return info;
}

// Bits that all depend on all bits of `value`.
uint64_t Mix(uint64_t value) {
  value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9u;
  value = (value ^ (value >> 27)) * 0x94d049bb133111ebu;
  return value ^ (value >> 31);
}

// The same in every process, which std::hash need not be.
uint64_t HashOf(std::string_view text) {
  uint64_t hash = 14695981039346656037u;
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211u;
  return hash;
}

}  // namespace

absl::Status CheckModels(const std::vector<Segmenter*>& models) {
  if (models.empty()) return InvalidField("models", "there is none");
  for (const Segmenter* model : models) {
    if (model->info().digest != models.front()->info().digest) {
      return InvalidField("models", absl::StrCat("those on ", models.front()->info().device,
                                                 " and ", model->info().device, " differ"));
    }
  }
  return absl::OkStatus();
}

std::string DeviceNames(const std::vector<Segmenter*>& models) {
  return absl::StrJoin(models, ",", [](std::string* out, const Segmenter* model) {
    out->append(model->info().device);
  });
}

ModelPool::Device::Device(const ModelWorkerOptions& options, int number, Segmenter& model,
                          const Clock& clock, Metrics& metrics, FaultListener* faults)
    : queue_metrics(metrics, {{Queue::kDecode, CancelStage::kDecodeQueue},
                              {Queue::kLoad, CancelStage::kLoadQueue},
                              {Queue::kEncode, CancelStage::kEncodeQueue},
                              {Queue::kText, CancelStage::kTextQueue},
                              {Queue::kBackground, CancelStage::kBackgroundQueue}}),
      segmenter(model, options.retry_after, metrics),
      worker(options, number, segmenter, clock, metrics, &queue_metrics, faults) {}

ModelPool::ModelPool(const ModelWorkerOptions& options, absl::Duration spill_after,
                     const std::vector<Segmenter*>& models, const Clock& clock, Metrics& metrics,
                     FaultListener* faults)
    : info_(InfoOf(models)), spill_after_(spill_after), metrics_(metrics) {
  for (Segmenter* model : models) {
    devices_.push_back(std::make_unique<Device>(options, size(), *model, clock, metrics, faults));
  }
}

int HomeDevice(std::string_view sha256, int devices) {
  if (devices == 1) return 0;
  const uint64_t image = HashOf(sha256);
  int home = 0;
  uint64_t most = 0;
  for (int i = 0; i < devices; ++i) {
    const uint64_t score = Mix(image ^ Mix(static_cast<uint64_t>(i) + 1));
    if (score > most) std::tie(home, most) = std::pair(i, score);
  }
  return home;
}

// One may hand work to another until all have stopped.
ModelPool::~ModelPool() { Shutdown(); }

absl::Duration ModelPool::ImageWait(int device) const {
  const Device& one = *devices_[device];
  return one.segmenter.fault().ok() ? one.worker.ImageWait(one.images.load())
                                    : absl::InfiniteDuration();
}

int ModelPool::DeviceFor(std::string_view sha256) const {
  if (size() == 1) return 0;
  const int home = HomeOf(sha256);
  const absl::Duration wait = ImageWait(home);
  if (wait <= spill_after_) return home;
  int best = home;
  absl::Duration least = wait;
  for (int i = 0; i < size(); ++i) {
    const absl::Duration other = ImageWait(i);
    if (other < least) std::tie(best, least) = std::pair(i, other);
  }
  return wait - least > spill_after_ ? best : home;
}

ModelPool::Place ModelPool::TakePlace(int device) {
  std::atomic<int64_t>& images = devices_[device]->images;
  images.fetch_add(1);
  return Place(&images);
}

ModelWorker& ModelPool::LeastLoaded() {
  if (size() == 1) return At(0);
  const uint32_t first = turn_.fetch_add(1, std::memory_order_relaxed);
  ModelWorker* best = nullptr;
  std::pair<absl::Duration, int64_t> least;
  for (int i = 0; i < size(); ++i) {
    Device& one = *devices_[(first + i) % devices_.size()];
    const bool lost = !one.segmenter.fault().ok();
    // Where nothing is known of times, who has less before him.
    const std::pair load(lost ? absl::InfiniteDuration() : one.worker.TextWait(),
                         one.worker.queued());
    if (best != nullptr && load >= least) continue;
    best = &one.worker;
    least = load;
  }
  return *best;
}

absl::Duration ModelPool::RetryAfter(ModelWorker::WorkClass work_class) const {
  absl::Duration least = absl::InfiniteDuration();
  for (const auto& device : devices_) {
    least = std::min(least, device->worker.RetryAfter(work_class));
  }
  return least;
}

void ModelPool::ReportMemory() {
  for (int i = 0; i < size(); ++i) {
    const absl::StatusOr<MemoryUse> memory = devices_[i]->segmenter.Memory();
    if (memory.ok()) metrics_.SetDeviceMemory(i, memory->used_bytes, memory->total_bytes);
  }
}

void ModelPool::DropDead() {
  for (const auto& device : devices_) device->worker.DropDead();
}

void ModelPool::Shutdown() {
  // All at once: what they run ends side by side.
  for (const auto& device : devices_) device->worker.Close();
  for (const auto& device : devices_) device->worker.Shutdown();
}

}  // namespace semsam
