#include "model/weights/atomic_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdio>

#include "absl/strings/str_cat.h"

namespace semsam {
namespace {

constexpr int kAttempts = 100;

absl::Status Errno(int error, const std::string& path) {
  return absl::ErrnoToStatus(error, absl::StrCat("cannot write ", path));
}

// The new name survives a power cut only once its folder is on the disk.
void SyncFolderOf(const std::string& path) {
  const size_t slash = path.rfind('/');
  const std::string folder = slash == std::string::npos ? "." : path.substr(0, slash + 1);
  const int fd = open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return;  // some file systems refuse; the content itself is safe
  fsync(fd);
  close(fd);
}

}  // namespace

absl::StatusOr<std::unique_ptr<AtomicFile>> AtomicFile::Create(const std::string& path) {
  static std::atomic<unsigned> counter{0};
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    // Not mkstemp: the file shall have the permissions that the umask asks for.
    std::string temporary = absl::StrCat(path, ".tmp-", getpid(), "-", counter++);
    const int fd = open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd >= 0) {
      return std::unique_ptr<AtomicFile>(new AtomicFile(path, std::move(temporary), fd));
    }
    if (errno != EEXIST) return Errno(errno, path);
  }
  return Errno(EEXIST, path);
}

AtomicFile::~AtomicFile() {
  if (fd_ >= 0) close(fd_);
  if (!temporary_path_.empty()) unlink(temporary_path_.c_str());
}

absl::Status AtomicFile::Write(std::span<const std::byte> bytes) {
  constexpr size_t kChunk = size_t{1} << 30;  // one write(2) takes at most 2 GiB
  while (!bytes.empty()) {
    const ssize_t written = write(fd_, bytes.data(), std::min(bytes.size(), kChunk));
    if (written < 0) {
      if (errno == EINTR) continue;
      return Errno(errno, path_);
    }
    bytes = bytes.subspan(static_cast<size_t>(written));
  }
  return absl::OkStatus();
}

absl::Status AtomicFile::Commit() {
  if (fsync(fd_) != 0) return Errno(errno, path_);
  const int closed = close(fd_);
  fd_ = -1;
  if (closed != 0) return Errno(errno, path_);
  if (rename(temporary_path_.c_str(), path_.c_str()) != 0) return Errno(errno, path_);
  temporary_path_.clear();
  SyncFolderOf(path_);
  return absl::OkStatus();
}

}  // namespace semsam
