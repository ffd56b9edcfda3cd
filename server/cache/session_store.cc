#include "server/cache/session_store.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "model/base/errors.h"
#include "model/base/status_macros.h"
#include "server/cache/random_id.h"

namespace semsam {
namespace {

constexpr int kSessionIdBits = 160;
// An image id means something only inside its session.
constexpr int kImageIdBits = 64;

absl::Status SessionNotFound() {
  return ErrorWithReason(absl::StatusCode::kNotFound, reason::kSessionNotFound,
                         "the session is unknown or has expired");
}

int64_t SizeOf(const std::shared_ptr<const std::string>& bytes) {
  return bytes == nullptr ? 0 : static_cast<int64_t>(bytes->size());
}

}  // namespace

absl::Status SessionStoreOptions::Validate() const {
  if (default_ttl <= absl::ZeroDuration()) return InvalidField("default_ttl", "must be positive");
  if (max_ttl < default_ttl) return InvalidField("max_ttl", "must not be below default_ttl");
  if (max_age < max_ttl) return InvalidField("max_age", "must not be below max_ttl");
  if (max_sessions <= 0) return InvalidField("max_sessions", "must be positive");
  if (max_images_per_session <= 0) {
    return InvalidField("max_images_per_session", "must be positive");
  }
  if (max_retained_bytes < 0) return InvalidField("max_retained_bytes", "must not be negative");
  if (max_labelled_masks < 0) return InvalidField("max_labelled_masks", "must not be negative");
  if (max_mask_query_bytes < 0) {
    return InvalidField("max_mask_query_bytes", "must not be negative");
  }
  return absl::OkStatus();
}

SessionStore::SessionStore(SessionStoreOptions options, const Clock& clock,
                           SessionStoreObserver* observer)
    : options_(options),
      clock_(clock),
      observer_(observer),
      queries_(options.max_labelled_masks, options.max_mask_query_bytes) {}

absl::StatusOr<SessionInfo> SessionStore::Create(const TenantId& tenant, absl::Duration ttl) {
  if (ttl < absl::ZeroDuration()) return InvalidField("ttl", "must not be negative");
  if (ttl > options_.max_ttl) {
    return InvalidField("ttl", absl::StrCat("must not be above ",
                                            absl::ToInt64Seconds(options_.max_ttl), " seconds"));
  }
  SEMSAM_ASSIGN_OR_RETURN(std::string id, RandomHexId(kSessionIdBits));

  MutexLock lock(mutex_);
  const auto full = [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return static_cast<int>(sessions_.size()) >= options_.max_sessions;
  };
  if (full()) SweepLocked();
  if (full()) {
    return Overloaded(reason::kLimitExceeded, "the server holds as many sessions as it may",
                      options_.retry_after);
  }
  const absl::Time now = clock_.Now();
  auto session = std::make_unique<Session>();
  session->tenant = tenant;
  session->last_possible_expiry = now + options_.max_age;
  session->info.session_id = id;
  session->info.create_time = now;
  session->info.ttl = ttl == absl::ZeroDuration() ? options_.default_ttl : ttl;
  session->info.expire_time = now + session->info.ttl;
  SessionInfo info = session->info;
  sessions_.emplace(std::move(id), std::move(session));
  if (observer_ != nullptr) {
    observer_->OnCreated();
    observer_->OnActive(static_cast<int64_t>(sessions_.size()));
  }
  return info;
}

absl::StatusOr<SessionInfo> SessionStore::Get(const TenantId& tenant,
                                              const std::string& session_id) {
  MutexLock lock(mutex_);
  SEMSAM_ASSIGN_OR_RETURN(Session * session, Use(tenant, session_id));
  SessionInfo info = session->info;
  for (const Image& image : session->images) {
    info.images.push_back(image.stored);
    info.images.back().bytes = nullptr;
  }
  return info;
}

absl::StatusOr<StoredImage> SessionStore::FindImage(const TenantId& tenant,
                                                    const std::string& session_id,
                                                    const std::string& image_id) {
  MutexLock lock(mutex_);
  SEMSAM_ASSIGN_OR_RETURN(Session * session, Use(tenant, session_id));
  for (Image& image : session->images) {
    if (image.stored.image_id != image_id) continue;
    if (image.stored.bytes != nullptr) retained_.splice(retained_.end(), retained_, image.retained);
    return image.stored;
  }
  return ImageNotFound(image_id, /*sha256_hex=*/"");
}

absl::Status SessionStore::Delete(const TenantId& tenant, const std::string& session_id) {
  MutexLock lock(mutex_);
  SEMSAM_RETURN_IF_ERROR(Use(tenant, session_id).status());
  End(session_id, SessionEnd::kDeleted);
  return absl::OkStatus();
}

absl::Status SessionStore::CheckRoom(const TenantId& tenant, const std::string& session_id,
                                     std::string_view sha256) {
  MutexLock lock(mutex_);
  SEMSAM_ASSIGN_OR_RETURN(Session * session, Use(tenant, session_id));
  const bool replaces =
      std::any_of(session->images.begin(), session->images.end(), [&](const Image& held) {
        return sha256.empty() ? held.stored.bytes == nullptr : held.stored.sha256 == sha256;
      });
  return replaces ? absl::OkStatus() : RoomLocked(*session);
}

absl::StatusOr<StoredImage> SessionStore::AddImage(const TenantId& tenant,
                                                   const std::string& session_id,
                                                   StoredImage image) {
  SEMSAM_ASSIGN_OR_RETURN(std::string id, RandomHexId(kImageIdBits));
  std::shared_ptr<const std::string> bytes = std::exchange(image.bytes, nullptr);

  MutexLock lock(mutex_);
  SEMSAM_ASSIGN_OR_RETURN(Session * session, Use(tenant, session_id));
  const auto same =
      std::find_if(session->images.begin(), session->images.end(),
                   [&](const Image& held) { return held.stored.sha256 == image.sha256; });
  if (same != session->images.end()) {
    Release(*same);
    Retain(*same, std::move(bytes));
    return same->stored;
  }
  SEMSAM_RETURN_IF_ERROR(RoomLocked(*session));
  image.image_id = std::move(id);
  session->images.push_back({.stored = std::move(image), .retained = {}});
  Retain(session->images.back(), std::move(bytes));
  return session->images.back().stored;
}

uint64_t SessionStore::RetainQuery(const TenantId& tenant, const std::string& session_id,
                                   absl::Span<const float> query) {
  MutexLock lock(mutex_);
  const auto found = sessions_.find(session_id);
  if (found == sessions_.end() || found->second->tenant != tenant ||
      clock_.Now() >= found->second->info.expire_time) {
    return 0;
  }
  const uint64_t id = queries_.Add(found->second->masks, query);
  if (observer_ != nullptr) observer_->OnMaskQueryBytes(queries_.bytes());
  return id;
}

absl::StatusOr<std::vector<float>> SessionStore::FindQueries(const TenantId& tenant,
                                                             const std::string& session_id,
                                                             absl::Span<const uint64_t> mask_ids) {
  MutexLock lock(mutex_);
  SEMSAM_ASSIGN_OR_RETURN(Session * session, Use(tenant, session_id));
  std::vector<float> rows;
  for (size_t i = 0; i < mask_ids.size(); ++i) {
    const absl::Span<const float> query = queries_.Find(session->masks, mask_ids[i]);
    if (query.empty()) {
      return FieldError(absl::StatusCode::kNotFound, absl::StrCat("mask_ids[", i, "]"),
                        absl::StrCat("mask ", mask_ids[i], " is not held by this session"),
                        reason::kMaskNotFound);
    }
    rows.insert(rows.end(), query.begin(), query.end());
  }
  return rows;
}

int SessionStore::SweepExpired() {
  MutexLock lock(mutex_);
  return SweepLocked();
}

int64_t SessionStore::retained_bytes() const {
  MutexLock lock(mutex_);
  return retained_bytes_;
}

absl::StatusOr<SessionStore::Session*> SessionStore::Use(const TenantId& tenant,
                                                         const std::string& session_id) {
  const auto found = sessions_.find(session_id);
  if (found == sessions_.end() || found->second->tenant != tenant) return SessionNotFound();
  Session& session = *found->second;
  const absl::Time now = clock_.Now();
  if (now >= session.info.expire_time) {
    End(session_id, session.info.expire_time >= session.last_possible_expiry ? SessionEnd::kMaxAge
                                                                             : SessionEnd::kIdle);
    return SessionNotFound();
  }
  session.info.expire_time = std::min(now + session.info.ttl, session.last_possible_expiry);
  return &session;
}

absl::Status SessionStore::RoomLocked(const Session& session) const {
  if (static_cast<int>(session.images.size()) < options_.max_images_per_session) {
    return absl::OkStatus();
  }
  // No retry hint: waiting makes no room.
  return ErrorWithReason(absl::StatusCode::kResourceExhausted, reason::kLimitExceeded,
                         absl::StrCat("the session holds ", options_.max_images_per_session,
                                      " images, the most it may"));
}

void SessionStore::End(const std::string& session_id, SessionEnd cause) {
  const auto found = sessions_.find(session_id);
  // The id may live inside the session: it goes last.
  const std::unique_ptr<Session> session = std::move(found->second);
  sessions_.erase(found);
  for (Image& image : session->images) Release(image);
  queries_.Clear(session->masks);
  if (observer_ != nullptr) {
    observer_->OnClosed(cause);
    observer_->OnActive(static_cast<int64_t>(sessions_.size()));
    observer_->OnMaskQueryBytes(queries_.bytes());
  }
}

int SessionStore::SweepLocked() {
  const absl::Time now = clock_.Now();
  std::vector<std::pair<std::string, SessionEnd>> expired;
  for (const auto& [id, session] : sessions_) {
    if (now < session->info.expire_time) continue;
    expired.emplace_back(id, session->info.expire_time >= session->last_possible_expiry
                                 ? SessionEnd::kMaxAge
                                 : SessionEnd::kIdle);
  }
  for (const auto& [id, cause] : expired) End(id, cause);
  return static_cast<int>(expired.size());
}

void SessionStore::Retain(Image& image, std::shared_ptr<const std::string> bytes) {
  if (bytes == nullptr || SizeOf(bytes) > options_.max_retained_bytes) return;
  while (retained_bytes_ + SizeOf(bytes) > options_.max_retained_bytes) Release(*retained_.front());
  retained_bytes_ += SizeOf(bytes);
  image.stored.bytes = std::move(bytes);
  image.retained = retained_.insert(retained_.end(), &image);
  if (observer_ != nullptr) observer_->OnRetainedBytes(retained_bytes_);
}

void SessionStore::Release(Image& image) {
  if (image.stored.bytes == nullptr) return;
  retained_bytes_ -= SizeOf(image.stored.bytes);
  image.stored.bytes = nullptr;
  retained_.erase(image.retained);
  if (observer_ != nullptr) observer_->OnRetainedBytes(retained_bytes_);
}

}  // namespace semsam
