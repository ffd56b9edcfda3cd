#include "model/data/json_records.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "model/base/status_macros.h"
#include "model/data/files.h"

namespace semsam {
namespace {

constexpr size_t kBlockBytes = 1 << 20;
constexpr size_t kMaxKeyBytes = 256;
constexpr int kMaxDepth = 64;

// What Tracker takes notice of.
constexpr std::array<bool, 256> kStructural = [] {
  std::array<bool, 256> structural = {};
  for (const char c : {'"', '\\', '{', '}', '[', ']'}) structural[static_cast<uint8_t>(c)] = true;
  return structural;
}();

bool IsSpace(char c) { return c == ' ' || c == '\n' || c == '\t' || c == '\r'; }

// Follows strings and brackets of a JSON text, one character at a time.
class Tracker {
 public:
  // False where the brackets do not match or go too deep.
  bool Feed(char c) {
    if (in_string_) {
      if (escaped_) {
        escaped_ = false;
      } else if (c == '\\') {
        escaped_ = true;
      } else if (c == '"') {
        in_string_ = false;
      }
      return true;
    }
    switch (c) {
      case '"':
        in_string_ = true;
        return true;
      case '{':
      case '[':
        if (depth_ == kMaxDepth) return false;
        open_[depth_++] = c;
        return true;
      case '}':
      case ']':
        return depth_ > 0 && open_[--depth_] == (c == '}' ? '{' : '[');
      default:
        return true;
    }
  }

  // Whether characters that are not structural change nothing.
  bool is_plain() const { return !escaped_; }
  int depth() const { return depth_; }
  bool in_string() const { return in_string_; }
  // The bracket that encloses depth `depth`.
  char open(int depth) const { return open_[depth]; }

 private:
  char open_[kMaxDepth] = {};
  int depth_ = 0;
  bool in_string_ = false;
  bool escaped_ = false;
};

// Cuts the stream of a file into records. Depth 1 is inside the outermost object,
// 2 inside one of its arrays, 3 and more inside a record.
class Cutter {
 public:
  Cutter(const std::string& path, const std::function<absl::Status(const JsonRecord&)>& visit)
      : path_(path), visit_(visit) {}

  absl::Status Feed(char c) {
    const int before = tracker_.depth();
    const bool was_string = tracker_.in_string();
    if (finished_ && !IsSpace(c)) return Bad("something follows the end");
    if (before == 0 && !finished_ && c != '{' && !IsSpace(c)) return Bad("not a JSON object");
    if (!tracker_.Feed(c)) return Bad("a bracket does not match");
    const int depth = tracker_.depth();
    if (before == 1) FollowKey(c, was_string);
    if (before == 1 && depth == 2) index_ = 0;
    const bool in_array = tracker_.open(1) == '[';
    if (in_array && before == 2 && depth == 3 && c == '{') begin_ = at_;
    if (begin_ >= 0) {
      record_.push_back(c);
      if (static_cast<int64_t>(record_.size()) > kMaxRecordBytes) {
        return Bad(absl::StrCat("a record of more than ", kMaxRecordBytes, " bytes"));
      }
    }
    if (begin_ >= 0 && depth == 2) SEMSAM_RETURN_IF_ERROR(EmitRecord());
    finished_ = finished_ || (before == 1 && depth == 0);
    ++at_;
    return absl::OkStatus();
  }

  // Takes the characters at the front of `text` that only belong to a record; how many.
  // Most of a file is numbers: one by one they would take several times as long.
  size_t FeedPlain(std::string_view text) {
    if (begin_ < 0 || !tracker_.is_plain()) return 0;
    size_t count = 0;
    while (count < text.size() && !kStructural[static_cast<uint8_t>(text[count])]) ++count;
    record_.append(text.substr(0, count));
    at_ += static_cast<int64_t>(count);
    return count;
  }

  absl::Status Finish() const {
    return finished_ ? absl::OkStatus() : Bad("the file is cut short");
  }

 private:
  absl::Status Bad(absl::string_view what) const {
    return absl::InvalidArgumentError(absl::StrCat(path_, ": byte ", at_, ": ", what));
  }

