// Reading and writing whole tier files.
#ifndef SEMSAM_SERVER_CACHE_TIER_DISK_IO_H_
#define SEMSAM_SERVER_CACHE_TIER_DISK_IO_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/cache/embedding_tier.h"
#include "server/cache/tier_file.h"

namespace semsam {

// UNAVAILABLE that names the file and says what the system does of `error`.
absl::Status DiskError(const std::string& what, const std::string& path, int error);

// The header of a file that is as long as it says. NOT_FOUND if there is none, DATA_LOSS
// if it is broken, else UNAVAILABLE.
absl::StatusOr<TierFileHeader> ReadTierFileHeader(const std::string& path);

// The whole file, which becomes the most recently used of its directory. DATA_LOSS also
// where it was written for another key.
absl::StatusOr<EmbeddingTier::Pointer> ReadTierFile(const std::string& path,
                                                    const EmbeddingKey& key);

// Writes `path` as a whole or not at all, through `path` + ".part".
absl::Status WriteTierFile(const std::string& path, const std::string& header,
                           const std::string& payload);

// Now is when the file was last used. False if it is not there.
bool TouchFile(const std::string& path);

}  // namespace semsam

#endif  // SEMSAM_SERVER_CACHE_TIER_DISK_IO_H_
