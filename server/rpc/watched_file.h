// A small file of the operator's that may change while the server runs.
#ifndef SEMSAM_SERVER_RPC_WATCHED_FILE_H_
#define SEMSAM_SERVER_RPC_WATCHED_FILE_H_

#include <sys/stat.h>

#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace semsam {

// The whole content, of 1 MiB at most. INVALID_ARGUMENT that names `field` and the path
// if it cannot be read.
absl::StatusOr<std::string> ReadSmallFile(const std::string& path, const std::string& field);

// Tells changes by what the file system says of the file: its replacement by rename or
// by a link that points elsewhere, as Kubernetes does it, and writes in place.
// Thread-safety: one caller at a time.
class WatchedFile {
 public:
  // Errors name `field`.
  WatchedFile(std::string path, std::string field);

  // The content if it may have changed since the last call, or at the first. An error
  // comes once a change.
  absl::StatusOr<std::optional<std::string>> ReadIfChanged();

 private:
  const std::string path_;
  const std::string field_;
  // As of the last call; all zero where there was no file.
  struct stat seen_ = {};
  bool looked_ = false;
};

}  // namespace semsam

#endif  // SEMSAM_SERVER_RPC_WATCHED_FILE_H_
