// Embeddings without a model, and short words for what tests of the cache do with them.
#ifndef SEMSAM_TESTS_SERVER_CACHE_EMBEDDING_CACHE_FIXTURE_H_
#define SEMSAM_TESTS_SERVER_CACHE_EMBEDDING_CACHE_FIXTURE_H_

#include <gtest/gtest.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "server/cache/embedding_cache.h"

namespace semsam {

class SizedEmbedding final : public Embedding {
 public:
  explicit SizedEmbedding(int64_t bytes, std::atomic<int>* alive = nullptr)
      : bytes_(bytes), alive_(alive) {
    if (alive_ != nullptr) ++*alive_;
  }
  ~SizedEmbedding() override {
    if (alive_ != nullptr) --*alive_;
  }
  int64_t size_bytes() const override { return bytes_; }
  ImageSize network_size() const override { return {8, 8}; }

 private:
  const int64_t bytes_;
  std::atomic<int>* const alive_;
};

inline EmbeddingKey Key(const std::string& sha256, ImageSize size = {640, 640}) {
  return {.model_digest = "m", .preprocessing = "p", .network_size = size, .image_sha256 = sha256};
}

inline std::shared_ptr<const Embedding> MakeEmbedding(int64_t bytes) {
  return std::make_shared<const SizedEmbedding>(bytes);
}

inline EmbeddingCache::OnMiss Lead(int64_t embedding_bytes = 0) {
  return {.lead = true, .embedding_bytes = embedding_bytes};
}

inline EmbeddingCache::OnMiss Fail() { return {.lead = false}; }

inline EmbeddingCache::Check AlwaysWanted() {
  return [](absl::Time /*now*/) { return absl::OkStatus(); };
}

// What a callback got, if it ran.
struct Answer {
  int calls = 0;
  absl::StatusOr<EmbeddingCache::Found> found = absl::UnknownError("not called");
};

inline EmbeddingCache::Callback Into(std::shared_ptr<Answer> answer) {
  return [answer = std::move(answer)](absl::StatusOr<EmbeddingCache::Found> found) {
    ++answer->calls;
    answer->found = std::move(found);
  };
}

class CacheCounts final : public EmbeddingCacheObserver {
 public:
  void OnLookup(CacheLookup outcome) override { ++lookups[static_cast<int>(outcome)]; }
  void OnEvicted(int64_t entries) override { evicted += entries; }
  void OnSize(int64_t new_bytes, int64_t new_entries) override {
    bytes = new_bytes;
    entries = new_entries;
  }
  int lookups[3] = {};
  int64_t evicted = 0;
  int64_t bytes = 0;
  int64_t entries = 0;
};

// Puts an embedding into the cache and lets go of it.
inline void Fill(EmbeddingCache& cache, const EmbeddingKey& key, int64_t bytes) {
  auto flight = cache.Get(key, Lead(), AlwaysWanted(),
                          [](absl::StatusOr<EmbeddingCache::Found> /*found*/) {});
  ASSERT_NE(flight, nullptr);
  flight->Finish(MakeEmbedding(bytes));
}

inline std::shared_ptr<const Embedding> Peek(EmbeddingCache& cache, const EmbeddingKey& key) {
  auto answer = std::make_shared<Answer>();
  auto flight = cache.Get(key, Fail(), AlwaysWanted(), Into(answer));
  EXPECT_EQ(flight, nullptr);
  EXPECT_EQ(answer->calls, 1);
  return answer->found.ok() ? answer->found->embedding : nullptr;
}

}  // namespace semsam

#endif  // SEMSAM_TESTS_SERVER_CACHE_EMBEDDING_CACHE_FIXTURE_H_
