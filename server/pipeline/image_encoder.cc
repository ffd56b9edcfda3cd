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

ImageEncoder::ImageEncoder(const ImageStages& stages, EmbeddingCache& cache, TierWorker* tiers,
                           CpuPool& cpu, ModelPool& models, const Clock& clock, Metrics& metrics)
    : preprocessing_(PreprocessingKey(models.info().config)),
      stages_(stages),
      cache_(cache),
      tiers_(tiers),
      cpu_(cpu),
      models_(models),
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
                         .model_digest = models_.info().digest,
                         .preprocessing = preprocessing_,
                         .network_size = source.geometry.network,
                         .image_sha256 = source.sha256};
  const bool ask_tiers = tiers_ != nullptr && !IsServersOwn(limits.tenant);
  // A caller who leaves is answered, and gone with his timings, while the encode
  // that he leads goes on.
  auto stages = std::make_shared<StageTimings>();
  std::unique_ptr<EmbeddingCache::Flight> flight = cache_.Get(
      key,
      {.lead = source.bytes != nullptr || ask_tiers,
       .embedding_bytes = models_.any().EmbeddingBytes(source.geometry.network),
       .device = source.device.value_or(models_.DeviceFor(source.sha256)),
       .image = source.bytes},
      [limits](absl::Time now) { return limits.Check(now); },
      [this, stages, &timings,
       done = std::move(done)](absl::StatusOr<EmbeddingCache::Found> found) mutable {
        if (found.ok() && found->lookup == CacheLookup::kMiss) CopyStages(*stages, timings);
        if (ErrorReason(found.status()) == reason::kQueueFull) {
          found = Overloaded(reason::kQueueFull, std::string(found.status().message()),
                             models_.RetryAfter(ModelWorker::kEncode));
        }
        done(std::move(found));
      });
  if (flight == nullptr) return;
  const SharedMaking making = Begin(std::move(flight), key, source, std::move(stages));
  // Whoever joins until the tiers have answered may have more time than this caller: an
  // encode after them is not judged.
  if (ask_tiers) return AskTiers(making);
  // The picture is not even read where its encode would be too late.
  if (absl::Status late = making->worker.CheckEncodeDeadline(limits.tenant, limits.deadline);
      !late.ok()) {
    making->flight->Finish(std::move(late));
  } else if (thread == Thread::kCpuPool) {
    Prepare(making);
  } else {
    SubmitPrepare(making);
  }
}

ImageEncoder::SharedMaking ImageEncoder::Begin(std::unique_ptr<EmbeddingCache::Flight> flight,
                                               const EmbeddingKey& key, const ImageSource& source,
                                               std::shared_ptr<StageTimings> timings) {
  const int device = flight->device();
  if (!source.device.has_value()) {
    metrics_.RecordPlacement(device == models_.HomeOf(source.sha256) ? Placement::kHome
                                                                     : Placement::kSpilled);
  }
  return std::make_shared<Making>(Making{.flight = std::move(flight),
                                         .place = models_.TakePlace(device),
                                         .worker = models_.At(device),
                                         .key = key,
                                         .geometry = source.geometry,
                                         .timings = std::move(timings)});
}

void ImageEncoder::AskTiers(const SharedMaking& making) {
  tiers_->Find({.key = making->key,
                .check = [making](absl::Time now) { return making->flight->Check(now); },
                .done =
                    [this, making](absl::StatusOr<TierWorker::Found> found) {
                      if (found.ok()) {
                        Load(making, *std::move(found));
                      } else if (absl::IsNotFound(found.status())) {
                        SubmitPrepare(making);
                      } else {
                        making->flight->Finish(std::move(found).status());
                      }
                    }});
}

void ImageEncoder::Load(const SharedMaking& making, TierWorker::Found found) {
  making->worker.RunChunk(
      ModelWorker::kLoad,
      {.tenant = making->key.tenant,
       .check = [making](absl::Time now) { return making->flight->Check(now); },
       .run = [this, making, found = std::move(found)](
                  Segmenter& segmenter,
                  absl::Duration /*queued*/) { RunLoad(making, found, segmenter); },
       .drop = [making](absl::Status why) { making->flight->Finish(std::move(why)); }});
}

void ImageEncoder::RunLoad(const SharedMaking& making, const TierWorker::Found& found,
                           Segmenter& segmenter) {
  const absl::Time start = clock_.Now();
  absl::StatusOr<std::shared_ptr<const Embedding>> embedding = segmenter.Load(*found.stored);
  metrics_.RecordStage(Stage::kTierLoad, clock_.Now() - start);
  // Where there is no room for it now, there is none for an encode.
  if (embedding.ok() || absl::IsResourceExhausted(embedding.status())) {
    making->flight->Finish(std::move(embedding), EmbeddingCache::Origin::kLoaded);
    return;
  }
  if (absl::IsInvalidArgument(embedding.status())) {
    tiers_->Discard(found, making->key, embedding.status());
  }
  SubmitPrepare(making);
}

void ImageEncoder::SubmitPrepare(const SharedMaking& making) {
  cpu_.Submit(CpuPool::kImages,
              {.tenant = making->key.tenant,
               .run = [this, making] { Prepare(making); },
               .check = [making](absl::Time now) { return making->flight->Check(now); },
               .drop = [making](absl::Status why) { making->flight->Finish(std::move(why)); }});
}

void ImageEncoder::Prepare(const SharedMaking& making) {
  absl::StatusOr<Rgb8Image> image = ReadImage(*making);
  if (!image.ok()) {
    making->flight->Finish(std::move(image).status());
    return;
  }
  making->worker.Encode({.image = *std::move(image),
                         .tenant = making->key.tenant,
                         .check = [making](absl::Time now) { return making->flight->Check(now); },
                         .done =
                             [making](absl::StatusOr<std::shared_ptr<const Embedding>> embedding,
                                      const ModelWorker::Times& times) {
                               making->timings->encode_queue = times.queue;
                               making->timings->encode = times.run;
                               making->place.reset();
                               making->flight->Finish(std::move(embedding));
                             }});
}

absl::StatusOr<Rgb8Image> ImageEncoder::ReadImage(Making& making) const {
  SEMSAM_ASSIGN_OR_RETURN(const std::shared_ptr<const std::string> bytes,
                          making.flight->TakeImage());
  const absl::Time start = clock_.Now();
  SEMSAM_ASSIGN_OR_RETURN(const Rgb8Image original, stages_.Decode(*bytes));
  const absl::Time decoded = clock_.Now();
  making.timings->image_decode = decoded - start;
  metrics_.RecordStage(Stage::kImageDecode, decoded - start);
  if (original.size != making.geometry.original) {
    return absl::InternalError("the decoded image is not of the size its header gave");
  }
  Rgb8Image network = stages_.Resize(original, making.geometry.network);
  making.timings->preprocess = clock_.Now() - decoded;
  metrics_.RecordStage(Stage::kPreprocess, *making.timings->preprocess);
  return network;
}

}  // namespace semsam
