// What each tenant may hold and have under way, and its share of the work.
//
// A table is a text of one row a line: the tenant's name, or `*` for those that no row
// names, then what is bounded:
//
//   *     max_sessions=20  max_retained_mib=64
//   lab   max_sessions=200 max_calls=64 max_queries=2048 weight=3   # the lab pays
//
// What a row leaves out is not bounded for that tenant alone, and a weight is 1: while
// several wait for the same, a tenant of weight 3 is served three times as much. The
// bounds of the whole server hold beside those of its tenants.
// Immutable and cheap to copy; thread-safe.
#ifndef SEMSAM_SERVER_BATCHING_TENANT_TABLE_H_
#define SEMSAM_SERVER_BATCHING_TENANT_TABLE_H_

#include <cstdint>
#include <limits>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/batching/tenant_id.h"

namespace semsam {

inline constexpr int64_t kMaxTenantWeight = 1000;
inline constexpr int64_t kUnboundedQuota = std::numeric_limits<int64_t>::max();

struct TenantQuota {
  int64_t max_sessions = kUnboundedQuota;
  int64_t max_retained_bytes = kUnboundedQuota;    // uploaded images, of all its sessions
  int64_t max_upload_bytes = kUnboundedQuota;      // images on their way, as upload_buffer_bytes
  int64_t max_calls = kUnboundedQuota;             // as EngineOptions::max_segment_calls
  int64_t max_queries = kUnboundedQuota;           // as EngineOptions::max_segment_queries
  int64_t max_background_calls = kUnboundedQuota;  // as EngineOptions::max_background_calls
  int64_t weight = 1;                              // 1 to kMaxTenantWeight

  friend bool operator==(const TenantQuota&, const TenantQuota&) = default;
};

class TenantTable {
 public:
  // No row: nothing is bounded.
  TenantTable();

  // INVALID_ARGUMENT that names the line: a name that is none, one that comes twice, an
  // unknown bound, a number that is none or out of range, or too many rows.
  static absl::StatusOr<TenantTable> Parse(std::string_view text);

  // The row of `tenant`, or that of those that have none. Lives as long as a copy of
  // the table.
  const TenantQuota& Of(const TenantId& tenant) const;

  // By name; `*` where there is such a row.
  const std::map<std::string, TenantQuota, std::less<>>& rows() const { return table_->rows; }

 private:
  struct Table {
    std::map<std::string, TenantQuota, std::less<>> rows;
    TenantQuota others;
  };

  explicit TenantTable(Table table);

  std::shared_ptr<const Table> table_;
};

}  // namespace semsam

#endif  // SEMSAM_SERVER_BATCHING_TENANT_TABLE_H_
