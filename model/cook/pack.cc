#include "model/cook/pack.h"

#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <map>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "model/base/errors.h"
#include "model/base/mutex.h"
#include "model/base/status_macros.h"
#include "model/data/files.h"
#include "model/data/folder_sample.h"

namespace semsam {
namespace {

// The workers of one pack.
class Kitchen {
 public:
  Kitchen(std::string folder, std::string name, size_t count, const MakeSample& make,
          const PackOptions& options)
      : folder_(std::move(folder)),
        name_(std::move(name)),
        count_(count),
        make_(make),
        options_(options) {}

  absl::StatusOr<PackCounts> Run() {
    std::vector<std::thread> workers;
    for (int i = 1; i < options_.threads; ++i) {
      workers.emplace_back([this] { Work(); });
    }
    Work();
    for (std::thread& worker : workers) worker.join();
    MutexLock lock(mutex_);
    if (!errors_.empty()) return errors_.begin()->second;
    return counts_;
  }

 private:
  void Work() {
    for (;;) {
      size_t index = 0;
      {
        MutexLock lock(mutex_);
        if (next_ == count_ || !errors_.empty()) return;
        index = next_++;
      }
      const absl::StatusOr<size_t> masks = Cook(index);
      MutexLock lock(mutex_);
      if (!masks.ok()) {
        errors_.emplace(index, masks.status());
        return;
      }
      ++counts_.samples;
      counts_.masks += static_cast<int64_t>(*masks);
    }
  }

  absl::StatusOr<size_t> Cook(size_t index) const {
    SEMSAM_ASSIGN_OR_RETURN(LoadedSample loaded, make_(index));
    const std::string name =
        loaded.sample.name.empty() ? absl::StrFormat("%s-%06d", name_, index) : loaded.sample.name;
    SEMSAM_RETURN_IF_ERROR(
        WriteFolderSample(folder_, name, loaded, {.jpeg_quality = options_.jpeg_quality}));
    return loaded.sample.annotations.size();
  }

  const std::string folder_;
  const std::string name_;
  const size_t count_;
  const MakeSample& make_;
  const PackOptions& options_;
  Mutex mutex_;
  size_t next_ ABSL_GUARDED_BY(mutex_) = 0;
  PackCounts counts_ ABSL_GUARDED_BY(mutex_);
  std::map<size_t, absl::Status> errors_ ABSL_GUARDED_BY(mutex_);  // by index
};

absl::Status RemoveTree(const std::string& folder) {
  std::error_code error;
  std::filesystem::remove_all(folder, error);
  return error ? FileError(folder, error.value()) : absl::OkStatus();
}

absl::StatusOr<PackCounts> Fill(const std::string& partial, const std::string& path,
                                const DatasetInfo& info, size_t count, const MakeSample& make,
                                const PackOptions& options) {
  SEMSAM_ASSIGN_OR_RETURN(
      const PackCounts counts,
      Kitchen(partial, std::string(BaseName(path)), count, make, options).Run());
  SEMSAM_RETURN_IF_ERROR(WriteFolderInfo(partial, info));
  if (std::rename(partial.c_str(), path.c_str()) != 0) return FileError(path, errno);
  return counts;
}

}  // namespace

absl::Status Validate(const PackOptions& options) {
  if (options.threads < 1 || options.threads > 64) {
    return InvalidField("threads", "must be between 1 and 64");
  }
  if (options.jpeg_quality < 1 || options.jpeg_quality > 100) {
    return InvalidField("jpeg_quality", "must be between 1 and 100");
  }
  return absl::OkStatus();
}

absl::StatusOr<PackCounts> WritePack(const std::string& path, const DatasetInfo& info, size_t count,
                                     const MakeSample& make, const PackOptions& options) {
  SEMSAM_RETURN_IF_ERROR(Validate(options));
  std::error_code error;
  if (std::filesystem::exists(path, error)) {
    return absl::AlreadyExistsError(absl::StrCat(path, ": is there already; remove it first"));
  }
  const std::string partial = absl::StrCat(path, ".partial");
  SEMSAM_RETURN_IF_ERROR(RemoveTree(partial));  // of a run that was ended
  std::filesystem::create_directories(partial, error);
  if (error) return FileError(partial, error.value());
  absl::StatusOr<PackCounts> counts = Fill(partial, path, info, count, make, options);
  // The first error counts, not the one of clearing away.
  if (!counts.ok()) RemoveTree(partial).IgnoreError();
  return counts;
}

}  // namespace semsam
