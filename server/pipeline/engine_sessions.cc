// The calls of the engine that are about sessions, and the uploads into them.
#include <memory>
#include <string>
#include <utility>

#include "model/base/status_macros.h"
#include "server/pipeline/engine.h"
#include "server/pipeline/image_field.h"

namespace semsam {

struct Engine::UploadCall {
  ImageUpload upload;
  CallLimits limits;
  UploadDone done;
  ImageSource image;
  StageTimings timings;
};

absl::StatusOr<SessionInfo> Engine::CreateSession(const TenantId& tenant, absl::Duration ttl) {
  SEMSAM_RETURN_IF_ERROR(CheckNotDraining());
  return sessions_.Create(tenant, ttl);
}

absl::StatusOr<SessionInfo> Engine::GetSession(const TenantId& tenant,
                                               const std::string& session_id) {
  return sessions_.Get(tenant, session_id);
}

absl::Status Engine::DeleteSession(const TenantId& tenant, const std::string& session_id) {
  return sessions_.Delete(tenant, session_id);
}

absl::StatusOr<ImageUpload> Engine::BeginUpload(const TenantId& tenant, UploadHeader header) {
  SEMSAM_RETURN_IF_ERROR(CheckNotDraining());
  SEMSAM_ASSIGN_OR_RETURN(ImageUpload upload,
                          ImageUpload::Begin(std::move(header),
                                             {.max_image_bytes = options_.image.max_bytes,
                                              .max_chunk_bytes = options_.max_chunk_bytes,
                                              .retry_after = options_.retry_after},
                                             upload_budget_));
  SEMSAM_RETURN_IF_ERROR(
      sessions_.CheckRoom(tenant, upload.session_id(), upload.announced_sha256()));
  return upload;
}

void Engine::FinishUpload(ImageUpload upload, CallLimits limits, UploadDone done) {
  if (absl::Status status = upload.CheckComplete(); !status.ok()) return done(std::move(status));
  auto call = std::make_shared<UploadCall>(UploadCall{
      .upload = std::move(upload), .limits = std::move(limits), .done = std::move(done)});
  cpu_.Submit(CpuPool::kImages,
              {.run = [this, call] { ReadUpload(call); },
               .check = [call](absl::Time now) { return call->limits.Check(now); },
               .drop = [call](absl::Status why) { call->done(std::move(why)); }});
}

void Engine::ReadUpload(const std::shared_ptr<UploadCall>& call) {
  absl::StatusOr<ImageSource> image =
      encoder_.Identify(std::make_shared<const std::string>(call->upload.TakeBytes()));
  if (!image.ok()) return call->done(NameImageField(std::move(image).status(), "chunk"));
  if (absl::Status status = call->upload.CheckDigest(image->sha256); !status.ok()) {
    return call->done(std::move(status));
  }
  call->image = *image;
  encoder_.Ensure(*image, call->limits, ImageEncoder::Thread::kCpuPool, call->timings,
                  [this, call](absl::StatusOr<EmbeddingCache::Found> found) {
                    CompleteUpload(*call, std::move(found));
                  });
}

void Engine::CompleteUpload(UploadCall& call, absl::StatusOr<EmbeddingCache::Found> found) {
  if (!found.ok()) return call.done(NameImageField(std::move(found).status(), "chunk"));
  found->embedding.reset();  // no longer in use
  absl::StatusOr<StoredImage> stored =
      sessions_.AddImage(call.limits.tenant, call.upload.session_id(),
                         {.sha256 = call.image.sha256,
                          .geometry = call.image.geometry,
                          .bytes = std::move(call.image.bytes)});
  if (!stored.ok()) return call.done(std::move(stored).status());
  stored->bytes = nullptr;
  call.done(UploadedImage{.image = *std::move(stored),
                          .cached = found->lookup == CacheLookup::kHit,
                          .timings = call.timings});
}

}  // namespace semsam
