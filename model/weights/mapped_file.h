// A whole file, read-only in memory.
#ifndef SEMSAM_MODEL_WEIGHTS_MAPPED_FILE_H_
#define SEMSAM_MODEL_WEIGHTS_MAPPED_FILE_H_

#include <cstddef>
#include <memory>
#include <span>
#include <string>

#include "absl/status/statusor.h"

namespace semsam {

// Maps on Open, unmaps on destruction. Pages come from the file when first
// touched, so opening costs nothing; the file must not shrink meanwhile
// (replace a weight file by rename, as our writers do, never in place).
//
// Thread-safe: constant after Open.
class MappedFile {
 public:
  // NOT_FOUND, PERMISSION_DENIED or INVALID_ARGUMENT (a folder, a pipe), with
  // the path in the text.
  static absl::StatusOr<std::shared_ptr<const MappedFile>> Open(const std::string& path);

  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  std::span<const std::byte> bytes() const { return {data_, size_bytes_}; }

 private:
  MappedFile(const std::byte* data, size_t size_bytes) : data_(data), size_bytes_(size_bytes) {}

  const std::byte* data_;  // null for an empty file
  size_t size_bytes_;
};

}  // namespace semsam

#endif  // SEMSAM_MODEL_WEIGHTS_MAPPED_FILE_H_
