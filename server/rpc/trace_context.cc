#include "server/rpc/trace_context.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/cache/random_id.h"

namespace semsam {
namespace {

// VERSION-TRACE_ID-PARENT_ID-FLAGS
constexpr size_t kVersionDigits = 2;
constexpr size_t kTraceIdDigits = 32;
constexpr size_t kSpanIdDigits = 16;
constexpr size_t kFlagDigits = 2;
constexpr size_t kTraceIdAt = kVersionDigits + 1;
constexpr size_t kParentIdAt = kTraceIdAt + kTraceIdDigits + 1;
constexpr size_t kFlagsAt = kParentIdAt + kSpanIdDigits + 1;
constexpr size_t kLength = kFlagsAt + kFlagDigits;
// Of versions after ours; no header is longer.
constexpr size_t kLongest = 512;

bool IsHex(std::string_view digits) {
  return std::all_of(digits.begin(), digits.end(),
                     [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

bool IsId(std::string_view digits) {
  return IsHex(digits) && digits.find_first_not_of('0') != std::string_view::npos;
}

}  // namespace

std::string TraceContext::Response() const {
  return absl::StrCat("00-", trace_id, "-", span_id, "-", flags);
}

std::optional<TraceContext> ParseTraceParent(std::string_view traceparent) {
  if (traceparent.size() < kLength || traceparent.size() > kLongest) return std::nullopt;
  const std::string_view version = traceparent.substr(0, kVersionDigits);
  const std::string_view trace_id = traceparent.substr(kTraceIdAt, kTraceIdDigits);
  const std::string_view parent_id = traceparent.substr(kParentIdAt, kSpanIdDigits);
  const std::string_view flags = traceparent.substr(kFlagsAt, kFlagDigits);
  for (const size_t dash : {kTraceIdAt - 1, kParentIdAt - 1, kFlagsAt - 1}) {
    if (traceparent[dash] != '-') return std::nullopt;
  }
  if (!IsHex(version) || version == "ff" || !IsId(trace_id) || !IsId(parent_id) || !IsHex(flags)) {
    return std::nullopt;
  }
  if (traceparent.size() > kLength && (version == "00" || traceparent[kLength] != '-')) {
    return std::nullopt;
  }
  absl::StatusOr<std::string> span_id = RandomHexId(kSpanIdDigits * 4);
  if (!span_id.ok()) return std::nullopt;
  return TraceContext{.trace_id = std::string(trace_id),
                      .parent_id = std::string(parent_id),
                      .span_id = *std::move(span_id),
                      .flags = std::string(flags)};
}

}  // namespace semsam
