#include "model/base/errors.h"

#include <string>

#include "absl/strings/cord.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace semsam {
namespace {

constexpr char kReasonUrl[] = "semsam/reason";
constexpr char kFieldUrl[] = "semsam/field";
constexpr char kDigestUrl[] = "semsam/image-sha256";
constexpr char kRetryAfterUrl[] = "semsam/retry-after-ms";

absl::string_view ToAbsl(std::string_view text) { return {text.data(), text.size()}; }

void SetDetail(absl::Status& status, const char* url, std::string_view value) {
  status.SetPayload(url, absl::Cord(ToAbsl(value)));
}

std::optional<std::string> Detail(const absl::Status& status, const char* url) {
  const auto payload = status.GetPayload(url);
  if (!payload.has_value()) return std::nullopt;
  return std::string(*payload);
}

absl::Status WithMessage(const absl::Status& status, const std::string& message) {
  absl::Status copy(status.code(), message);
  status.ForEachPayload(
      [&copy](absl::string_view url, const absl::Cord& payload) { copy.SetPayload(url, payload); });
  return copy;
}

}  // namespace

absl::Status InvalidField(std::string_view field, std::string_view message,
                          std::string_view reason) {
  return FieldError(absl::StatusCode::kInvalidArgument, field, message, reason);
}

absl::Status FieldError(absl::StatusCode code, std::string_view field, std::string_view message,
                        std::string_view reason) {
  absl::Status status(code, absl::StrCat(ToAbsl(field), ": ", ToAbsl(message)));
  SetDetail(status, kReasonUrl, reason);
  SetDetail(status, kFieldUrl, field);
  return status;
}

absl::Status CapabilityMissing(std::string_view field, std::string_view message) {
  return FieldError(absl::StatusCode::kFailedPrecondition, field, message,
                    reason::kCapabilityMissing);
}

absl::Status ErrorWithReason(absl::StatusCode code, std::string_view reason,
                             std::string_view message) {
  absl::Status status(code, ToAbsl(message));
  SetDetail(status, kReasonUrl, reason);
  return status;
}

absl::Status ImageNotFound(std::string_view image_id, std::string_view sha256_hex) {
  absl::Status status = absl::NotFoundError(
      image_id.empty() ? "the image is not held; upload it"
                       : absl::StrCat("image ", ToAbsl(image_id),
                                      " is not held by this session; upload it again"));
  SetDetail(status, kReasonUrl, reason::kImageNotFound);
  if (!sha256_hex.empty()) SetDetail(status, kDigestUrl, sha256_hex);
  return status;
}

absl::Status Overloaded(std::string_view reason, std::string_view message,
                        absl::Duration retry_after) {
  absl::Status status = absl::ResourceExhaustedError(ToAbsl(message));
  SetDetail(status, kReasonUrl, reason);
  SetDetail(status, kRetryAfterUrl, absl::StrCat(absl::ToInt64Milliseconds(retry_after)));
  return status;
}

absl::Status DeviceFault(std::string_view message) {
  return ErrorWithReason(absl::StatusCode::kUnavailable, reason::kDeviceFault, message);
}

bool IsDeviceFault(const absl::Status& status) {
  return ErrorReason(status) == reason::kDeviceFault;
}

absl::Status Annotate(const absl::Status& status, std::string_view prefix) {
  if (status.ok()) return status;
  return WithMessage(status, absl::StrCat(ToAbsl(prefix), ": ", status.message()));
}

absl::Status PrependField(const absl::Status& status, std::string_view prefix) {
  const std::optional<std::string> field = ErrorField(status);
  if (!field.has_value()) return status;
  const std::string path =
      field->empty() ? std::string(prefix) : absl::StrCat(ToAbsl(prefix), ".", *field);
  // The text of InvalidField starts with the path; keep the two in step.
  std::string message(status.message());
  if (message.compare(0, field->size(), *field) == 0) message.replace(0, field->size(), path);
  absl::Status copy = WithMessage(status, message);
  SetDetail(copy, kFieldUrl, path);
  return copy;
}

std::optional<std::string> ErrorField(const absl::Status& status) {
  return Detail(status, kFieldUrl);
}

std::optional<std::string> ErrorReason(const absl::Status& status) {
  return Detail(status, kReasonUrl);
}

std::optional<std::string> ErrorImageDigest(const absl::Status& status) {
  return Detail(status, kDigestUrl);
}

std::optional<absl::Duration> ErrorRetryAfter(const absl::Status& status) {
  const std::optional<std::string> text = Detail(status, kRetryAfterUrl);
  int64_t milliseconds = 0;
  if (!text.has_value() || !absl::SimpleAtoi(*text, &milliseconds)) return std::nullopt;
  return absl::Milliseconds(milliseconds);
}

}  // namespace semsam
