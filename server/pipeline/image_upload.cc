#include "server/pipeline/image_upload.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "model/base/errors.h"
#include "model/base/status_macros.h"
#include "server/cache/sha256.h"

namespace semsam {
namespace {

constexpr int64_t kReservationStepBytes = int64_t{1} << 20;

absl::Status TooLarge(const char* field, int64_t max_bytes) {
  return InvalidField(field, absl::StrCat("the image is larger than ", max_bytes, " bytes"),
                      reason::kImageTooLarge);
}

}  // namespace

absl::Status GrowUpload(ByteBudget::Reservation& memory, int64_t bytes,
                        absl::Duration retry_after) {
  if (memory.GrowTo(bytes)) return absl::OkStatus();
  if (memory.IsOverQuota(bytes)) {
    return Overloaded(reason::kQuotaExceeded, "the tenant sends as many images as it may",
                      retry_after);
  }
  return Overloaded(reason::kMemoryFull, "too many images are being sent", retry_after);
}

absl::StatusOr<ImageUpload> ImageUpload::Begin(const TenantId& tenant, UploadHeader header,
                                               const UploadLimits& limits, ByteBudget& budget) {
  if (header.total_bytes > static_cast<uint64_t>(limits.max_image_bytes)) {
    return TooLarge("header.total_bytes", limits.max_image_bytes);
  }
  if (!header.sha256.empty()) {
    SEMSAM_ASSIGN_OR_RETURN(header.sha256, CleanSha256(std::move(header.sha256), "header.sha256"));
  }
  return ImageUpload(std::move(header), limits, ByteBudget::Reservation(budget, tenant));
}

ImageUpload::ImageUpload(UploadHeader header, const UploadLimits& limits,
                         ByteBudget::Reservation reservation)
    : header_(std::move(header)), limits_(limits), reservation_(std::move(reservation)) {}

absl::Status ImageUpload::Append(std::string_view chunk) {
  if (static_cast<int64_t>(chunk.size()) > limits_.max_chunk_bytes) {
    return InvalidField("chunk",
                        absl::StrCat("has ", chunk.size(), " bytes; at most ",
                                     limits_.max_chunk_bytes, " are allowed"),
                        reason::kUploadProtocol);
  }
  const uint64_t sum = bytes_.size() + chunk.size();
  if (sum > static_cast<uint64_t>(limits_.max_image_bytes)) {
    return TooLarge("chunk", limits_.max_image_bytes);
  }
  if (header_.total_bytes != 0 && sum > header_.total_bytes) {
    return InvalidField("chunk",
                        absl::StrCat("more than the announced ", header_.total_bytes, " bytes"),
                        reason::kUploadProtocol);
  }
  const int64_t steps =
      (static_cast<int64_t>(sum) + kReservationStepBytes - 1) / kReservationStepBytes;
  SEMSAM_RETURN_IF_ERROR(
      GrowUpload(reservation_, std::min(steps * kReservationStepBytes, limits_.max_image_bytes),
                 limits_.retry_after));
  bytes_.append(chunk);
  return absl::OkStatus();
}

absl::Status ImageUpload::CheckComplete() const {
  if (header_.total_bytes != 0 && bytes_.size() != header_.total_bytes) {
    return InvalidField(
        "header.total_bytes",
        absl::StrCat(header_.total_bytes, " bytes were announced and ", bytes_.size(), " came"),
        reason::kUploadProtocol);
  }
  if (bytes_.empty()) return InvalidField("chunk", "the image is empty", reason::kUploadProtocol);
  return absl::OkStatus();
}

absl::Status ImageUpload::CheckDigest(std::string_view sha256) const {
  if (header_.sha256.empty() || header_.sha256 == sha256) return absl::OkStatus();
  return InvalidField("header.sha256", "is not the digest of the bytes that came",
                      reason::kDigestMismatch);
}

}  // namespace semsam
