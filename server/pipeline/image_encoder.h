// From uploaded bytes to a cached embedding: identify, decode, resize, encode.
//
// However many callers need the same image at once, it is encoded once; an
// embedding that was evicted is made again the same way, as long as the bytes
// are at hand. Thread-safe.
#ifndef SEMSAM_SERVER_PIPELINE_IMAGE_ENCODER_H_
#define SEMSAM_SERVER_PIPELINE_IMAGE_ENCODER_H_

#include <memory>
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
#include "server/pipeline/model_worker.h"
#include "server/pipeline/segment_types.h"

namespace semsam {

struct ImageSource {
  std::string sha256;                        // hex, of the bytes
  ImageGeometry geometry;                    // px
  std::shared_ptr<const std::string> bytes;  // null: no longer held
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

  // Everything outlives the encoder.
  ImageEncoder(const ModelInfo& model, const ImageStages& stages, EmbeddingCache& cache,
               CpuPool& cpu, ModelWorker& worker, const Clock& clock, Metrics& metrics);

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
  using SharedFlight = std::shared_ptr<EmbeddingCache::Flight>;
  // Of a flight; complete when it is finished.
  using SharedTimings = std::shared_ptr<StageTimings>;

  // Decodes, resizes and hands over to the model; on the CPU pool.
  void Prepare(const SharedFlight& flight, const ImageSource& source, const TenantId& tenant,
               const SharedTimings& timings);
  absl::StatusOr<Rgb8Image> ReadImage(const ImageSource& source, StageTimings& timings) const;

  const ModelInfo& model_;
  const std::string preprocessing_;
  const ImageStages& stages_;
  EmbeddingCache& cache_;
  CpuPool& cpu_;
  ModelWorker& worker_;
  const Clock& clock_;
  Metrics& metrics_;
};

}  // namespace semsam

#endif  // SEMSAM_SERVER_PIPELINE_IMAGE_ENCODER_H_
