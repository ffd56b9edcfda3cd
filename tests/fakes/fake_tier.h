// A tier in memory that can be held, and that fails on demand.
#ifndef SEMSAM_TESTS_FAKES_FAKE_TIER_H_
#define SEMSAM_TESTS_FAKES_FAKE_TIER_H_

#include <algorithm>
#include <functional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "model/base/mutex.h"
#include "server/cache/embedding_tier.h"

namespace semsam {

struct FakeTierOptions {
  TierKind kind = TierKind::kHost;
  // Run at the start of each call; block on them, or fail.
  std::function<absl::Status()> on_find;
  std::function<absl::Status()> on_put;
};

// Thread-safe.
class FakeTier final : public EmbeddingTier {
 public:
  explicit FakeTier(FakeTierOptions options = {}) : options_(std::move(options)) {}

  TierKind kind() const override { return options_.kind; }
  bool outlives_process() const override { return options_.kind == TierKind::kDisk; }

  absl::StatusOr<Pointer> Find(const EmbeddingKey& key) override {
    Log("find " + key.image_sha256);
    if (options_.on_find) {
      if (absl::Status status = options_.on_find(); !status.ok()) return status;
    }
    MutexLock lock(mutex_);
    const auto found = held_.find(key);
    if (found == held_.end()) return absl::NotFoundError("not held");
    return found->second;
  }
  bool Touch(const EmbeddingKey& key) override {
    MutexLock lock(mutex_);
    return held_.contains(key);
  }
  absl::Status Put(const EmbeddingKey& key, const Pointer& stored) override {
    Log("put " + key.image_sha256);
    if (options_.on_put) {
      if (absl::Status status = options_.on_put(); !status.ok()) return status;
    }
    MutexLock lock(mutex_);
    held_[key] = stored;
    return absl::OkStatus();
  }
  void Remove(const EmbeddingKey& key) override {
    Log("remove " + key.image_sha256);
    MutexLock lock(mutex_);
    held_.erase(key);
  }
  TierStats stats() const override {
    MutexLock lock(mutex_);
    return {.bytes = 10 * static_cast<int64_t>(held_.size()),
            .capacity_bytes = 100,
            .entries = static_cast<int64_t>(held_.size())};
  }

  // Waits until `call` has begun.
  void WaitFor(const std::string& call) {
    MutexLock lock(mutex_);
    while (std::find(calls_.begin(), calls_.end(), call) == calls_.end()) called_.Wait(mutex_);
  }

  // Calls in order, but for Touch.
  std::vector<std::string> calls() const {
    MutexLock lock(mutex_);
    return calls_;
  }

 private:
  void Log(std::string call) {
    MutexLock lock(mutex_);
    calls_.push_back(std::move(call));
    called_.NotifyAll();
  }

  const FakeTierOptions options_;
  mutable Mutex mutex_;
  CondVar called_;
  std::unordered_map<EmbeddingKey, Pointer, EmbeddingKeyHash> held_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::string> calls_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace semsam

#endif  // SEMSAM_TESTS_FAKES_FAKE_TIER_H_
