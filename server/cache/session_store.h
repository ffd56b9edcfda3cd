// Sessions: leases that own images.
//
// Guarantees
//   - A session id carries 160 random bits from the kernel; an unknown, deleted
//     or expired id, or that of another tenant, is NOT_FOUND and nothing tells the
//     four apart. Only a use by its own tenant renews a lease.
//   - Each use renews the lease by its ttl, never beyond max_age from creation.
//     An expired session is never served, whether it was swept yet or not.
//   - The uploaded bytes are retained (so that an evicted embedding can be made
//     again), one copy however many sessions list the image, up to
//     max_retained_bytes over all of them; beyond that the bytes of the least
//     recently used image go first. The image itself stays listed: its digest tells
//     the client what to upload again. See ImageStore.
//   - Beside the bounds of the whole store those of each tenant hold; see TenantTable.
//   - Query embeddings of masks are kept within their own bounds and end with the
//     session; see MaskQueries.
// Thread-safe. Nothing here waits.
#ifndef SEMSAM_SERVER_CACHE_SESSION_STORE_H_
#define SEMSAM_SERVER_CACHE_SESSION_STORE_H_

#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "model/base/clock.h"
#include "model/base/mutex.h"
#include "model/base/types.h"
#include "server/batching/tenant_id.h"
#include "server/batching/tenant_table.h"
#include "server/cache/image_store.h"
#include "server/cache/mask_queries.h"

namespace semsam {

struct SessionStoreOptions {
  absl::Duration default_ttl = absl::Minutes(10);
  absl::Duration max_ttl = absl::Hours(1);
  absl::Duration max_age = absl::Hours(8);
  int max_sessions = 1024;
  int max_images_per_session = 32;
  int64_t max_retained_bytes = int64_t{1} << 30;      // encoded images, all sessions together
  int max_unlisted_images = 4096;                     // known by digest, of no session
  int max_labelled_masks = 4096;                      // query embeddings a session
  int64_t max_mask_query_bytes = int64_t{256} << 20;  // of them, all sessions together
  // What a caller who finds the store full is told to wait.
  absl::Duration retry_after = absl::Seconds(5);

  absl::Status Validate() const;
};

// An image of a session, as found; a copy that stays valid.
struct StoredImage {
  std::string image_id;
  std::string sha256;      // hex, of the uploaded bytes
  ImageGeometry geometry;  // px
  // The uploaded bytes; null once they had to make room.
  std::shared_ptr<const std::string> bytes;
};

struct SessionInfo {
  std::string session_id;
  absl::Time create_time;
  absl::Time expire_time;  // unless it is used before
  absl::Duration ttl;
  std::vector<StoredImage> images;  // in order of upload; bytes are null
};

struct SessionPage {
  std::vector<SessionInfo> sessions;  // without their images
  std::string next_page_token;        // empty: these were the last
};

enum class SessionEnd { kDeleted, kIdle, kMaxAge };

// Told of every change, under the store's lock; must be quick and never call back.
class SessionStoreObserver {
 public:
  virtual ~SessionStoreObserver() = default;
  virtual void OnCreated() {}
  virtual void OnClosed(SessionEnd /*cause*/) {}
  virtual void OnActive(int64_t /*sessions*/) {}
  virtual void OnRetainedBytes(int64_t /*bytes*/) {}
  virtual void OnUnlistedImages(int64_t /*images*/) {}
  virtual void OnMaskQueryBytes(int64_t /*bytes*/) {}
};

class SessionStore {
 public:
  // `options` are valid; `clock` and `observer` (may be null) outlive the store.
  SessionStore(SessionStoreOptions options, const Clock& clock,
               SessionStoreObserver* observer = nullptr, TenantTable tenants = {});

  // `ttl` 0 takes the default. INVALID_ARGUMENT (`ttl`) if it is negative or above
  // max_ttl; RESOURCE_EXHAUSTED when max_sessions live, or so many of the tenant's as
  // its quota allows.
  absl::StatusOr<SessionInfo> Create(const TenantId& tenant, absl::Duration ttl);

  // A use that may change the ttl; 0 keeps the session's own. Errors as of Create.
  absl::StatusOr<SessionInfo> Renew(const TenantId& tenant, const std::string& session_id,
                                    absl::Duration ttl);

