#include "model/data/files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <system_error>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "model/base/status_macros.h"

namespace semsam {
namespace {

absl::string_view ToAbsl(std::string_view text) { return {text.data(), text.size()}; }

// Closes what it holds.
class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;

  int get() const { return fd_; }
  int Close() {
    const int result = ::close(fd_);
    fd_ = -1;
    return result;
  }

 private:
  int fd_;
};

absl::Status WriteAll(int fd, const std::string& path, std::string_view content) {
  while (!content.empty()) {
    const ssize_t written = ::write(fd, content.data(), content.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return FileError(path, errno);
    content.remove_prefix(static_cast<size_t>(written));
  }
  return absl::OkStatus();
}

absl::Status WriteNew(const std::string& path, std::string_view content) {
  Descriptor file(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666));
  if (file.get() < 0) return FileError(path, errno);
  SEMSAM_RETURN_IF_ERROR(WriteAll(file.get(), path, content));
  if (file.Close() != 0) return FileError(path, errno);
  return absl::OkStatus();
}

}  // namespace

absl::Status FileError(std::string_view path, int error) {
  const std::string text = absl::StrCat(ToAbsl(path), ": ", std::generic_category().message(error));
  if (error == ENOENT || error == ENOTDIR) return absl::NotFoundError(text);
  if (error == ENOSPC || error == EDQUOT || error == ENOMEM || error == EMFILE) {
    return absl::ResourceExhaustedError(text);
  }
  if (error == EACCES || error == EPERM) return absl::PermissionDeniedError(text);
  return absl::UnavailableError(text);
}

absl::StatusOr<std::string> ReadWholeFile(const std::string& path, int64_t max_bytes) {
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  struct stat about = {};
  if (file.get() < 0 || ::fstat(file.get(), &about) != 0) return FileError(path, errno);
  if (!S_ISREG(about.st_mode)) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": not a plain file"));
  }
  if (about.st_size > max_bytes) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": ", about.st_size, " bytes; at most ", max_bytes, " are accepted"));
  }
  std::string content(static_cast<size_t>(about.st_size), '\0');
  size_t got = 0;
  while (got < content.size()) {
    const ssize_t count = ::read(file.get(), content.data() + got, content.size() - got);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return FileError(path, errno);
    if (count == 0) break;  // it has shrunk meanwhile
    got += static_cast<size_t>(count);
  }
  content.resize(got);
  return content;
}

absl::StatusOr<std::vector<std::string>> ListFolder(const std::string& folder,
                                                    const std::vector<std::string>& endings) {
  std::error_code error;
  std::filesystem::directory_iterator entries(folder, error);
  if (error) return FileError(folder, error.value());
  std::vector<std::string> names;
  for (; entries != std::filesystem::directory_iterator(); entries.increment(error)) {
    const std::string name = entries->path().filename().string();
    const bool wanted = std::any_of(endings.begin(), endings.end(), [&](const std::string& e) {
      return absl::EndsWithIgnoreCase(name, e);
    });
    std::error_code unreadable;
    if (wanted && entries->is_regular_file(unreadable)) names.push_back(name);
    if (names.size() > kMaxFolderEntries) {
      return absl::InvalidArgumentError(
          absl::StrCat(folder, ": more than ", kMaxFolderEntries, " files"));
    }
  }
  if (error) return FileError(folder, error.value());
  std::sort(names.begin(), names.end());
  return names;
}

bool IsFile(const std::string& path) {
  std::error_code error;
  return std::filesystem::is_regular_file(path, error);
}

bool IsFolder(const std::string& path) {
  std::error_code error;
  return std::filesystem::is_directory(path, error);
}

absl::Status WriteWholeFile(const std::string& path, std::string_view content) {
  // Two writers of one name, threads or processes, must not share it.
  static std::atomic<uint64_t> counter = 0;
  const std::string temporary = absl::StrCat(path, ".", ::getpid(), "-", ++counter, ".tmp");
  absl::Status status = WriteNew(temporary, content);
  if (status.ok() && std::rename(temporary.c_str(), path.c_str()) != 0) {
    status = FileError(path, errno);
  }
  if (!status.ok()) ::unlink(temporary.c_str());
  return status;
}

std::string JoinPath(std::string_view folder, std::string_view name) {
  if (folder.empty() || (!name.empty() && name.front() == '/')) return std::string(name);
  return absl::StrCat(ToAbsl(folder), folder.back() == '/' ? "" : "/", ToAbsl(name));
}

std::string_view BaseName(std::string_view path) {
  const size_t slash = path.rfind('/');
  return slash == std::string_view::npos ? path : path.substr(slash + 1);
}

std::string_view WithoutEnding(std::string_view path) {
  const size_t dot = path.rfind('.');
  const size_t slash = path.rfind('/');
  if (dot == std::string_view::npos || dot == 0) return path;
  if (slash != std::string_view::npos && dot <= slash + 1) return path;
  return path.substr(0, dot);
}

bool StaysInside(std::string_view name) {
  if (name.empty() || name.front() == '/' || name.find('\0') != std::string_view::npos) {
    return false;
  }
  for (size_t at = 0; at <= name.size();) {
    const size_t end = std::min(name.find('/', at), name.size());
    if (name.substr(at, end - at) == "..") return false;
    at = end + 1;
  }
  return true;
}

}  // namespace semsam
