#include "server/cache/session_store.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
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

// A page token is opaque to a client; it can be no more than a place in its own list.
std::string PageToken(const std::pair<absl::Time, std::string>& last) {
  std::string token;
  absl::WebSafeBase64Escape(absl::StrCat(absl::ToUnixNanos(last.first), ":", last.second), &token);
  return token;
}

std::optional<std::pair<absl::Time, std::string>> ReadPageToken(const std::string& token) {
  std::string text;
  if (!absl::WebSafeBase64Unescape(token, &text)) return std::nullopt;
  const std::pair<std::string, std::string> parts = absl::StrSplit(text, absl::MaxSplits(':', 1));
  int64_t nanoseconds = 0;
  if (!absl::SimpleAtoi(parts.first, &nanoseconds) || parts.second.empty()) return std::nullopt;
  return std::pair(absl::FromUnixNanos(nanoseconds), parts.second);
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
  if (max_unlisted_images < 0) {
    return InvalidField("max_unlisted_images", "must not be negative");
  }
  if (max_labelled_masks < 0) return InvalidField("max_labelled_masks", "must not be negative");
  if (max_mask_query_bytes < 0) {
    return InvalidField("max_mask_query_bytes", "must not be negative");
  }
  return absl::OkStatus();
}

SessionStore::SessionStore(SessionStoreOptions options, const Clock& clock,
                           SessionStoreObserver* observer, TenantTable tenants)
    : options_(options),
      clock_(clock),
      observer_(observer),
      tenants_(std::move(tenants)),
      images_(options.max_retained_bytes, options.max_unlisted_images),
      queries_(options.max_labelled_masks, options.max_mask_query_bytes) {}

absl::Status SessionStore::CheckTtl(absl::Duration ttl) const {
  if (ttl < absl::ZeroDuration()) return InvalidField("ttl", "must not be negative");
  if (ttl <= options_.max_ttl) return absl::OkStatus();
  return InvalidField("ttl", absl::StrCat("must not be above ",
                                          absl::ToInt64Seconds(options_.max_ttl), " seconds"));
}

absl::Status SessionStore::CheckMayCreate(const TenantId& tenant) const {
  if (static_cast<int>(sessions_.size()) >= options_.max_sessions) {
    return Overloaded(reason::kLimitExceeded, "the server holds as many sessions as it may",
                      options_.retry_after);
  }
  const auto own = by_tenant_.find(tenant.name);
  const int64_t held = own == by_tenant_.end() ? 0 : static_cast<int64_t>(own->second.size());
  if (held < tenants_.Of(tenant).max_sessions) return absl::OkStatus();
  return Overloaded(reason::kQuotaExceeded, "the tenant holds as many sessions as it may",
                    options_.retry_after);
}

