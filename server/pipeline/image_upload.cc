#include "server/pipeline/image_upload.h"

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "model/base/errors.h"

namespace semsam {
namespace {

constexpr int64_t kReservationStepBytes = int64_t{1} << 20;
constexpr size_t kSha256HexDigits = 64;

absl::Status TooLarge(const char* field, int64_t max_bytes) {
  return InvalidField(field, absl::StrCat("the image is larger than ", max_bytes, " bytes"),
                      reason::kImageTooLarge);
}

}  // namespace

absl::StatusOr<ImageUpload> ImageUpload::Begin(UploadHeader header, const UploadLimits& limits,
                                               ByteBudget& budget) {
  if (header.total_bytes > static_cast<uint64_t>(limits.max_image_bytes)) {
    return TooLarge("header.total_bytes", limits.max_image_bytes);
  }
  absl::AsciiStrToLower(&header.sha256);
  if (!header.sha256.empty() &&
      (header.sha256.size() != kSha256HexDigits ||
       !std::all_of(header.sha256.begin(), header.sha256.end(), absl::ascii_isxdigit))) {
    return InvalidField("header.sha256", "must be 64 hexadecimal digits");
  }
  return ImageUpload(std::move(header), limits, budget);
}

ImageUpload::ImageUpload(UploadHeader header, const UploadLimits& limits, ByteBudget& budget)
    : header_(std::move(header)), limits_(limits), reservation_(budget) {}

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
  if (!reservation_.GrowTo(std::min(steps * kReservationStepBytes, limits_.max_image_bytes))) {
    return Overloaded(reason::kMemoryFull, "too many images are being uploaded",
                      limits_.retry_after);
  }
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
