// The bytes of one image as they arrive, checked against what was announced.
//
// Field paths are those of semsam.v1.UploadImageRequest. Thread-safety: one
// caller at a time.
#ifndef SEMSAM_SERVER_PIPELINE_IMAGE_UPLOAD_H_
#define SEMSAM_SERVER_PIPELINE_IMAGE_UPLOAD_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "server/batching/tenant_id.h"
#include "server/pipeline/byte_budget.h"

namespace semsam {

struct UploadHeader {
  std::string session_id;
  uint64_t total_bytes = 0;  // 0: unknown
  std::string sha256;        // hex, any case; empty: unknown
};

struct UploadLimits {
  int64_t max_image_bytes = 0;
  int64_t max_chunk_bytes = 0;
  absl::Duration retry_after;
};

// Sets `bytes` of an image on its way aside. RESOURCE_EXHAUSTED when all of them
// together fill the buffer, or those of the tenant its quota.
absl::Status GrowUpload(ByteBudget::Reservation& memory, int64_t bytes, absl::Duration retry_after);

class ImageUpload {
 public:
  // INVALID_ARGUMENT if the announced size is over the limit, or the digest is no
  // digest. `budget` outlives the upload.
  static absl::StatusOr<ImageUpload> Begin(const TenantId& tenant, UploadHeader header,
                                           const UploadLimits& limits, ByteBudget& budget);

  // INVALID_ARGUMENT as soon as a chunk or the sum is too large;
  // RESOURCE_EXHAUSTED as GrowUpload.
  absl::Status Append(std::string_view chunk);

  // INVALID_ARGUMENT if nothing came, or not as much as announced.
  absl::Status CheckComplete() const;

  // Nothing, or DIGEST_MISMATCH if another digest was announced.
  absl::Status CheckDigest(std::string_view sha256) const;

  const std::string& session_id() const { return header_.session_id; }
  // As announced, in lower case; empty if it was not.
  const std::string& announced_sha256() const { return header_.sha256; }
  // No larger than what came: a session may hold on to it.
  std::string TakeBytes() {
    bytes_.shrink_to_fit();
    return std::move(bytes_);
  }

 private:
  ImageUpload(UploadHeader header, const UploadLimits& limits, ByteBudget::Reservation reservation);

  UploadHeader header_;
  UploadLimits limits_;
  ByteBudget::Reservation reservation_;
  std::string bytes_;
};

}  // namespace semsam

#endif  // SEMSAM_SERVER_PIPELINE_IMAGE_UPLOAD_H_
