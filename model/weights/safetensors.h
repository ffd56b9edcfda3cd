// The safetensors container: eight bytes of header length, a JSON header, then
// the tensors without gaps.
//
// Thread-safety: free functions.
#ifndef SEMSAM_MODEL_WEIGHTS_SAFETENSORS_H_
#define SEMSAM_MODEL_WEIGHTS_SAFETENSORS_H_

#include <cstddef>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "model/weights/tensor_view.h"

namespace semsam {

// As the format's own library has it.
inline constexpr size_t kMaxSafetensorsHeaderBytes = 100'000'000;

using Metadata = std::map<std::string, std::string>;

struct SafetensorsFile {
  std::vector<TensorView> tensors;  // in file order; views into the bytes
  Metadata metadata;
};

// True when the bytes start like a safetensors file; no checkpoint of PyTorch
// does.
bool LooksLikeSafetensors(std::span<const std::byte> bytes);

// Reads a whole file, usually a mapped one. INVALID_ARGUMENT, with what is wrong
// and where, for anything that is not exactly a safetensors file: unknown or
// repeated keys, an unknown dtype, sizes that disagree with the offsets,
// overlaps, gaps, data cut short. Allocates in proportion to the header.
absl::StatusOr<SafetensorsFile> ParseSafetensors(std::span<const std::byte> bytes);

// Writes `tensors` (strided ones packed) through a temporary file, so that
// `path` is never half written. Tensors of wide types come first, which aligns
// every one to its own size; otherwise the order is kept.
absl::Status WriteSafetensors(const std::string& path, std::span<const TensorView> tensors,
                              const Metadata& metadata);

}  // namespace semsam

#endif  // SEMSAM_MODEL_WEIGHTS_SAFETENSORS_H_
