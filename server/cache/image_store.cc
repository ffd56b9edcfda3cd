#include "server/cache/image_store.h"

#include <algorithm>
#include <functional>
#include <utility>

namespace semsam {
namespace {

int64_t SizeOf(const std::string& bytes) { return static_cast<int64_t>(bytes.size()); }

}  // namespace

size_t ImageStore::KeyHash::operator()(const Key& key) const {
  const std::hash<std::string> hash_text;
  return hash_text(key.sha256) * 1099511628211u + hash_text(key.tenant);
}

const std::string& ImageStore::Listed::sha256() const { return record_->image.sha256; }
const ImageGeometry& ImageStore::Listed::geometry() const { return record_->image.geometry; }
const std::shared_ptr<const std::string>& ImageStore::Listed::bytes() const {
  return record_->image.bytes;
}

ImageStore::Listed ImageStore::List(const TenantId& tenant, Image image, int64_t tenant_bytes) {
  std::shared_ptr<const std::string> bytes = std::exchange(image.bytes, nullptr);
  Key key{.tenant = tenant.name, .sha256 = image.sha256};
  const auto [found, added] = records_.try_emplace(key);
  Record& record = found->second;
  if (added) {
    record.key = std::move(key);
    record.image = std::move(image);
  } else if (record.listings == 0) {
    unlisted_.erase(record.unlisted);
  }
  ++record.listings;
  const Listed listed(&record);
  Retain(listed, std::move(bytes), tenant_bytes);
  return listed;
}

void ImageStore::Retain(Listed listed, std::shared_ptr<const std::string> bytes,
                        int64_t tenant_bytes) {
  Record& record = *listed.record_;
  if (record.image.bytes != nullptr) return Touch(listed);
  if (bytes == nullptr || SizeOf(*bytes) > std::min(max_bytes_, tenant_bytes)) return;
  const int64_t size = SizeOf(*bytes);
  // The tenant's own images make room first. What is evicted here is never the record:
  // it holds no bytes.
  for (auto share = shares_.find(record.key.tenant);
       share != shares_.end() && share->second.bytes + size > tenant_bytes;
       share = shares_.find(record.key.tenant)) {
    Release(*share->second.order.front());
  }
  while (bytes_ + size > max_bytes_) Release(*retained_.front());
  Share& share = shares_[record.key.tenant];
  share.bytes += size;
  bytes_ += size;
  record.image.bytes = std::move(bytes);
  record.retained = retained_.insert(retained_.end(), &record);
  record.retained_of_tenant = share.order.insert(share.order.end(), &record);
}

void ImageStore::Unlist(Listed listed) {
  Record& record = *listed.record_;
  if (--record.listings > 0) return;
  Release(record);
  record.unlisted = unlisted_.insert(unlisted_.end(), &record);
  while (unlisted() > max_unlisted_) Forget(*unlisted_.front());
}

void ImageStore::Touch(Listed listed) {
  Record& record = *listed.record_;
  if (record.image.bytes == nullptr) return;
  retained_.splice(retained_.end(), retained_, record.retained);
  Order& order = shares_.find(record.key.tenant)->second.order;
  order.splice(order.end(), order, record.retained_of_tenant);
}

std::optional<ImageStore::Image> ImageStore::Find(const TenantId& tenant,
                                                  const std::string& sha256) {
  const auto found = records_.find(Key{.tenant = tenant.name, .sha256 = sha256});
  if (found == records_.end()) return std::nullopt;
  Record& record = found->second;
  if (record.listings == 0) {
    unlisted_.splice(unlisted_.end(), unlisted_, record.unlisted);
  } else {
    Touch(Listed(&record));
  }
  return record.image;
}

void ImageStore::Release(Record& record) {
  if (record.image.bytes == nullptr) return;
  const int64_t size = SizeOf(*record.image.bytes);
  const auto share = shares_.find(record.key.tenant);
  share->second.order.erase(record.retained_of_tenant);
  share->second.bytes -= size;
  if (share->second.order.empty()) shares_.erase(share);
  retained_.erase(record.retained);
  bytes_ -= size;
  record.image.bytes = nullptr;
}

void ImageStore::Forget(Record& record) {
  unlisted_.erase(record.unlisted);
  // The key may live inside the record.
  const auto found = records_.find(record.key);
  records_.erase(found);
}

}  // namespace semsam
