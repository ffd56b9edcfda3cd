#include "server/rpc/grpc_log.h"

#include <grpc/support/log.h>

#include <string_view>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "server/log/log.h"

namespace semsam {
namespace {

// With these gRPC ends the process: the line must be out before.
constexpr std::string_view kAssertion = "assertion failed";
constexpr absl::Duration kFlushLimit = absl::Seconds(1);

void Write(gpr_log_func_args* line) {
  const LogLevel level =
      line->severity == GPR_LOG_SEVERITY_ERROR ? LogLevel::kError : LogLevel::kInfo;
  const std::string_view message(line->message);
  LogLine(level, "grpc")
      .Text("message", message)
      .Text("source", absl::StrCat(line->file, ":", line->line));
  if (message.starts_with(kAssertion)) FlushLog(kFlushLimit);
}

}  // namespace

void LogWhatGrpcSays() { gpr_set_log_function(Write); }

}  // namespace semsam