  // The tenant's sessions by their age, oldest first, `page_size` (positive) at most,
  // from where `page_token` says (empty: from the first). No use. INVALID_ARGUMENT
  // (`page_token`) for one that no page gave. A session that ends meanwhile moves no
  // other.
  absl::StatusOr<SessionPage> List(const TenantId& tenant, int page_size,
                                   const std::string& page_token);

  // Each counts as a use.
  absl::StatusOr<SessionInfo> Get(const TenantId& tenant, const std::string& session_id);
  absl::StatusOr<StoredImage> FindImage(const TenantId& tenant, const std::string& session_id,
                                        const std::string& image_id);

  absl::Status Delete(const TenantId& tenant, const std::string& session_id);

  // OK if the session lives and AddImage may take an image with this digest; counts as
  // a use. In a full session that is one that it lists. Where the digest is not known
  // yet (empty), an image whose bytes had to make room is reason enough: it may be
  // that one, and AddImage decides.
  absl::Status CheckRoom(const TenantId& tenant, const std::string& session_id,
                         std::string_view sha256);

  // What is known of the image with this digest, in whatever session of the tenant it
  // was; without an id. NOT_FOUND with the digest if nothing is. Checks the room in
  // `session_id` as CheckRoom does.
  absl::StatusOr<StoredImage> FindByDigest(const TenantId& tenant, const std::string& session_id,
                                           const std::string& sha256);

  // Adds `image` and gives it an id. An image with the same digest keeps its id, and
  // its bytes if it has them. RESOURCE_EXHAUSTED when the session is full.
  absl::StatusOr<StoredImage> AddImage(const TenantId& tenant, const std::string& session_id,
                                       StoredImage image);

  // Keeps the query embedding of a mask that the session got; the mask's id, or 0 if
  // it is not kept: the session is gone, or the bounds allow none. No use: work that
  // was asked for long ago does not keep a session alive.
  uint64_t RetainQuery(const TenantId& tenant, const std::string& session_id,
                       absl::Span<const float> query);

  // The embeddings of `mask_ids`, one after the other. NOT_FOUND names the first
  // that is not held, `mask_ids[i]`. Counts as a use.
  absl::StatusOr<std::vector<float>> FindQueries(const TenantId& tenant,
                                                 const std::string& session_id,
                                                 absl::Span<const uint64_t> mask_ids);

  // Ends what expired; returns how many sessions.
  int SweepExpired();

  int64_t retained_bytes() const;

 private:
  struct Image {
    std::string image_id;
    ImageStore::Listed listed;
  };
  struct Session {
    TenantId tenant;
    SessionInfo info;  // without images
    absl::Time last_possible_expiry;
    std::vector<Image> images;  // in order of upload
    MaskQueries::Shelf masks;
  };
  // Orders sessions by their age.
  using AgeKey = std::pair<absl::Time, std::string>;

  static StoredImage StoredOf(const Image& image);
  static SessionInfo InfoOf(const Session& session);
  absl::StatusOr<Session*> Use(const TenantId& tenant, const std::string& session_id)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status CheckRoomLocked(const Session& session, std::string_view sha256) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status FreePlace(const Session& session) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status CheckMayCreate(const TenantId& tenant) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status CheckTtl(absl::Duration ttl) const;
  void End(const std::string& session_id, SessionEnd cause) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  int SweepLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void ReportImages() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  int64_t ImageQuota(const TenantId& tenant) const {
    return tenants_.Of(tenant).max_retained_bytes;
  }

  const SessionStoreOptions options_;
  const Clock& clock_;
  SessionStoreObserver* const observer_;
  const TenantTable tenants_;

  mutable Mutex mutex_;
  std::unordered_map<std::string, std::unique_ptr<Session>> sessions_ ABSL_GUARDED_BY(mutex_);
  // By the name of the tenant; none is empty.
  std::unordered_map<std::string, std::set<AgeKey>> by_tenant_ ABSL_GUARDED_BY(mutex_);
  ImageStore images_ ABSL_GUARDED_BY(mutex_);
  MaskQueries queries_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace semsam

#endif  // SEMSAM_SERVER_CACHE_SESSION_STORE_H_
