#include "server/rpc/watched_file.h"

#include <cerrno>
#include <cstring>
#include <fstream>
#include <utility>

#include "absl/strings/str_cat.h"
#include "model/base/errors.h"

namespace semsam {
namespace {

constexpr std::streamsize kMaxBytes = 1 << 20;

bool SameTime(const timespec& a, const timespec& b) {
  return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

bool SameFile(const struct stat& a, const struct stat& b) {
  return a.st_dev == b.st_dev && a.st_ino == b.st_ino && a.st_size == b.st_size &&
         SameTime(a.st_mtim, b.st_mtim) && SameTime(a.st_ctim, b.st_ctim);
}

}  // namespace

absl::StatusOr<std::string> ReadSmallFile(const std::string& path, const std::string& field) {
  std::ifstream file(path, std::ios::binary);
  if (!file) {
    const int error = errno;
    return InvalidField(field, absl::StrCat("cannot read ", path, ": ", std::strerror(error)));
  }
  std::string text(kMaxBytes + 1, '\0');
  file.read(text.data(), kMaxBytes + 1);
  if (file.bad()) return InvalidField(field, absl::StrCat("cannot read ", path));
  if (file.gcount() > kMaxBytes) {
    return InvalidField(field, absl::StrCat(path, " is larger than ", kMaxBytes, " bytes"));
  }
  text.resize(static_cast<size_t>(file.gcount()));
  text.shrink_to_fit();
  return text;
}

WatchedFile::WatchedFile(std::string path, std::string field)
    : path_(std::move(path)), field_(std::move(field)) {}

absl::StatusOr<std::optional<std::string>> WatchedFile::ReadIfChanged() {
  // Looked at before it is read: a change in between is seen the next time.
  struct stat now = {};
  if (stat(path_.c_str(), &now) != 0) now = {};
  if (looked_ && SameFile(now, seen_)) return std::nullopt;
  looked_ = true;
  seen_ = now;
  absl::StatusOr<std::string> text = ReadSmallFile(path_, field_);
  if (!text.ok()) return std::move(text).status();
  return std::optional<std::string>(*std::move(text));
}

}  // namespace semsam
