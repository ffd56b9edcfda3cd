#include "client/status_details.h"

#include <optional>
#include <string>

#include "absl/strings/cord.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "client/errors.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"

namespace semsam::client {
namespace {

constexpr char kDomain[] = "semsam";
constexpr char kDigestKey[] = "sha256";

template <typename Detail>
std::string DetailUrl() {
  return absl::StrCat("type.googleapis.com/", Detail::descriptor()->full_name());
}

template <typename Detail>
std::optional<Detail> FindDetail(const absl::Status& status) {
  const auto payload = status.GetPayload(DetailUrl<Detail>());
  Detail detail;
  if (!payload.has_value() || !detail.ParseFromString(std::string(*payload))) return std::nullopt;
  return detail;
}

template <typename Detail>
void SetDetail(const Detail& detail, absl::Status& status) {
  status.SetPayload(DetailUrl<Detail>(), absl::Cord(detail.SerializeAsString()));
}

absl::Status WithMessage(const absl::Status& status, const std::string& message) {
  absl::Status copy(status.code(), message);
  status.ForEachPayload(
      [&copy](absl::string_view url, const absl::Cord& payload) { copy.SetPayload(url, payload); });
  return copy;
}

}  // namespace

absl::Status FromGrpcStatus(const grpc::Status& status) {
  if (status.ok()) return absl::OkStatus();
  absl::Status result(static_cast<absl::StatusCode>(status.error_code()), status.error_message());

  google::rpc::Status details;
  if (!details.ParseFromString(status.error_details())) return result;
  for (const google::protobuf::Any& detail : details.details()) {
    result.SetPayload(detail.type_url(), absl::Cord(detail.value()));
  }

  const std::optional<std::string> field = ErrorField(result);
  if (!field.has_value() || absl::StrContains(result.message(), *field)) return result;
  return WithMessage(result, absl::StrCat(*field, ": ", result.message()));
}

absl::Status InvalidField(const std::string& field, const std::string& message) {
  absl::Status status = absl::InvalidArgumentError(absl::StrCat(field, ": ", message));
  google::rpc::ErrorInfo info;
  info.set_domain(kDomain);
  info.set_reason("INVALID_ARGUMENT_FIELD");
  SetDetail(info, status);
  google::rpc::BadRequest bad;
  auto* violation = bad.add_field_violations();
  violation->set_field(field);
  violation->set_description(message);
  SetDetail(bad, status);
  return status;
}

absl::Status FromInteractError(const v1::InteractError& error) {
  absl::Status status(static_cast<absl::StatusCode>(error.code()), error.message());
  if (!error.reason().empty()) {
    google::rpc::ErrorInfo info;
    info.set_domain(kDomain);
    info.set_reason(error.reason());
    if (!error.sha256().empty()) (*info.mutable_metadata())[kDigestKey] = error.sha256();
    SetDetail(info, status);
  }
  if (!error.field().empty()) {
    google::rpc::BadRequest bad;
    auto* violation = bad.add_field_violations();
    violation->set_field(error.field());
    violation->set_description(error.message());
    SetDetail(bad, status);
  }
  if (error.has_retry_after()) {
    google::rpc::RetryInfo retry;
    *retry.mutable_retry_delay() = error.retry_after();
    SetDetail(retry, status);
  }
  return status;
}

absl::Status Annotate(const absl::Status& status, const std::string& prefix) {
  if (status.ok()) return status;
  return WithMessage(status, absl::StrCat(prefix, ": ", status.message()));
}

std::optional<std::string> ErrorReason(const absl::Status& status) {
  const auto info = FindDetail<google::rpc::ErrorInfo>(status);
  if (!info.has_value() || info->domain() != kDomain || info->reason().empty()) return std::nullopt;
  return info->reason();
}

std::optional<std::string> ErrorField(const absl::Status& status) {
  const auto bad = FindDetail<google::rpc::BadRequest>(status);
  if (!bad.has_value() || bad->field_violations().empty()) return std::nullopt;
  return bad->field_violations(0).field();
}

std::optional<std::string> ErrorImageDigest(const absl::Status& status) {
  const auto info = FindDetail<google::rpc::ErrorInfo>(status);
  if (!info.has_value() || info->domain() != kDomain) return std::nullopt;
  const auto digest = info->metadata().find(kDigestKey);
  if (digest == info->metadata().end()) return std::nullopt;
  return digest->second;
}

std::optional<absl::Duration> ErrorRetryAfter(const absl::Status& status) {
  const auto retry = FindDetail<google::rpc::RetryInfo>(status);
  if (!retry.has_value() || !retry->has_retry_delay()) return std::nullopt;
  return absl::Seconds(retry->retry_delay().seconds()) +
         absl::Nanoseconds(retry->retry_delay().nanos());
}

}  // namespace semsam::client
