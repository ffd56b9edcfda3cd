// Uploaded images by tenant and digest: one copy of the bytes, however many sessions
// list the image.
//
// Guarantees
//   - An image that a session lists is known: its geometry stays, and its bytes stay
//     while there is room. Bytes that nobody lists any more are let go of at once.
//   - Bytes are held within the budget of all tenants and within that of each; where
//     room is needed, those of the least recently used image go first.
//   - An image that no session lists any more stays known for a while, without its
//     bytes, so that its embedding can be found by the digest of the image alone. Of
//     these the newest are kept, so many as there may be.
//   - A tenant finds its own images only.
// Not thread-safe: its owner locks.
#ifndef SEMSAM_SERVER_CACHE_IMAGE_STORE_H_
#define SEMSAM_SERVER_CACHE_IMAGE_STORE_H_

#include <cstddef>
#include <cstdint>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>

#include "model/base/types.h"
#include "server/batching/tenant_id.h"

namespace semsam {

class ImageStore {
 private:
  struct Record;

 public:
  // An image as a session lists it; valid from List to Unlist.
  class Listed {
   public:
    Listed() = default;
    const std::string& sha256() const;
    const ImageGeometry& geometry() const;
    // Null once they had to make room.
    const std::shared_ptr<const std::string>& bytes() const;

   private:
    friend class ImageStore;
    explicit Listed(Record* record) : record_(record) {}
    Record* record_ = nullptr;
  };

  struct Image {
    std::string sha256;      // hex, of the bytes
    ImageGeometry geometry;  // px
    std::shared_ptr<const std::string> bytes;
  };

  // `max_bytes` of all tenants; `max_unlisted` images that no session lists.
  ImageStore(int64_t max_bytes, int max_unlisted)
      : max_bytes_(max_bytes), max_unlisted_(max_unlisted) {}
  ImageStore(const ImageStore&) = delete;
  ImageStore& operator=(const ImageStore&) = delete;

  // Lists `image` once more. Its bytes, if it has any, are retained unless the store
  // has them, or they are larger than a budget; `tenant_bytes` is that of the tenant.
  Listed List(const TenantId& tenant, Image image, int64_t tenant_bytes);
  // The same for an image that is listed already.
  void Retain(Listed listed, std::shared_ptr<const std::string> bytes, int64_t tenant_bytes);
  // Ends one listing.
  void Unlist(Listed listed);

  // The image becomes the most recently used.
  void Touch(Listed listed);

  // What is known of an image (its bytes may be null), if anything is.
  std::optional<Image> Find(const TenantId& tenant, const std::string& sha256);

  int64_t bytes() const { return bytes_; }
  // Images that are known and in no list.
  int64_t unlisted() const { return static_cast<int64_t>(unlisted_.size()); }

 private:
  using Order = std::list<Record*>;  // least recently used first
  struct Key {
    std::string tenant;
    std::string sha256;
    friend bool operator==(const Key&, const Key&) = default;
  };
  struct KeyHash {
    size_t operator()(const Key& key) const;
  };
  // What one tenant retains.
  struct Share {
    Order order;
    int64_t bytes = 0;
  };
  struct Record {
    Key key;
    Image image;
    int listings = 0;
    Order::iterator unlisted;  // valid while listings is 0
    // Valid while image.bytes is set.
    Order::iterator retained;
    Order::iterator retained_of_tenant;
  };

  void Release(Record& record);
  void Forget(Record& record);

  const int64_t max_bytes_;
  const int max_unlisted_;
  // Addresses stay.
  std::unordered_map<Key, Record, KeyHash> records_;
  std::unordered_map<std::string, Share> shares_;  // by tenant; none is empty
  Order retained_;
  Order unlisted_;
  int64_t bytes_ = 0;
};

}  // namespace semsam

#endif  // SEMSAM_SERVER_CACHE_IMAGE_STORE_H_
