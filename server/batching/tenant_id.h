// Whose work it is.
#ifndef SEMSAM_SERVER_BATCHING_TENANT_ID_H_
#define SEMSAM_SERVER_BATCHING_TENANT_ID_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace semsam {

inline constexpr size_t kMaxTenantNameBytes = 64;

// Tenants see nothing of each other: sessions and embeddings belong to one, and the
// session of another is as good as unknown. A type of its own, so that no session or
// image id is taken for it.
struct TenantId {
  std::string name;  // empty: the one tenant of a server that tells none apart

  friend bool operator==(const TenantId&, const TenantId&) = default;
};

// Whether a tenant may be called so: 1 to kMaxTenantNameBytes letters, digits, '-', '_'
// and '.'. What comes from outside must be checked; it is kept, and logged.
inline bool IsValidTenantName(std::string_view name) {
  constexpr std::string_view kAllowed =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.";
  return !name.empty() && name.size() <= kMaxTenantNameBytes &&
         name.find_first_not_of(kAllowed) == std::string_view::npos;
}

// Whether `used` is more than that share of `bound`. Who has nothing yet is not asked:
// the smallest share is one.
inline bool ExceedsShare(int64_t used, int64_t bound, double share) {
  return share < 1 && static_cast<double>(used) > share * static_cast<double>(bound);
}

// The server works for itself, as it does to warm up, under names that no tenant can
// have. Nothing of that is kept beyond the device.
inline bool IsServersOwn(const TenantId& tenant) {
  return !tenant.name.empty() && tenant.name.front() == '#';
}

}  // namespace semsam

#endif  // SEMSAM_SERVER_BATCHING_TENANT_ID_H_
