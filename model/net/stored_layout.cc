#include "model/net/stored_layout.h"

#include <bit>
#include <cstring>
#include <type_traits>

#include "absl/strings/str_cat.h"
#include "model/base/errors.h"
#include "model/base/status_macros.h"

namespace semsam {
namespace {

static_assert(std::endian::native == std::endian::little, "the bytes are those of the machine");
static_assert(std::is_trivially_copyable_v<StoredFront>);

// Far beyond any image, and small enough that no product of sizes overflows.
constexpr int kMaxSidePx = 1 << 20;
constexpr int64_t kMaxPanelWidth = 1024;

// FNV-1a: another value in any one byte gives another check.
uint32_t CheckOf(StoredFront front) {
  front.check = 0;
  std::array<unsigned char, sizeof(front)> bytes;
  std::memcpy(bytes.data(), &front, sizeof(front));
  uint32_t hash = 2166136261u;
  for (const unsigned char byte : bytes) hash = (hash ^ byte) * 16777619u;
  return hash;
}

absl::StatusOr<StoredFront> ReadFront(const StoredEmbedding& stored) {
  const StoredFront expected;
  StoredFront front;
  if (stored.bytes.size() < sizeof(front)) return BadBytes("end within their header");
  std::memcpy(&front, stored.bytes.data(), sizeof(front));
  if (front.magic != expected.magic) return BadBytes("are no stored embedding");
  if (front.version != expected.version) {
    return BadBytes(absl::StrCat("have version ", front.version, ", not ", expected.version));
  }
  if (front.check != CheckOf(front) || front.count != kStoredTensors) {
    return BadBytes("have a broken header");
  }
  if (ImageSize{front.height, front.width} != stored.network_size) {
    return InvalidField("stored.network_size", "is not that of the bytes");
  }
  return front;
}

bool EncodingFits(const StoredTensor& tensor, StorageFormat format) {
  switch (format) {
    case StorageFormat::kFp32:
      return tensor.encoding == StoredEncoding::kFloat;
    case StorageFormat::kFp16:
      return tensor.encoding == StoredEncoding::kHalf;
    case StorageFormat::kInt8:
      return tensor.encoding == StoredEncoding::kSigned8 ||
             (tensor.encoding == StoredEncoding::kUnsigned8 && tensor.kind != StoredKind::kMemory);
  }
  return false;
}

bool ShapeFits(const StoredTensor& tensor, const PixelDecoderConfig& config,
               const FeatureShape& shape) {
  switch (tensor.kind) {
    case StoredKind::kMemory:
      return tensor.outer == shape.tokens && tensor.inner == 1 &&
             tensor.channels == config.hidden_dim;
    case StoredKind::kMaskPanels:
      return tensor.inner > 0 && tensor.inner <= kMaxPanelWidth &&
             tensor.outer == PanelCount(shape.grid.area(), tensor.inner) &&
             tensor.channels == config.hidden_dim;
    case StoredKind::kMaskFeatures:
      return tensor.outer == shape.grid.area() && tensor.inner == 1 &&
             tensor.channels == config.mask_dim;
  }
  return false;
}

}  // namespace

bool StoredTensor::has_scales() const {
  return encoding == StoredEncoding::kSigned8 || encoding == StoredEncoding::kUnsigned8;
}

int64_t StoredTensor::scale_bytes() const {
  return has_scales() ? channels * static_cast<int64_t>(sizeof(float)) : 0;
}

int64_t StoredTensor::value_bytes() const {
  if (encoding == StoredEncoding::kFloat) return 4;
  return encoding == StoredEncoding::kHalf ? 2 : 1;
}

void Seal(StoredFront& front) { front.check = CheckOf(front); }

FeatureShape ShapeOf(const ModelConfig& config, ImageSize network) {
  const ImageSize padded = PaddedSize(config, network);
  FeatureShape shape;
  shape.grid = {padded.height / 4, padded.width / 4};
  const int finest = config.pixel_decoder.backbone_levels == 4 ? 4 : 8;
  ImageSize level = {padded.height / finest, padded.width / finest};
  for (int i = 0; i < config.pixel_decoder.feature_levels; ++i) {
    shape.levels.insert(shape.levels.begin(), level);
    shape.tokens += level.area();
    level = {(level.height + 1) / 2, (level.width + 1) / 2};
  }
  return shape;
}

absl::Status BadBytes(std::string_view message) { return InvalidField("stored.bytes", message); }

absl::StatusOr<StoredFront> CheckedFront(const StoredEmbedding& stored, const ModelConfig& config) {
  const ImageSize network = stored.network_size;
  if (network.height < 1 || network.width < 1 || network.height > kMaxSidePx ||
      network.width > kMaxSidePx) {
    return InvalidField("stored.network_size", "is no size of an image");
  }
  SEMSAM_ASSIGN_OR_RETURN(const StoredFront front, ReadFront(stored));
  if (front.tensors[0].kind != StoredKind::kMemory ||
      front.tensors[1].kind == StoredKind::kMemory) {
    return BadBytes("hold other tensors than an embedding has");
  }
  const FeatureShape shape = ShapeOf(config, network);
  int64_t size = sizeof(front);
  for (const StoredTensor& tensor : front.tensors) {
    if (!EncodingFits(tensor, stored.format)) return BadBytes("are of another format");
    if (!ShapeFits(tensor, config.pixel_decoder, shape)) {
      return BadBytes("have shapes that the model has not");
    }
    if (tensor.bytes != tensor.packed_bytes()) return BadBytes("have a broken header");
    size += tensor.bytes;
  }
  if (size != static_cast<int64_t>(stored.bytes.size())) {
    return BadBytes(absl::StrCat("are ", stored.bytes.size(), ", not ", size));
  }
  return front;
}

}  // namespace semsam
