// A bound on bytes that many owners share, and on what each tenant may have of them.
#ifndef SEMSAM_SERVER_PIPELINE_BYTE_BUDGET_H_
#define SEMSAM_SERVER_PIPELINE_BYTE_BUDGET_H_

#include <cstdint>
#include <functional>
#include <string>
#include <unordered_map>
#include <utility>

#include "model/base/mutex.h"
#include "server/batching/tenant_id.h"
#include "server/batching/tenant_table.h"

namespace semsam {

// Thread-safe; outlives its reservations.
class ByteBudget {
 public:
  // `on_change` gets the bytes in use, under a lock; it must be quick.
  // `tenant_bytes` of a tenant's row is its own bound; null: tenants have none.
  ByteBudget(int64_t bound_bytes, std::function<void(int64_t)> on_change, TenantTable tenants = {},
             int64_t TenantQuota::*tenant_bytes = nullptr)
      : bound_bytes_(bound_bytes),
        on_change_(std::move(on_change)),
        tenants_(std::move(tenants)),
        tenant_bytes_(tenant_bytes) {}

  // Bytes taken by one owner; given back when it is destroyed.
  // Thread-safety: one owner at a time.
  class Reservation {
   public:
    explicit Reservation(ByteBudget& budget, TenantId tenant = {})
        : budget_(&budget), tenant_(std::move(tenant)) {}
    Reservation(Reservation&& other) noexcept
        : budget_(other.budget_),
          tenant_(std::move(other.tenant_)),
          bytes_(std::exchange(other.bytes_, 0)) {}
    Reservation& operator=(Reservation&&) = delete;
    ~Reservation() {
      if (bytes_ > 0) budget_->Add(tenant_, -bytes_);
    }

    // Grows the reservation to `total` bytes; false, and unchanged, if the budget
    // does not allow it. Never shrinks.
    bool GrowTo(int64_t total) {
      if (total <= bytes_) return true;
      if (!budget_->Add(tenant_, total - bytes_)) return false;
      bytes_ = total;
      return true;
    }
    // Whether it is the tenant's own bound that GrowTo runs into at `total` bytes.
    bool IsOverQuota(int64_t total) const { return budget_->IsOverQuota(tenant_, total - bytes_); }

    // Gives back what is above `total` bytes. Never grows.
    void ShrinkTo(int64_t total) {
      if (total >= bytes_) return;
      budget_->Add(tenant_, total - bytes_);
      bytes_ = total;
    }

   private:
    ByteBudget* budget_;
    TenantId tenant_;
    int64_t bytes_ = 0;
  };

 private:
  bool Add(const TenantId& tenant, int64_t bytes) {
    MutexLock lock(mutex_);
    if (bytes > bound_bytes_ - used_bytes_ || IsOverQuotaLocked(tenant, bytes)) return false;
    used_bytes_ += bytes;
    if (tenant_bytes_ != nullptr) {
      const auto share = by_tenant_.try_emplace(tenant.name, 0).first;
      share->second += bytes;
      if (share->second == 0) by_tenant_.erase(share);
    }
    on_change_(used_bytes_);
    return true;
  }

  bool IsOverQuota(const TenantId& tenant, int64_t bytes) {
    MutexLock lock(mutex_);
    return IsOverQuotaLocked(tenant, bytes);
  }
  bool IsOverQuotaLocked(const TenantId& tenant, int64_t bytes) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (tenant_bytes_ == nullptr || bytes <= 0) return false;
    const auto share = by_tenant_.find(tenant.name);
    const int64_t used = share == by_tenant_.end() ? 0 : share->second;
    return bytes > tenants_.Of(tenant).*tenant_bytes_ - used;
  }

  const int64_t bound_bytes_;
  const std::function<void(int64_t)> on_change_;
  const TenantTable tenants_;
  int64_t TenantQuota::*const tenant_bytes_;
  Mutex mutex_;
  int64_t used_bytes_ ABSL_GUARDED_BY(mutex_) = 0;
  // By the name of the tenant; none is 0.
  std::unordered_map<std::string, int64_t> by_tenant_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace semsam

#endif  // SEMSAM_SERVER_PIPELINE_BYTE_BUDGET_H_
