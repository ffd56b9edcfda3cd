#include "server/cache/disk_tier.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <iterator>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "model/base/errors.h"
#include "model/base/status_macros.h"
#include "server/cache/tier_disk_io.h"
#include "server/cache/tier_file.h"

namespace semsam {
namespace {

namespace fs = std::filesystem;

constexpr char kSuffix[] = ".embedding";
constexpr char kPartSuffix[] = ".embedding.part";
constexpr size_t kNameDigits = 64;

bool IsNamedAsOurs(const std::string& file_name, std::string_view suffix) {
  return file_name.size() == kNameDigits + suffix.size() &&
         std::string_view(file_name).substr(kNameDigits) == suffix &&
         file_name.find_first_not_of("0123456789abcdef") == kNameDigits;
}

absl::Status Unusable(const std::string& directory, absl::string_view why) {
  return InvalidField("disk_cache_dir", absl::StrCat("cannot use ", directory, ": ", why));
}

// A file whose lock lives as long as the process, however it ends.
absl::StatusOr<int> LockDirectory(const std::string& directory) {
  if (::mkdir(directory.c_str(), 0700) != 0 && errno != EEXIST) {
    return Unusable(directory, std::strerror(errno));
  }
  const std::string path = absl::StrCat(directory, "/.semsam-lock");
  const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd < 0) return Unusable(directory, std::strerror(errno));
  if (::flock(fd, LOCK_EX | LOCK_NB) != 0) {
    const int error = errno;
    ::close(fd);
    return Unusable(directory,
                    error == EWOULDBLOCK ? "another server uses it" : std::strerror(error));
  }
  return fd;
}

// Of a file that is found at start.
struct Known {
  std::string name;
  int64_t bytes = 0;
  fs::file_time_type used;
};

// Whether `entry` holds what `model_digest` can read, under the name of its key.
bool IsOfUse(const fs::directory_entry& entry, const std::string& name,
             const std::string& model_digest) {
  const absl::StatusOr<TierFileHeader> header = ReadTierFileHeader(entry.path().string());
  if (header.ok()) {
    return header->key.model_digest == model_digest && TierFileName(header->key) == name;
  }
  return !absl::IsDataLoss(header.status());
}

}  // namespace

absl::StatusOr<std::unique_ptr<DiskTier>> DiskTier::Open(const DiskTierOptions& options) {
  SEMSAM_ASSIGN_OR_RETURN(const int lock_file, LockDirectory(options.directory));
  std::unique_ptr<DiskTier> tier(new DiskTier(options, lock_file));
  SEMSAM_RETURN_IF_ERROR(tier->Scan());
  return tier;
}

DiskTier::DiskTier(const DiskTierOptions& options, int lock_file)
    : options_(options), lock_file_(lock_file) {}

DiskTier::~DiskTier() { ::close(lock_file_); }

absl::Status DiskTier::Scan() {
  std::vector<Known> found;
  std::error_code error;
  for (fs::directory_iterator it(options_.directory, error), end; it != end; it.increment(error)) {
    const std::string file_name = it->path().filename().string();
    std::error_code ignored;
    if (!fs::is_regular_file(it->symlink_status(ignored))) continue;
    if (IsNamedAsOurs(file_name, kPartSuffix)) {
      fs::remove(it->path(), ignored);
    } else if (IsNamedAsOurs(file_name, kSuffix)) {
      Known known{.name = file_name.substr(0, kNameDigits),
                  .bytes = static_cast<int64_t>(it->file_size(ignored)),
                  .used = it->last_write_time(ignored)};
      if (IsOfUse(*it, known.name, options_.model_digest)) {
        found.push_back(std::move(known));
      } else {
        fs::remove(it->path(), ignored);
      }
    }
  }
  if (error) return Unusable(options_.directory, error.message());
  std::sort(found.begin(), found.end(),
            [](const Known& a, const Known& b) { return a.used < b.used; });
  MutexLock lock(mutex_);
  for (Known& known : found) InsertLocked(std::move(known.name), known.bytes);
  MakeRoomLocked(/*bytes=*/0);
  return absl::OkStatus();
}

std::string DiskTier::PathOf(const std::string& name) const {
  return absl::StrCat(options_.directory, "/", name, kSuffix);
}

void DiskTier::InsertLocked(std::string name, int64_t bytes) {
  order_.push_front({std::move(name), bytes});
  by_name_.emplace(order_.front().name, order_.begin());
  bytes_ += bytes;
}

void DiskTier::EraseLocked(Order::iterator entry) {
  ::unlink(PathOf(entry->name).c_str());
  bytes_ -= entry->bytes;
  by_name_.erase(entry->name);
  order_.erase(entry);
}

void DiskTier::MakeRoomLocked(int64_t bytes) {
  while (!order_.empty() && bytes_ > options_.budget_bytes - bytes) {
    EraseLocked(std::prev(order_.end()));
    ++evicted_;
  }
}

absl::StatusOr<EmbeddingTier::Pointer> DiskTier::Find(const EmbeddingKey& key) {
  const std::string name = TierFileName(key);
  MutexLock lock(mutex_);
  const auto found = by_name_.find(name);
  if (found == by_name_.end()) return absl::NotFoundError("not held on disk");
  absl::StatusOr<Pointer> stored = ReadTierFile(PathOf(name), key);
  if (stored.ok()) {
    order_.splice(order_.begin(), order_, found->second);
  } else if (!absl::IsUnavailable(stored.status())) {
    EraseLocked(found->second);
  }
  return stored;
}

bool DiskTier::Touch(const EmbeddingKey& key) {
  const std::string name = TierFileName(key);
  MutexLock lock(mutex_);
  const auto found = by_name_.find(name);
  if (found == by_name_.end()) return false;
  if (!TouchFile(PathOf(name))) {
    EraseLocked(found->second);
    return false;
  }
  order_.splice(order_.begin(), order_, found->second);
  return true;
}

absl::Status DiskTier::Put(const EmbeddingKey& key, const Pointer& stored) {
  SEMSAM_RETURN_IF_ERROR(CheckIsOf(*stored, key));
  SEMSAM_ASSIGN_OR_RETURN(const std::string header,
                          EncodeTierFileHeader({.key = key,
                                                .format = stored->format,
                                                .payload_bytes = stored->bytes.size(),
                                                .payload_crc = Crc32(stored->bytes)}));
  const auto bytes = static_cast<int64_t>(header.size() + stored->bytes.size());
  if (bytes > options_.budget_bytes) {
    return absl::ResourceExhaustedError(
        absl::StrCat("an embedding of ", bytes, " bytes is above the whole of the disk cache, ",
                     options_.budget_bytes, " bytes"));
  }
  std::string name = TierFileName(key);
  MutexLock lock(mutex_);
  if (const auto found = by_name_.find(name); found != by_name_.end()) EraseLocked(found->second);
  MakeRoomLocked(bytes);
  SEMSAM_RETURN_IF_ERROR(WriteTierFile(PathOf(name), header, stored->bytes));
  InsertLocked(std::move(name), bytes);
  return absl::OkStatus();
}

void DiskTier::Remove(const EmbeddingKey& key) {
  MutexLock lock(mutex_);
  if (const auto found = by_name_.find(TierFileName(key)); found != by_name_.end()) {
    EraseLocked(found->second);
  }
}

TierStats DiskTier::stats() const {
  MutexLock lock(mutex_);
  return {.bytes = bytes_,
          .capacity_bytes = options_.budget_bytes,
          .entries = static_cast<int64_t>(order_.size()),
          .evicted = evicted_};
}

}  // namespace semsam
