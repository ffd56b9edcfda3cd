#include "server/cache/tier_disk_io.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "model/base/status_macros.h"

namespace semsam {
namespace {

class File {
 public:
  File(const std::string& path, int flags)
      : path_(path), fd_(::open(path.c_str(), flags | O_CLOEXEC | O_NOFOLLOW, 0600)) {}
  ~File() {
    if (fd_ >= 0) ::close(fd_);
  }
  File(const File&) = delete;
  File& operator=(const File&) = delete;

  bool opened() const { return fd_ >= 0; }
  int fd() const { return fd_; }

  // DATA_LOSS if the file ends before.
  absl::Status Read(char* out, size_t size) {
    while (size > 0) {
      const ssize_t got = ::read(fd_, out, size);
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) return DiskError("read", path_, errno);
      if (got == 0) return absl::DataLossError(absl::StrCat(path_, " ends too early"));
      out += got;
      size -= static_cast<size_t>(got);
    }
    return absl::OkStatus();
  }

  absl::Status Write(const std::string& bytes) {
    const char* from = bytes.data();
    size_t left = bytes.size();
    while (left > 0) {
      const ssize_t put = ::write(fd_, from, left);
      if (put < 0 && errno == EINTR) continue;
      if (put < 0) return DiskError("write", path_, errno);
      from += put;
      left -= static_cast<size_t>(put);
    }
    return absl::OkStatus();
  }

  // Some file systems tell only now that there was no room.
  absl::Status Close() {
    const int fd = std::exchange(fd_, -1);
    return ::close(fd) == 0 ? absl::OkStatus() : DiskError("write", path_, errno);
  }

 private:
  const std::string path_;
  int fd_;
};

absl::Status Broken(const std::string& path, absl::string_view why) {
  return absl::DataLossError(absl::StrCat(path, ": ", why));
}

absl::StatusOr<TierFileHeader> ReadHeader(File& file, const std::string& path) {
  if (!file.opened()) {
    if (errno == ENOENT) return absl::NotFoundError("the file is gone");
    return DiskError("open", path, errno);
  }
  struct stat info = {};
  if (::fstat(file.fd(), &info) != 0) return DiskError("look at", path, errno);
  std::string bytes(kTierFilePrefixBytes, '\0');
  SEMSAM_RETURN_IF_ERROR(file.Read(bytes.data(), bytes.size()));
  absl::StatusOr<size_t> size = TierFileHeaderBytes(bytes);
  if (!size.ok()) return Broken(path, size.status().message());
  bytes.resize(*size);
  SEMSAM_RETURN_IF_ERROR(
      file.Read(bytes.data() + kTierFilePrefixBytes, *size - kTierFilePrefixBytes));
  absl::StatusOr<TierFileHeader> header = DecodeTierFileHeader(bytes);
  if (!header.ok()) return Broken(path, header.status().message());
  // Before anything is allocated by what the header says.
  if (header->payload_bytes != static_cast<uint64_t>(info.st_size) - *size) {
    return Broken(path, "not as long as its header says");
  }
  return header;
}

absl::Status WritePart(const std::string& part, const std::string& header,
                       const std::string& payload) {
  File file(part, O_WRONLY | O_CREAT | O_TRUNC);
  if (!file.opened()) return DiskError("create", part, errno);
  SEMSAM_RETURN_IF_ERROR(file.Write(header));
  SEMSAM_RETURN_IF_ERROR(file.Write(payload));
  return file.Close();
}

}  // namespace

absl::Status DiskError(const std::string& what, const std::string& path, int error) {
  return absl::UnavailableError(
      absl::StrCat("cannot ", what, " ", path, ": ", std::strerror(error)));
}

absl::StatusOr<TierFileHeader> ReadTierFileHeader(const std::string& path) {
  File file(path, O_RDONLY);
  return ReadHeader(file, path);
}

absl::StatusOr<EmbeddingTier::Pointer> ReadTierFile(const std::string& path,
                                                    const EmbeddingKey& key) {
  File file(path, O_RDONLY);
  SEMSAM_ASSIGN_OR_RETURN(TierFileHeader header, ReadHeader(file, path));
  if (header.key != key) return Broken(path, "written for another key");
  auto stored = std::make_shared<StoredEmbedding>();
  stored->format = header.format;
  stored->model_digest = std::move(header.key.model_digest);
  stored->network_size = header.key.network_size;
  stored->bytes.resize(header.payload_bytes);
  SEMSAM_RETURN_IF_ERROR(file.Read(stored->bytes.data(), stored->bytes.size()));
  if (Crc32(stored->bytes) != header.payload_crc) return Broken(path, "the checksum is wrong");
  (void)::futimens(file.fd(), nullptr);  // or it is a little older to the next process
  return stored;
}

absl::Status WriteTierFile(const std::string& path, const std::string& header,
                           const std::string& payload) {
  const std::string part = path + ".part";
  absl::Status status = WritePart(part, header, payload);
  // Nothing is flushed to the disk here: a file that a crash cut short fails its
  // checksum, and an embedding can be made again.
  if (status.ok() && std::rename(part.c_str(), path.c_str()) != 0) {
    status = DiskError("rename", part, errno);
  }
  if (!status.ok()) ::unlink(part.c_str());
  return status;
}

bool TouchFile(const std::string& path) {
  return ::utimensat(AT_FDCWD, path.c_str(), nullptr, AT_SYMLINK_NOFOLLOW) == 0;
}

}  // namespace semsam
