// What an embedding is known by: the same key means the same features, of the same
// tenant. Nobody learns from a hit that somebody else has the picture.
#ifndef SEMSAM_SERVER_CACHE_EMBEDDING_KEY_H_
#define SEMSAM_SERVER_CACHE_EMBEDDING_KEY_H_

#include <cstddef>
#include <string>

#include "model/base/types.h"
#include "server/batching/tenant_id.h"

namespace semsam {

struct EmbeddingKey {
  TenantId tenant;
  std::string model_digest;   // of the weights
  std::string preprocessing;  // every setting between the bytes and the network
  ImageSize network_size;     // px, of the image that is encoded
  std::string image_sha256;   // hex, of the encoded bytes as uploaded

  friend bool operator==(const EmbeddingKey&, const EmbeddingKey&) = default;
};

struct EmbeddingKeyHash {
  size_t operator()(const EmbeddingKey& key) const;
};

}  // namespace semsam

#endif  // SEMSAM_SERVER_CACHE_EMBEDDING_KEY_H_
