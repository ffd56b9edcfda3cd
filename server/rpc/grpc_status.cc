#include "server/rpc/grpc_status.h"

#include <google/rpc/error_details.pb.h>
#include <google/rpc/status.pb.h>

#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "model/base/errors.h"

namespace semsam {
namespace {

// Status and details share 8 KiB of trailing headers with everything else.
constexpr size_t kMaxMessageBytes = 512;
// What gRPC reads as: do not.
constexpr char kNeverRetry[] = "-1";

// At most kMaxMessageBytes, never cut inside a UTF-8 sequence.
std::string CutMessage(std::string_view message) {
  if (message.size() <= kMaxMessageBytes) return std::string(message);
  size_t end = kMaxMessageBytes;
  while (end > 0 && (static_cast<unsigned char>(message[end]) & 0xC0) == 0x80) --end;
  return absl::StrCat(std::string(message.substr(0, end)), "...");
}

void AddErrorInfo(const absl::Status& status, google::rpc::Status& out) {
  const std::optional<std::string> reason = ErrorReason(status);
  if (!reason.has_value()) return;
  google::rpc::ErrorInfo info;
  info.set_domain(kErrorDomain);
  info.set_reason(*reason);
  if (const auto digest = ErrorImageDigest(status); digest.has_value()) {
    (*info.mutable_metadata())[kSha256Key] = *digest;
  }
  out.add_details()->PackFrom(info);
}

void AddBadRequest(const absl::Status& status, google::rpc::Status& out) {
  const std::optional<std::string> field = ErrorField(status);
  if (!field.has_value()) return;
  google::rpc::BadRequest bad_request;
  auto* violation = bad_request.add_field_violations();
  violation->set_field(*field);
  violation->set_description(out.message());
  out.add_details()->PackFrom(bad_request);
}

void AddRetryInfo(const absl::Status& status, google::rpc::Status& out) {
  const std::optional<absl::Duration> delay = ErrorRetryAfter(status);
  if (!delay.has_value()) return;
  google::rpc::RetryInfo retry;
  const int64_t milliseconds = absl::ToInt64Milliseconds(*delay);
  retry.mutable_retry_delay()->set_seconds(milliseconds / 1000);
  retry.mutable_retry_delay()->set_nanos(static_cast<int32_t>(milliseconds % 1000 * 1000000));
  out.add_details()->PackFrom(retry);
}

}  // namespace

grpc::Status ToGrpcStatus(const absl::Status& status) {
  if (status.ok()) return grpc::Status::OK;
  google::rpc::Status details;
  details.set_code(static_cast<int>(status.code()));
  details.set_message(CutMessage({status.message().data(), status.message().size()}));
  AddErrorInfo(status, details);
  AddBadRequest(status, details);
  AddRetryInfo(status, details);
  // The codes of absl and gRPC are the same numbers.
  const auto code = static_cast<grpc::StatusCode>(status.code());
  if (details.details().empty()) return grpc::Status(code, details.message());
  return grpc::Status(code, details.message(), details.SerializeAsString());
}

std::optional<std::string> RetryPushback(const absl::Status& status) {
  const std::optional<absl::Duration> delay = ErrorRetryAfter(status);
  if (delay.has_value()) return absl::StrCat(absl::ToInt64Milliseconds(*delay));
  // A limit that waiting does not lift; without a word a retry policy would try on.
  if (absl::IsResourceExhausted(status) && ErrorReason(status).has_value()) return kNeverRetry;
  return std::nullopt;
}

}  // namespace semsam
