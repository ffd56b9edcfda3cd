#include "server/batching/tenant_table.h"

#include <functional>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "model/base/status_macros.h"

namespace semsam {
namespace {

constexpr char kOthers[] = "*";
constexpr size_t kMaxRows = 10000;
constexpr int64_t kMebibyte = int64_t{1} << 20;

// A bound as the text has it.
struct Column {
  absl::string_view name;
  int64_t TenantQuota::*member;
  int64_t min;
  int64_t max;
  int64_t unit;
};

constexpr int64_t kMaxCount = int64_t{1} << 30;

constexpr Column kColumns[] = {
    {"max_sessions", &TenantQuota::max_sessions, 0, kMaxCount, 1},
    {"max_retained_mib", &TenantQuota::max_retained_bytes, 0, kMaxCount, kMebibyte},
    {"max_upload_mib", &TenantQuota::max_upload_bytes, 1, kMaxCount, kMebibyte},
    {"max_calls", &TenantQuota::max_calls, 1, kMaxCount, 1},
    {"max_queries", &TenantQuota::max_queries, 1, kMaxCount, 1},
    {"max_background_calls", &TenantQuota::max_background_calls, 0, kMaxCount, 1},
    {"weight", &TenantQuota::weight, 1, kMaxTenantWeight, 1},
};

absl::Status SetColumn(absl::string_view word, TenantQuota& quota) {
  const std::pair<absl::string_view, absl::string_view> parts =
      absl::StrSplit(word, absl::MaxSplits('=', 1));
  for (const Column& column : kColumns) {
    if (column.name != parts.first) continue;
    int64_t value = 0;
    if (!absl::SimpleAtoi(parts.second, &value) || value < column.min || value > column.max) {
      return absl::InvalidArgumentError(absl::StrCat(column.name, " must be a whole number from ",
                                                     column.min, " to ", column.max));
    }
    quota.*column.member = value * column.unit;
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(absl::StrCat("there is no bound '", parts.first, "'"));
}

absl::Status AddRow(absl::string_view line, std::map<std::string, TenantQuota, std::less<>>& rows) {
  const std::vector<absl::string_view> words =
      absl::StrSplit(line, absl::ByAnyChar(" \t\r"), absl::SkipEmpty());
  if (words.empty()) return absl::OkStatus();
  const std::string name(words.front());
  if (name != kOthers && !IsValidTenantName(name)) {
    return absl::InvalidArgumentError(
        absl::StrCat("a tenant's name is 1 to ", kMaxTenantNameBytes,
                     " letters, digits, '-', '_' and '.', or * for the others"));
  }
  TenantQuota quota;
  for (size_t i = 1; i < words.size(); ++i) {
    SEMSAM_RETURN_IF_ERROR(SetColumn(words[i], quota));
  }
  if (!rows.emplace(name, quota).second) {
    return absl::InvalidArgumentError(absl::StrCat(name, " comes twice"));
  }
  if (rows.size() > kMaxRows) {
    return absl::InvalidArgumentError(absl::StrCat("there are more than ", kMaxRows, " rows"));
  }
  return absl::OkStatus();
}

}  // namespace

TenantTable::TenantTable() : TenantTable(Table{}) {}

TenantTable::TenantTable(Table table) : table_(std::make_shared<const Table>(std::move(table))) {}

absl::StatusOr<TenantTable> TenantTable::Parse(std::string_view text) {
  Table table;
  int number = 0;
  for (const absl::string_view line :
       absl::StrSplit(absl::string_view(text.data(), text.size()), '\n')) {
    ++number;
    const absl::string_view row = line.substr(0, line.find('#'));
    if (const absl::Status status = AddRow(row, table.rows); !status.ok()) {
      return absl::InvalidArgumentError(absl::StrCat("line ", number, ": ", status.message()));
    }
  }
  if (const auto others = table.rows.find(kOthers); others != table.rows.end()) {
    table.others = others->second;
  }
  return TenantTable(std::move(table));
}

const TenantQuota& TenantTable::Of(const TenantId& tenant) const {
  const auto row = table_->rows.find(tenant.name);
  return row == table_->rows.end() ? table_->others : row->second;
}

}  // namespace semsam
