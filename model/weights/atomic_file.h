// Writes a file so that its name shows either the old content or the whole new
// one, never a part.
#ifndef SEMSAM_MODEL_WEIGHTS_ATOMIC_FILE_H_
#define SEMSAM_MODEL_WEIGHTS_ATOMIC_FILE_H_

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace semsam {

// Create, Write as often as needed, Commit once. What is not committed is
// removed on destruction. Every error carries the path and the system's reason
// (a full disk reads "No space left on device").
//
// Not thread-safe; different files are independent, of one name too.
class AtomicFile {
 public:
  static absl::StatusOr<std::unique_ptr<AtomicFile>> Create(const std::string& path);

  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  absl::Status Write(std::span<const std::byte> bytes);

  // Forces the content to the disk, then gives it its name.
  absl::Status Commit();

 private:
  AtomicFile(std::string path, std::string temporary_path, int fd)
      : path_(std::move(path)), temporary_path_(std::move(temporary_path)), fd_(fd) {}

  const std::string path_;
  std::string temporary_path_;  // empty once it is gone
  int fd_;                      // -1 once closed
};

}  // namespace semsam

#endif  // SEMSAM_MODEL_WEIGHTS_ATOMIC_FILE_H_
