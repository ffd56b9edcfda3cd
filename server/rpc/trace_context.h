// W3C Trace Context: which trace a call belongs to.
//
// Thread-safe: a value and free functions.
#ifndef SEMSAM_SERVER_RPC_TRACE_CONTEXT_H_
#define SEMSAM_SERVER_RPC_TRACE_CONTEXT_H_

#include <optional>
#include <string>
#include <string_view>

namespace semsam {

// Request metadata that a caller's trace comes in.
inline constexpr char kTraceParentKey[] = "traceparent";
// Metadata of the answer that names this call within it.
inline constexpr char kTraceResponseKey[] = "traceresponse";

// All in lower-case hexadecimal digits.
struct TraceContext {
  std::string trace_id;   // 32 digits
  std::string parent_id;  // 16 digits, the caller's span
  std::string span_id;    // 16 digits, this call's own
  std::string flags;      // 2 digits, as the caller set them

  // Value of kTraceResponseKey.
  std::string Response() const;
};

// What `traceparent` says, with a span id made up; nothing if it breaks the
// specification, which then wants it ignored. Versions to come are read as far as
// they are known.
std::optional<TraceContext> ParseTraceParent(std::string_view traceparent);

}  // namespace semsam

#endif  // SEMSAM_SERVER_RPC_TRACE_CONTEXT_H_
