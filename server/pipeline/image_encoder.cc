#include "server/pipeline/image_encoder.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "model/base/status_macros.h"
#include "server/pipeline/sha256.h"

namespace semsam {
namespace {

// Every setting that changes what the network sees of the same bytes.
std::string PreprocessingKey(const ModelConfig& config) {
  return absl::StrCat("short_edge=", config.short_edge_px, ";divisor=", config.size_divisor,
                      ";mean=", absl::StrJoin(config.pixel_mean, ","),
                      ";std=", absl::StrJoin(config.pixel_std, ","));
}

}  // namespace

ImageEncoder::ImageEncoder(const ModelInfo& model, const ImageStages& stages, EmbeddingCache& cache,
                           CpuPool& cpu, ModelWorker& worker, const Clock& clock, Metrics& metrics)
    : model_(model),
      preprocessing_(PreprocessingKey(model.config)),
      stages_(stages),
      cache_(cache),
      cpu_(cpu),
      worker_(worker),
      clock_(clock),
      metrics_(metrics) {}

absl::StatusOr<ImageSource> ImageEncoder::Identify(std::shared_ptr<const std::string> bytes) const {
  SEMSAM_ASSIGN_OR_RETURN(ImageGeometry geometry, stages_.Probe(*bytes));
  std::string sha256 = Sha256Hex(*bytes);
  return ImageSource{.sha256 = std::move(sha256), .geometry = geometry, .bytes = std::move(bytes)};
}

void ImageEncoder::Ensure(const ImageSource& source, const CallLimits& limits, Thread thread,
                          StageTimings& timings, EmbeddingCache::Callback done) {
  const EmbeddingKey key{.model_digest = model_.digest,
                         .preprocessing = preprocessing_,
                         .network_size = source.geometry.network,
                         .image_sha256 = source.sha256};
  const auto on_miss =
      source.bytes == nullptr ? EmbeddingCache::OnMiss::kFail : EmbeddingCache::OnMiss::kLead;
  SharedFlight flight = cache_.Get(
      key, on_miss, [limits](absl::Time now) { return limits.Check(now); }, std::move(done));
  if (flight == nullptr) return;
  if (thread == Thread::kCpuPool) {
    Prepare(flight, source, timings);
    return;
  }
  cpu_.Submit(CpuPool::kImages,
              {.run = [this, flight, source, &timings] { Prepare(flight, source, timings); },
               .check = [flight](absl::Time now) { return flight->Check(now); },
               .drop = [flight](absl::Status why) { flight->Finish(std::move(why)); }});
}

void ImageEncoder::Prepare(const SharedFlight& flight, const ImageSource& source,
                           StageTimings& timings) {
  absl::StatusOr<Rgb8Image> image = ReadImage(source, timings);
  if (!image.ok()) {
    flight->Finish(std::move(image).status());
    return;
  }
  worker_.Encode({.image = *std::move(image),
                  .check = [flight](absl::Time now) { return flight->Check(now); },
                  .done =
                      [flight, &timings](absl::StatusOr<std::shared_ptr<const Embedding>> embedding,
                                         const ModelWorker::Times& times) {
                        timings.encode_queue = times.queue;
                        timings.encode = times.run;
                        flight->Finish(std::move(embedding));
                      }});
}

absl::StatusOr<Rgb8Image> ImageEncoder::ReadImage(const ImageSource& source,
                                                  StageTimings& timings) const {
  const absl::Time start = clock_.Now();
  SEMSAM_ASSIGN_OR_RETURN(const Rgb8Image original, stages_.Decode(*source.bytes));
  const absl::Time decoded = clock_.Now();
  timings.image_decode = decoded - start;
  metrics_.RecordStage(Stage::kImageDecode, decoded - start);
  if (original.size != source.geometry.original) {
    return absl::InternalError("the decoded image is not of the size its header gave");
  }
  Rgb8Image network = stages_.Resize(original, source.geometry.network);
  timings.preprocess = clock_.Now() - decoded;
  metrics_.RecordStage(Stage::kPreprocess, *timings.preprocess);
  return network;
}

}  // namespace semsam
