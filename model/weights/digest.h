// SHA-256 of bytes, and of a model's tensors.
#ifndef SEMSAM_MODEL_WEIGHTS_DIGEST_H_
#define SEMSAM_MODEL_WEIGHTS_DIGEST_H_

#include <cstddef>
#include <memory>
#include <span>
#include <string>

#include "absl/status/statusor.h"
#include "model/weights/weight_map.h"

struct evp_md_ctx_st;

namespace semsam {

// Update as often as needed, then Hex once. Not thread-safe.
class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(const Sha256&) = delete;
  Sha256& operator=(const Sha256&) = delete;

  void Update(std::span<const std::byte> bytes);

  // 64 lower-case digits. INTERNAL if the library refused any step.
  absl::StatusOr<std::string> Hex();

 private:
  struct FreeContext {
    void operator()(evp_md_ctx_st* context) const;
  };
  std::unique_ptr<evp_md_ctx_st, FreeContext> context_;
  bool ok_;
};

// What a model is known by: SHA-256 over its tensors in the order of their
// names, of each the length of the name, the name, type, shape, and the packed
// little-endian elements. The same for a checkpoint and for the safetensors file
// made of it, unless the conversion changes the type.
absl::StatusOr<std::string> TensorDigest(const WeightMap& weights);

bool IsDigest(const std::string& text);

}  // namespace semsam

#endif  // SEMSAM_MODEL_WEIGHTS_DIGEST_H_
