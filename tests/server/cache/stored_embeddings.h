// Stored embeddings as tests of the tiers make them.
#ifndef SEMSAM_TESTS_SERVER_CACHE_STORED_EMBEDDINGS_H_
#define SEMSAM_TESTS_SERVER_CACHE_STORED_EMBEDDINGS_H_

#include <memory>
#include <string>
#include <utility>

#include "server/cache/embedding_tier.h"

namespace semsam {

inline constexpr ImageSize kStoredSize = {.height = 480, .width = 640};
inline constexpr char kStoredModel[] = "model";

inline EmbeddingKey StoredKey(const std::string& image, const std::string& tenant = "") {
  return {.tenant = {tenant},
          .model_digest = kStoredModel,
          .preprocessing = "p",
          .network_size = kStoredSize,
          .image_sha256 = image};
}

inline EmbeddingTier::Pointer Stored(std::string bytes) {
  return std::make_shared<const StoredEmbedding>(StoredEmbedding{.format = StorageFormat::kFp16,
                                                                 .model_digest = kStoredModel,
                                                                 .network_size = kStoredSize,
                                                                 .bytes = std::move(bytes)});
}

// The bytes under `key`, or the text of the error's code.
inline std::string BytesIn(EmbeddingTier& tier, const EmbeddingKey& key) {
  const absl::StatusOr<EmbeddingTier::Pointer> stored = tier.Find(key);
  if (stored.ok()) return (*stored)->bytes;
  return absl::StatusCodeToString(stored.status().code());
}

}  // namespace semsam

#endif  // SEMSAM_TESTS_SERVER_CACHE_STORED_EMBEDDINGS_H_