  // The last string before a value is its key.
  void FollowKey(char c, bool was_string) {
    if (!was_string && c == '"') {
      key_.clear();
    } else if (was_string && tracker_.in_string() && key_.size() < kMaxKeyBytes) {
      key_.push_back(c);
    }
  }

  absl::Status EmitRecord() {
    const JsonRecord record = {
        .array = key_,
        .index = index_++,
        .text = record_,
        .place = {.offset = begin_, .length = static_cast<int32_t>(record_.size())}};
    const absl::Status status = visit_(record);
    begin_ = -1;
    record_.clear();
    return status;
  }

  const std::string& path_;
  const std::function<absl::Status(const JsonRecord&)>& visit_;
  Tracker tracker_;
  std::string key_;
  std::string record_;
  int64_t at_ = 0;
  int64_t begin_ = -1;  // of the record that is open
  int64_t index_ = 0;
  bool finished_ = false;
};

absl::StatusOr<size_t> ReadAt(int fd, const std::string& path, int64_t offset, char* to,
                              size_t count) {
  size_t got = 0;
  while (got < count) {
    const ssize_t read =
        ::pread(fd, to + got, count - got, static_cast<off_t>(offset + static_cast<int64_t>(got)));
    if (read < 0 && errno == EINTR) continue;
    if (read < 0) return FileError(path, errno);
    if (read == 0) break;
    got += static_cast<size_t>(read);
  }
  return got;
}

}  // namespace

absl::StatusOr<std::unique_ptr<JsonRecordFile>> JsonRecordFile::Open(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return FileError(path, errno);
  std::unique_ptr<JsonRecordFile> file(new JsonRecordFile(path, fd));
  struct stat about = {};
  if (::fstat(fd, &about) != 0) return FileError(path, errno);
  if (!S_ISREG(about.st_mode)) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": not a plain file"));
  }
  return file;
}

JsonRecordFile::~JsonRecordFile() { ::close(fd_); }

absl::Status JsonRecordFile::ForEach(
    const std::function<absl::Status(const JsonRecord&)>& visit) const {
  Cutter cutter(path_, visit);
  std::vector<char> block(kBlockBytes);
  for (int64_t offset = 0;;) {
    SEMSAM_ASSIGN_OR_RETURN(const size_t count,
                            ReadAt(fd_, path_, offset, block.data(), block.size()));
    for (size_t i = 0; i < count;) {
      i += cutter.FeedPlain({block.data() + i, count - i});
      if (i < count) SEMSAM_RETURN_IF_ERROR(cutter.Feed(block[i++]));
    }
    offset += static_cast<int64_t>(count);
    if (count < block.size()) return cutter.Finish();
  }
}

absl::StatusOr<std::string> JsonRecordFile::Read(RecordPlace place) const {
  std::string text(static_cast<size_t>(place.length), '\0');
  SEMSAM_ASSIGN_OR_RETURN(const size_t count,
                          ReadAt(fd_, path_, place.offset, text.data(), text.size()));
  if (count != text.size()) {
    return absl::UnavailableError(absl::StrCat(path_, ": has become shorter"));
  }
  return text;
}

std::optional<int64_t> FindInteger(std::string_view text, std::string_view key) {
  Tracker tracker;
  size_t key_begin = 0;
  std::string_view last;  // string at depth 1
  for (size_t i = 0; i < text.size(); ++i) {
    const bool was_string = tracker.in_string();
    if (tracker.depth() > 1 && tracker.is_plain() && !kStructural[static_cast<uint8_t>(text[i])]) {
      continue;
    }
    if (!tracker.Feed(text[i])) return std::nullopt;
    if (tracker.depth() != 1) continue;
    if (!was_string && tracker.in_string()) key_begin = i + 1;
    if (was_string && !tracker.in_string()) last = text.substr(key_begin, i - key_begin);
    if (was_string || text[i] != ':' || last != key) continue;
    size_t begin = i + 1;
    while (begin < text.size() && IsSpace(text[begin])) ++begin;
    int64_t value = 0;
    const auto [end, error] =
        std::from_chars(text.data() + begin, text.data() + text.size(), value);
    const bool ends =
        end < text.data() + text.size() && (*end == ',' || *end == '}' || IsSpace(*end));
    if (error != std::errc() || !ends) return std::nullopt;
    return value;
  }
  return std::nullopt;
}

}  // namespace semsam
