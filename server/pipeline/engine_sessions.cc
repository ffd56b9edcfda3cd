// The calls of the engine that are about sessions, and the uploads into them.
#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "model/base/errors.h"
#include "model/base/status_macros.h"
#include "server/cache/sha256.h"
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

struct Engine::AttachCall {
  std::optional<CallGate::Ticket> ticket;
  std::string session_id;
  ImageSource image;
  CallLimits limits;
  UploadDone done;
  StageTimings timings;
};

absl::StatusOr<SessionInfo> Engine::CreateSession(const TenantId& tenant, absl::Duration ttl,
                                                  const std::string& request_id) {
  SEMSAM_RETURN_IF_ERROR(CheckTakesSessions());
  if (request_id.empty()) return sessions_.Create(tenant, ttl);
  absl::StatusOr<SessionInfo> session;
  SEMSAM_RETURN_IF_ERROR(requests_.Once(
      {.tenant = tenant,
       .method = RecentRequests::Method::kCreateSession,
       .id = request_id,
       .digest = absl::StrCat(absl::ToInt64Nanoseconds(ttl))},
      [&]() -> absl::StatusOr<std::string> {
        session = sessions_.Create(tenant, ttl);
        if (!session.ok()) return session.status();
        return session->session_id;
      },
      [&](const std::string& session_id) {
        session = sessions_.Get(tenant, session_id);
        return session.ok();  // one that has ended is made anew
      }));
  return session;
}

absl::StatusOr<SessionInfo> Engine::RenewSession(const TenantId& tenant,
                                                 const std::string& session_id,
                                                 absl::Duration ttl) {
  return sessions_.Renew(tenant, session_id, ttl);
}

absl::StatusOr<SessionPage> Engine::ListSessions(const TenantId& tenant, uint32_t page_size,
                                                 const std::string& page_token) {
  if (tenant.name.empty()) {
    return ErrorWithReason(absl::StatusCode::kFailedPrecondition, reason::kTenantRequired,
                           "sessions are listed for a tenant, and the call is of none");
  }
  const uint32_t size = page_size == 0 ? kDefaultPageSize : std::min(page_size, kMaxPageSize);
  return sessions_.List(tenant, static_cast<int>(size), page_token);
}

absl::StatusOr<SessionInfo> Engine::GetSession(const TenantId& tenant,
                                               const std::string& session_id) {
  return sessions_.Get(tenant, session_id);
}

absl::Status Engine::DeleteSession(const TenantId& tenant, const std::string& session_id,
                                   const std::string& request_id) {
  if (request_id.empty()) return sessions_.Delete(tenant, session_id);
  return requests_.Once(
      {.tenant = tenant,
       .method = RecentRequests::Method::kDeleteSession,
       .id = request_id,
       .digest = Sha256Hex(session_id)},
      [&]() -> absl::StatusOr<std::string> {
        SEMSAM_RETURN_IF_ERROR(sessions_.Delete(tenant, session_id));
        return std::string();
      },
      [](const std::string& /*outcome*/) { return true; });
}

absl::StatusOr<ImageUpload> Engine::BeginUpload(const TenantId& tenant, UploadHeader header) {
  SEMSAM_RETURN_IF_ERROR(CheckNotDraining());
  SEMSAM_ASSIGN_OR_RETURN(ImageUpload upload,
                          ImageUpload::Begin(tenant, std::move(header),
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
              {.tenant = call->limits.tenant,
               .run = [this, call] { ReadUpload(call); },
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
  call.done(
      AddToSession(call.upload.session_id(), call.limits.tenant, call.image, call.timings, *found));
}

absl::StatusOr<UploadedImage> Engine::AddToSession(const std::string& session_id,
                                                   const TenantId& tenant, ImageSource& image,
                                                   const StageTimings& timings,
                                                   EmbeddingCache::Found& found) {
  found.embedding.reset();  // no longer in use
  SEMSAM_ASSIGN_OR_RETURN(StoredImage stored,
                          sessions_.AddImage(tenant, session_id,
                                             {.sha256 = std::move(image.sha256),
                                              .geometry = image.geometry,
                                              .bytes = std::move(image.bytes)}));
  stored.bytes = nullptr;
  return UploadedImage{.image = std::move(stored), .cached = found.existed(), .timings = timings};
}

absl::StatusOr<std::shared_ptr<Engine::AttachCall>> Engine::AdmitAttach(
    const AttachRequest& request, CallLimits& limits, UploadDone& done) {
  SEMSAM_RETURN_IF_ERROR(CheckNotDraining());
  SEMSAM_ASSIGN_OR_RETURN(const std::string sha256, CleanSha256(request.sha256, "sha256"));
  SEMSAM_ASSIGN_OR_RETURN(StoredImage known,
                          sessions_.FindByDigest(limits.tenant, request.session_id, sha256));
  // It may wait for an encode: as many do as other calls may be under way.
  SEMSAM_ASSIGN_OR_RETURN(CallGate::Ticket ticket, gate_.Admit(limits.tenant, /*queries=*/0));
  return std::make_shared<AttachCall>(AttachCall{.ticket = std::move(ticket),
                                                 .session_id = request.session_id,
                                                 .image = TakeSource(known),
                                                 .limits = std::move(limits),
                                                 .done = std::move(done)});
}

void Engine::AttachImage(const AttachRequest& request, CallLimits limits, UploadDone done) {
  absl::StatusOr<std::shared_ptr<AttachCall>> admitted = AdmitAttach(request, limits, done);
  if (!admitted.ok()) return done(std::move(admitted).status());
  const std::shared_ptr<AttachCall>& call = *admitted;
  encoder_.Ensure(call->image, call->limits, ImageEncoder::Thread::kAny, call->timings,
                  [this, call = call](absl::StatusOr<EmbeddingCache::Found> found) {
                    CompleteAttach(*call, std::move(found));
                  });
}

void Engine::CompleteAttach(AttachCall& call, absl::StatusOr<EmbeddingCache::Found> found) {
  call.ticket.reset();
  if (found.ok()) {
    return call.done(
        AddToSession(call.session_id, call.limits.tenant, call.image, call.timings, *found));
  }
  // Neither the embedding nor the bytes are there.
  const bool lost = absl::IsNotFound(found.status());
  call.done(lost ? ImageNotFound(/*image_id=*/"", call.image.sha256) : std::move(found).status());
}

}  // namespace semsam
