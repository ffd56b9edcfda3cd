// Stored embeddings in files of one directory under a byte budget, least recently used
// out first.
//
// Guarantees
//   - A file is complete under its name or not there: it is written as `.part` and
//     renamed. What a crash or a bad disk left of one is found out by its checksums, is
//     a miss, and is removed; so is the file of another model.
//   - What was put in is found again by the next process that opens the directory, in
//     the order of use.
//   - The tier owns the directory alone, and touches no file that is not named as its
//     own are (see TierFileName). stats().bytes is the sum of their sizes and never
//     above the budget.
//   - No failure of the disk is more than an error of the one call that met it.
// Files are readable by their owner alone: they hold what pictures look like to the
// model. Thread-safe; blocks for as long as the disk takes.
#ifndef SEMSAM_SERVER_CACHE_DISK_TIER_H_
#define SEMSAM_SERVER_CACHE_DISK_TIER_H_

#include <cstdint>
#include <list>
#include <memory>
#include <string>
#include <unordered_map>

#include "model/base/mutex.h"
#include "server/cache/embedding_tier.h"

namespace semsam {

struct DiskTierOptions {
  std::string directory;  // made if it is not there; its parent is
  int64_t budget_bytes = 0;
  std::string model_digest;  // of the embeddings that are of use
};

class DiskTier final : public EmbeddingTier {
 public:
  // INVALID_ARGUMENT that names `disk_cache_dir` where the directory cannot be used, or
  // another process uses it.
  static absl::StatusOr<std::unique_ptr<DiskTier>> Open(const DiskTierOptions& options);
  ~DiskTier() override;
  DiskTier(const DiskTier&) = delete;
  DiskTier& operator=(const DiskTier&) = delete;

  TierKind kind() const override { return TierKind::kDisk; }
  bool outlives_process() const override { return true; }
  // DATA_LOSS for a file that was broken, and is no more; UNAVAILABLE for one that
  // cannot be read.
  absl::StatusOr<Pointer> Find(const EmbeddingKey& key) override;
  bool Touch(const EmbeddingKey& key) override;
  // RESOURCE_EXHAUSTED for what is above the whole budget, UNAVAILABLE where the file
  // cannot be written: then nothing is left of it.
  absl::Status Put(const EmbeddingKey& key, const Pointer& stored) override;
  void Remove(const EmbeddingKey& key) override;
  TierStats stats() const override;

 private:
  struct Entry {
    std::string name;   // 64 hex digits
    int64_t bytes = 0;  // of the file
  };
  using Order = std::list<Entry>;

  // `lock_file`: descriptor whose lock says that the directory is ours.
  DiskTier(const DiskTierOptions& options, int lock_file);

  // Takes stock of the directory.
  absl::Status Scan();
  std::string PathOf(const std::string& name) const;
  void InsertLocked(std::string name, int64_t bytes) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Takes the entry out of the books, and its file from the disk.
  void EraseLocked(Order::iterator entry) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void MakeRoomLocked(int64_t bytes) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const DiskTierOptions options_;
  const int lock_file_;

  // Held while files are read and written, too: the books and the disk say the same.
  mutable Mutex mutex_;
  Order order_ ABSL_GUARDED_BY(mutex_);  // most recently used first
  std::unordered_map<std::string, Order::iterator> by_name_ ABSL_GUARDED_BY(mutex_);
  int64_t bytes_ ABSL_GUARDED_BY(mutex_) = 0;
  int64_t evicted_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace semsam

#endif  // SEMSAM_SERVER_CACHE_DISK_TIER_H_
