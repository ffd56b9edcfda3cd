// How StoredEmbedding::bytes are laid out, and the check that some are so before
// anything is made of them.
//
// Little endian, without gaps:
//   header   "SEMSAMEM", then 32-bit numbers: version, check of header and records,
//            height and width (px, network frame), count of tensors, 0
//   records  one a tensor: kind and encoding (32 bits each), outer, channels, inner
//            and length in bytes (64 bits each)
//   tensors  in the order of the records, [outer, channels, inner]: float32, float16,
//            or a float32 scale a channel and then 8-bit integers
//
// The memory is [T, C, 1]. The mask map is [panels, C, width of a panel] where the CPU
// kernels made it and [pixels of the grid, M, 1] otherwise.
//
// Thread-safe: free functions without state.
#ifndef SEMSAM_MODEL_NET_STORED_LAYOUT_H_
#define SEMSAM_MODEL_NET_STORED_LAYOUT_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "model/base/model_config.h"
#include "model/base/types.h"
#include "model/segmenter.h"

namespace semsam {

enum class StoredKind : uint32_t { kMemory = 1, kMaskPanels = 2, kMaskFeatures = 3 };
enum class StoredEncoding : uint32_t { kFloat = 1, kHalf = 2, kSigned8 = 3, kUnsigned8 = 4 };

// A record.
struct StoredTensor {
  StoredKind kind = StoredKind::kMemory;
  StoredEncoding encoding = StoredEncoding::kFloat;
  int64_t outer = 0;
  int64_t channels = 0;
  int64_t inner = 1;
  int64_t bytes = 0;

  int64_t block() const { return channels * inner; }  // numbers of one outer index
  bool has_scales() const;
  int64_t scale_bytes() const;
  int64_t value_bytes() const;  // of one number
  // What `bytes` must be.
  int64_t packed_bytes() const { return scale_bytes() + outer * block() * value_bytes(); }
};

inline constexpr size_t kStoredTensors = 2;  // the memory, then the mask map

// All that comes before the numbers.
struct StoredFront {
  std::array<char, 8> magic = {'S', 'E', 'M', 'S', 'A', 'M', 'E', 'M'};
  uint32_t version = 1;
  uint32_t check = 0;
  int32_t height = 0;
  int32_t width = 0;
  uint32_t count = kStoredTensors;
  uint32_t zero = 0;
  std::array<StoredTensor, kStoredTensors> tensors;
};
static_assert(sizeof(StoredTensor) == 40 && sizeof(StoredFront) == 112);

// Sets the check.
void Seal(StoredFront& front);

// Sizes of what a model makes of an image.
struct FeatureShape {
  std::vector<ImageSize> levels;  // as PyramidMemory::levels
  int64_t tokens = 0;             // all their pixels
  ImageSize grid;                 // of the masks
};
// Of an image of `network` px, both sides positive.
FeatureShape ShapeOf(const ModelConfig& config, ImageSize network);

// Panels of `width` columns that hold `rows` of them.
inline int64_t PanelCount(int64_t rows, int64_t width) { return (rows + width - 1) / width; }

// INVALID_ARGUMENT that names `stored.bytes`.
absl::Status BadBytes(std::string_view message);

// The front of `stored`. Where this is OK, kinds, encodings and shapes are those of an
// embedding of this format, image and model, and the bytes are as many as they say.
// Errors: INVALID_ARGUMENT for anything else, a size that no image has included.
absl::StatusOr<StoredFront> CheckedFront(const StoredEmbedding& stored, const ModelConfig& config);

}  // namespace semsam

#endif  // SEMSAM_MODEL_NET_STORED_LAYOUT_H_