absl::StatusOr<SessionInfo> SessionStore::Create(const TenantId& tenant, absl::Duration ttl) {
  SEMSAM_RETURN_IF_ERROR(CheckTtl(ttl));
  SEMSAM_ASSIGN_OR_RETURN(std::string id, RandomHexId(kSessionIdBits));

  MutexLock lock(mutex_);
  if (!CheckMayCreate(tenant).ok()) {
    SweepLocked();
    SEMSAM_RETURN_IF_ERROR(CheckMayCreate(tenant));
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
  by_tenant_[tenant.name].emplace(now, id);
  sessions_.emplace(std::move(id), std::move(session));
  if (observer_ != nullptr) {
    observer_->OnCreated();
    observer_->OnActive(static_cast<int64_t>(sessions_.size()));
  }
  return info;
}

absl::StatusOr<SessionInfo> SessionStore::Renew(const TenantId& tenant,
                                                const std::string& session_id, absl::Duration ttl) {
  SEMSAM_RETURN_IF_ERROR(CheckTtl(ttl));
  MutexLock lock(mutex_);
  SEMSAM_ASSIGN_OR_RETURN(Session * session, Use(tenant, session_id));
  if (ttl != absl::ZeroDuration()) {
    session->info.ttl = ttl;
    session->info.expire_time = std::min(clock_.Now() + ttl, session->last_possible_expiry);
  }
  return InfoOf(*session);
}

absl::StatusOr<SessionPage> SessionStore::List(const TenantId& tenant, int page_size,
                                               const std::string& page_token) {
  std::optional<AgeKey> after;
  if (!page_token.empty()) {
    after = ReadPageToken(page_token);
    if (!after.has_value()) return InvalidField("page_token", "is none that a page gave");
  }
  SessionPage page;
  MutexLock lock(mutex_);
  const auto own = by_tenant_.find(tenant.name);
  if (own == by_tenant_.end()) return page;
  const absl::Time now = clock_.Now();
  const AgeKey* last = nullptr;
  for (auto key = after.has_value() ? own->second.upper_bound(*after) : own->second.begin();
       key != own->second.end(); ++key) {
    const SessionInfo& info = sessions_.find(key->second)->second->info;
    if (now >= info.expire_time) continue;  // not swept yet
    if (static_cast<int>(page.sessions.size()) == page_size) {
      page.next_page_token = PageToken(*last);
      break;
    }
    page.sessions.push_back(info);
    last = &*key;
  }
  return page;
}

absl::StatusOr<SessionInfo> SessionStore::Get(const TenantId& tenant,
                                              const std::string& session_id) {
  MutexLock lock(mutex_);
  SEMSAM_ASSIGN_OR_RETURN(Session * session, Use(tenant, session_id));
  return InfoOf(*session);
}

SessionInfo SessionStore::InfoOf(const Session& session) {
  SessionInfo info = session.info;
  for (const Image& image : session.images) {
    info.images.push_back(StoredOf(image));
    info.images.back().bytes = nullptr;
  }
  return info;
}

StoredImage SessionStore::StoredOf(const Image& image) {
  return {.image_id = image.image_id,
          .sha256 = image.listed.sha256(),
          .geometry = image.listed.geometry(),
          .bytes = image.listed.bytes()};
}

absl::StatusOr<StoredImage> SessionStore::FindImage(const TenantId& tenant,
                                                    const std::string& session_id,
                                                    const std::string& image_id) {
  MutexLock lock(mutex_);
  SEMSAM_ASSIGN_OR_RETURN(Session * session, Use(tenant, session_id));
  for (const Image& image : session->images) {
    if (image.image_id != image_id) continue;
    images_.Touch(image.listed);
    return StoredOf(image);
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
  return CheckRoomLocked(*session, sha256);
}

absl::Status SessionStore::CheckRoomLocked(const Session& session, std::string_view sha256) const {
  const bool replaces =
      std::any_of(session.images.begin(), session.images.end(), [&](const Image& held) {
        return sha256.empty() ? held.listed.bytes() == nullptr : held.listed.sha256() == sha256;
      });
  return replaces ? absl::OkStatus() : FreePlace(session);
}

absl::StatusOr<StoredImage> SessionStore::FindByDigest(const TenantId& tenant,
                                                       const std::string& session_id,
                                                       const std::string& sha256) {
  MutexLock lock(mutex_);
  SEMSAM_ASSIGN_OR_RETURN(Session * session, Use(tenant, session_id));
  SEMSAM_RETURN_IF_ERROR(CheckRoomLocked(*session, sha256));
  std::optional<ImageStore::Image> known = images_.Find(tenant, sha256);
  if (!known.has_value()) return ImageNotFound(/*image_id=*/"", sha256);
  return StoredImage{.sha256 = std::move(known->sha256),
                     .geometry = known->geometry,
                     .bytes = std::move(known->bytes)};
}

absl::StatusOr<StoredImage> SessionStore::AddImage(const TenantId& tenant,
                                                   const std::string& session_id,
                                                   StoredImage image) {
  SEMSAM_ASSIGN_OR_RETURN(std::string id, RandomHexId(kImageIdBits));

  MutexLock lock(mutex_);
  SEMSAM_ASSIGN_OR_RETURN(Session * session, Use(tenant, session_id));
  auto same = std::find_if(session->images.begin(), session->images.end(),
                           [&](const Image& held) { return held.listed.sha256() == image.sha256; });
  if (same != session->images.end()) {
    images_.Retain(same->listed, std::move(image.bytes), ImageQuota(tenant));
  } else {
    SEMSAM_RETURN_IF_ERROR(FreePlace(*session));
    const ImageStore::Listed listed = images_.List(tenant,
                                                   {.sha256 = std::move(image.sha256),
                                                    .geometry = image.geometry,
                                                    .bytes = std::move(image.bytes)},
                                                   ImageQuota(tenant));
    same = session->images.insert(session->images.end(),
                                  Image{.image_id = std::move(id), .listed = listed});
  }
  ReportImages();
  return StoredOf(*same);
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
  return images_.bytes();
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

absl::Status SessionStore::FreePlace(const Session& session) const {
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
  for (const Image& image : session->images) images_.Unlist(image.listed);
  queries_.Clear(session->masks);
  const auto own = by_tenant_.find(session->tenant.name);
  own->second.erase({session->info.create_time, session->info.session_id});
  if (own->second.empty()) by_tenant_.erase(own);
  ReportImages();
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

void SessionStore::ReportImages() {
  if (observer_ == nullptr) return;
  observer_->OnRetainedBytes(images_.bytes());
  observer_->OnUnlistedImages(images_.unlisted());
}

}  // namespace semsam
