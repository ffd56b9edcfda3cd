// From uploaded bytes to a cached embedding: identify, decode, resize, encode.
//
// However many callers need the same image at once, it is encoded once. An embedding
// that was evicted is loaded from the first tier below the device that has it, and is
// else made again, as long as any of the callers has the bytes at hand. Both are done by
// the worker that ModelPool::DeviceFor names, or, where its device has no room, by one
// that has. Between all of these steps a flight ends that nobody waits for any more.
// Thread-safe.
#ifndef SEMSAM_SERVER_PIPELINE_IMAGE_ENCODER_H_
#define SEMSAM_SERVER_PIPELINE_IMAGE_ENCODER_H_

#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "model/base/clock.h"
#include "model/segmenter.h"
#include "server/batching/call_limits.h"
#include "server/cache/embedding_cache.h"
#include "server/cache/session_store.h"
#include "server/metrics/metrics.h"
#include "server/pipeline/cpu_pool.h"
#include "server/pipeline/image_stages.h"
#include "server/pipeline/model_pool.h"
#include "server/pipeline/segment_types.h"
#include "server/pipeline/tier_worker.h"

namespace semsam {

struct ImageSource {
  std::string sha256;                        // hex, of the bytes
  ImageGeometry geometry;                    // px
  std::shared_ptr<const std::string> bytes;  // null: no longer held
  // Where to encode it in place of where the pool would.
  std::optional<int> device = std::nullopt;
};

// Where an image of a session comes from; takes the digest and the bytes along.
inline ImageSource TakeSource(StoredImage& stored) {
  return {.sha256 = std::move(stored.sha256),
          .geometry = stored.geometry,
          .bytes = std::move(stored.bytes)};
}

class ImageEncoder {
 public:
  enum class Thread { kAny, kCpuPool };

  // Everything outlives the encoder; `tiers` is null where there are none.
  ImageEncoder(const ImageStages& stages, EmbeddingCache& cache, TierWorker* tiers, CpuPool& cpu,
               ModelPool& models, const Clock& clock, Metrics& metrics);

  // Digest and sizes of an image. Reads every byte: call it on the CPU pool.
  absl::StatusOr<ImageSource> Identify(std::shared_ptr<const std::string> bytes) const;

  // Gets the embedding of `source`; refuses to lead an encode that the deadline leaves no
  // time for, before the image is read. `done` runs exactly once; NOT_FOUND without
  // reason says that neither the embedding nor the bytes are held. The stages that
  // ran for this caller are written to `timings`, which `done` keeps alive, right
  // before `done` runs with an embedding.
  // `thread` says where this is called: on the CPU pool the image is read there.
  void Ensure(const ImageSource& source, const CallLimits& limits, Thread thread,
              StageTimings& timings, EmbeddingCache::Callback done);

 private:
  // An embedding being made.
  struct Making {
    std::unique_ptr<EmbeddingCache::Flight> flight;
    ModelPool::Place place;
    ModelWorker& worker;
    EmbeddingKey key;
    ImageGeometry geometry;
    // Complete when the flight is finished.
    std::shared_ptr<StageTimings> timings;
  };
  using SharedMaking = std::shared_ptr<Making>;

  // The embedding will be made on the device of `flight`.
  SharedMaking Begin(std::unique_ptr<EmbeddingCache::Flight> flight, const EmbeddingKey& key,
                     const ImageSource& source, std::shared_ptr<StageTimings> timings);
  void AskTiers(const SharedMaking& making);
  void Load(const SharedMaking& making, TierWorker::Found found);
  void RunLoad(const SharedMaking& making, const TierWorker::Found& found, Segmenter& segmenter);
  void SubmitPrepare(const SharedMaking& making);
  // Decodes, resizes and hands over to the model; on the CPU pool.
  void Prepare(const SharedMaking& making);
  absl::StatusOr<Rgb8Image> ReadImage(Making& making) const;

  const std::string preprocessing_;
  const ImageStages& stages_;
  EmbeddingCache& cache_;
  TierWorker* const tiers_;
  CpuPool& cpu_;
  ModelPool& models_;
  const Clock& clock_;
  Metrics& metrics_;
};

}  // namespace semsam

#endif  // SEMSAM_SERVER_PIPELINE_IMAGE_ENCODER_H_
