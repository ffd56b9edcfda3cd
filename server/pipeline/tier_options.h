// The tiers of embeddings below the device.
#ifndef SEMSAM_SERVER_PIPELINE_TIER_OPTIONS_H_
#define SEMSAM_SERVER_PIPELINE_TIER_OPTIONS_H_

#include <cstdint>
#include <functional>
#include <string>

#include "absl/status/status.h"
#include "model/segmenter.h"
#include "server/cache/embedding_tier.h"

namespace semsam {

struct TierOptions {
  int64_t host_cache_bytes = 0;                     // 0: no such tier
  std::string disk_cache_dir;                       // empty: no such tier
  int64_t disk_cache_bytes = int64_t{16} << 30;     // of files
  StorageFormat storage = StorageFormat::kFp16;     // of both
  int64_t max_demotion_bytes = int64_t{512} << 20;  // evicted, and not stored yet
  // Told of a tier's failures, each tier's at most once a minute; may be null. On a
  // thread that nobody waits for; must not call the engine.
  std::function<void(TierKind tier, const absl::Status& why)> on_error;

  bool enabled() const { return host_cache_bytes > 0 || !disk_cache_dir.empty(); }

  // OK, or INVALID_ARGUMENT that names the first bad field.
  absl::Status Validate() const;
};

}  // namespace semsam

#endif  // SEMSAM_SERVER_PIPELINE_TIER_OPTIONS_H_
