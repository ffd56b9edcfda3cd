#include "server/pipeline/image_encoder.h"

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "model/base/errors.h"
#include "model/base/status_macros.h"
#include "server/cache/sha256.h"

namespace semsam {
namespace {

// Every setting that changes what the network sees of the same bytes.
std::string PreprocessingKey(const ModelConfig& config) {
  return absl::StrCat("short_edge=", config.short_edge_px, ";divisor=", config.size_divisor,
                      ";mean=", absl::StrJoin(config.pixel_mean, ","),
                      ";std=", absl::StrJoin(config.pixel_std, ","));
}

void CopyStages(const StageTimings& from, StageTimings& to) {
  to.image_decode = from.image_decode;
  to.preprocess = from.preprocess;
  to.encode_queue = from.encode_queue;
  to.encode = from.encode;
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
  const EmbeddingKey key{.tenant = limits.tenant,
                         .model_digest = model_.digest,
                         .preprocessing = preprocessing_,
                         .network_size = source.geometry.network,
                         .image_sha256 = source.sha256};
  const auto on_miss =
      source.bytes == nullptr ? EmbeddingCache::OnMiss::kFail : EmbeddingCache::OnMiss::kLead;
  // A caller who leaves is answered, and gone with his timings, while the encode
  // that he leads goes on.
  auto stages = std::make_shared<StageTimings>();
  SharedFlight flight = cache_.Get(
      key, on_miss, [limits](absl::Time now) { return limits.Check(now); },
      [this, stages, &timings,
       done = std::move(done)](absl::StatusOr<EmbeddingCache::Found> found) mutable {
        if (found.ok() && found->lookup == CacheLookup::kMiss) CopyStages(*stages, timings);
        if (ErrorReason(found.status()) == reason::kQueueFull) {
          found = Overloaded(reason::kQueueFull, std::string(found.status().message()),
                             worker_.RetryAfter(ModelWorker::kEncode));
        }
        done(std::move(found));
      });
  if (flight == nullptr) return;
  // The picture is not even read where its encode would be too late.
  if (absl::Status late = worker_.CheckEncodeDeadline(limits.tenant, limits.deadline); !late.ok()) {
    return flight->Finish(std::move(late));
  }
  if (thread == Thread::kCpuPool) {
    Prepare(flight, source, limits.tenant, stages);
    return;
  }
  cpu_.Submit(CpuPool::kImages,
              {.tenant = limits.tenant,
               .run = [this, flight, source, tenant = limits.tenant,
                       stages] { Prepare(flight, source, tenant, stages); },
               .check = [flight](absl::Time now) { return flight->Check(now); },
               .drop = [flight](absl::Status why) { flight->Finish(std::move(why)); }});
}

void ImageEncoder::Prepare(const SharedFlight& flight, const ImageSource& source,
                           const TenantId& tenant, const SharedTimings& timings) {
  absl::StatusOr<Rgb8Image> image = ReadImage(source, *timings);
  if (!image.ok()) {
    flight->Finish(std::move(image).status());
    return;
  }
  worker_.Encode({.image = *std::move(image),
                  .tenant = tenant,
                  .check = [flight](absl::Time now) { return flight->Check(now); },
                  .done =
                      [flight, timings](absl::StatusOr<std::shared_ptr<const Embedding>> embedding,
                                        const ModelWorker::Times& times) {
                        timings->encode_queue = times.queue;
                        timings->encode = times.run;
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
