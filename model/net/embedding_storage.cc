#include "model/net/embedding_storage.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <type_traits>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "model/base/errors.h"
#include "model/base/status_macros.h"
#include "model/ops/cpu/kernels.h"
#include "model/ops/linear.h"

namespace semsam {
namespace {

static_assert(std::endian::native == std::endian::little, "the bytes are those of the machine");

constexpr std::array<char, 8> kMagic = {'S', 'E', 'M', 'S', 'A', 'M', 'E', 'M'};
constexpr uint32_t kVersion = 1;
constexpr size_t kTensors = 2;
// Far beyond any image, and small enough that no product of sizes overflows.
constexpr int kMaxSidePx = 1 << 20;
constexpr int64_t kMaxPanelWidth = 1024;
// Numbers that are rounded before they are appended: they stay in the first cache.
constexpr int64_t kChunk = 4096;
// Numbers below which a second thread costs more than it saves.
constexpr int64_t kGrain = 1 << 16;

enum class Kind : uint32_t { kMemory = 1, kMaskPanels = 2, kMaskFeatures = 3 };
enum class Encoding : uint32_t { kFloat = 1, kHalf = 2, kSigned8 = 3, kUnsigned8 = 4 };

struct Header {
  std::array<char, 8> magic = kMagic;
  uint32_t version = kVersion;
  uint32_t check = 0;
  int32_t height = 0;
  int32_t width = 0;
  uint32_t tensors = kTensors;
  uint32_t zero = 0;
};

struct Record {
  Kind kind = Kind::kMemory;
  Encoding encoding = Encoding::kFloat;
  int64_t outer = 0;
  int64_t channels = 0;
  int64_t inner = 1;
  int64_t bytes = 0;

  int64_t block() const { return channels * inner; }
  int64_t values() const { return outer * block(); }
  ops::cpu::ChannelShape shape() const { return {.channels = channels, .inner = inner}; }
};

struct Front {
  Header header;
  std::array<Record, kTensors> records;
};
static_assert(sizeof(Header) == 32 && sizeof(Record) == 40 && sizeof(Front) == 112);
static_assert(std::is_trivially_copyable_v<Front>);

// FNV-1a: another value in any one byte gives another check.
uint32_t CheckOf(Front front) {
  front.header.check = 0;
  std::array<unsigned char, sizeof(Front)> bytes;
  std::memcpy(bytes.data(), &front, sizeof(Front));
  uint32_t hash = 2166136261u;
  for (const unsigned char byte : bytes) hash = (hash ^ byte) * 16777619u;
  return hash;
}

bool HasScales(Encoding encoding) {
  return encoding == Encoding::kSigned8 || encoding == Encoding::kUnsigned8;
}

int64_t ValueBytes(Encoding encoding) {
  return encoding == Encoding::kFloat ? 4 : encoding == Encoding::kHalf ? 2 : 1;
}

int64_t ScaleBytes(const Record& record) {
  return HasScales(record.encoding) ? record.channels * 4 : 0;
}

int64_t PackedBytes(const Record& record) {
  return ScaleBytes(record) + record.values() * ValueBytes(record.encoding);
}

// ---- Sizes ------------------------------------------------------------------

struct FeatureShape {
  std::vector<ImageSize> levels;  // as PyramidMemory::levels
  int64_t tokens = 0;
  ImageSize grid;
};

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

const at::Tensor& MaskWeight(const SemanticSam& model) {
  return model.pixel_decoder().mask_projection().weight;
}

bool OnCpuKernels(const SemanticSam& model) {
  return ops::UseCpuKernel(model.path(), MaskWeight(model));
}

int64_t Panels(int64_t rows, int64_t width) { return (rows + width - 1) / width; }

// ---- Writing ----------------------------------------------------------------

// A tensor on its way into bytes.
struct Part {
  Record record;
  at::Tensor values;  // float32 on the host, contiguous
  std::vector<float> scales;
  std::vector<float> factors;  // their inverses
};

absl::Status NotFinite() { return absl::InternalError("the features of the image are not finite"); }

absl::Status ChooseScales(Part& part) {
  const auto channels = static_cast<size_t>(part.record.channels);
  // 0 is among the numbers that must be met exactly.
  std::vector<float> low(channels, 0), high(channels, 0);
  if (!ops::cpu::BestKernels().channel_range(part.values.const_data_ptr<float>(), part.record.outer,
                                             part.record.shape(), low.data(), high.data())) {
    return NotFinite();
  }
  const bool negative = std::any_of(low.begin(), low.end(), [](float value) { return value < 0; });
  const bool is_signed = part.record.kind == Kind::kMemory || negative;
  part.record.encoding = is_signed ? Encoding::kSigned8 : Encoding::kUnsigned8;
  const float steps = is_signed ? 127 : 255;
  for (size_t c = 0; c < channels; ++c) {
    const float bound = std::max(-low[c], high[c]);
    // Below that, a factor would be infinite, and the numbers are nothing to a model.
    const bool any = bound > 1e-30f;
    part.scales.push_back(any ? bound / steps : 0);
    part.factors.push_back(any ? steps / bound : 0);
  }
  return absl::OkStatus();
}

absl::StatusOr<Part> Prepare(Kind kind, const at::Tensor& tensor, StorageFormat format) {
  Part part{.values = tensor.to(at::kCPU).contiguous()};
  TORCH_CHECK(part.values.scalar_type() == at::kFloat, "features are float32");
  part.record = {.kind = kind,
                 .outer = part.values.size(0),
                 .channels = part.values.size(1),
                 .inner = part.values.dim() == 3 ? part.values.size(2) : 1};
  switch (format) {
    case StorageFormat::kFp32:
      part.record.encoding = Encoding::kFloat;
      break;
    case StorageFormat::kFp16:
      part.record.encoding = Encoding::kHalf;
      break;
    case StorageFormat::kInt8:
      SEMSAM_RETURN_IF_ERROR(ChooseScales(part));
      break;
    default:
      return InvalidField("format", "is unknown");
  }
  part.record.bytes = PackedBytes(part.record);
  return part;
}

template <typename T>
void AppendRaw(const T* data, int64_t bytes, std::string& out) {
  out.append(reinterpret_cast<const char*>(data), static_cast<size_t>(bytes));
}

// By chunks: a string that is made longer first writes zeros all over it.
absl::Status AppendValues(const Part& part, std::string& out) {
  const Record& record = part.record;
  const float* values = part.values.const_data_ptr<float>();
  if (record.encoding == Encoding::kFloat) {
    AppendRaw(values, record.bytes, out);
    return absl::OkStatus();
  }
  AppendRaw(part.scales.data(), ScaleBytes(record), out);
  const ops::cpu::Kernels& kernels = ops::cpu::BestKernels();
  const int64_t rows = std::max<int64_t>(1, kChunk / record.block());
  std::vector<uint16_t> half(record.encoding == Encoding::kHalf ? rows * record.block() : 0);
  std::vector<uint8_t> bytes(HasScales(record.encoding) ? rows * record.block() : 0);
  for (int64_t first = 0; first < record.outer; first += rows) {
    const int64_t outer = std::min(rows, record.outer - first);
    const int64_t count = outer * record.block();
    const float* chunk = values + first * record.block();
    if (record.encoding == Encoding::kHalf) {
      if (!kernels.to_half(chunk, count, half.data())) return NotFinite();
      AppendRaw(half.data(), count * 2, out);
    } else {
      kernels.to_bytes(chunk, outer, record.shape(), part.factors.data(), bytes.data());
      AppendRaw(bytes.data(), count, out);
    }
  }
  return absl::OkStatus();
}

// ---- Reading ----------------------------------------------------------------

absl::Status BadBytes(std::string_view message) { return InvalidField("stored.bytes", message); }

absl::StatusOr<Front> ReadFront(const StoredEmbedding& stored) {
  Front front;
  if (stored.bytes.size() < sizeof(front)) return BadBytes("end within their header");
  std::memcpy(&front, stored.bytes.data(), sizeof(front));
  const Header& header = front.header;
  if (header.magic != kMagic) return BadBytes("are no stored embedding");
  if (header.version != kVersion) {
    return BadBytes(absl::StrCat("have version ", header.version, ", not ", kVersion));
  }
  if (header.check != CheckOf(front) || header.tensors != kTensors) {
    return BadBytes("have a broken header");
  }
  if (ImageSize{header.height, header.width} != stored.network_size) {
    return InvalidField("stored.network_size", "is not that of the bytes");
  }
  return front;
}

bool EncodingFits(const Record& record, StorageFormat format) {
  switch (format) {
    case StorageFormat::kFp32:
      return record.encoding == Encoding::kFloat;
    case StorageFormat::kFp16:
      return record.encoding == Encoding::kHalf;
    case StorageFormat::kInt8:
      return record.encoding == Encoding::kSigned8 ||
             (record.encoding == Encoding::kUnsigned8 && record.kind != Kind::kMemory);
  }
  return false;
}

bool ShapeFits(const Record& record, const ModelConfig& config, const FeatureShape& shape) {
  switch (record.kind) {
    case Kind::kMemory:
      return record.outer == shape.tokens && record.inner == 1 &&
             record.channels == config.pixel_decoder.hidden_dim;
    case Kind::kMaskPanels:
      return record.inner > 0 && record.inner <= kMaxPanelWidth &&
             record.outer == Panels(shape.grid.area(), record.inner) &&
             record.channels == config.pixel_decoder.hidden_dim;
    case Kind::kMaskFeatures:
      return record.outer == shape.grid.area() && record.inner == 1 &&
             record.channels == config.pixel_decoder.mask_dim;
  }
  return false;
}

// Sizes and lengths: after this the bytes can be read.
absl::Status CheckRecords(const Front& front, const StoredEmbedding& stored,
                          const ModelConfig& config, const FeatureShape& shape) {
  const auto& [memory, mask] = front.records;
  if (memory.kind != Kind::kMemory || mask.kind == Kind::kMemory) {
    return BadBytes("hold other tensors than an embedding has");
  }
  int64_t size = sizeof(Front);
  for (const Record& record : front.records) {
    if (!EncodingFits(record, stored.format)) return BadBytes("are of another format");
    if (!ShapeFits(record, config, shape)) return BadBytes("have shapes that the model has not");
    if (record.bytes != PackedBytes(record)) return BadBytes("have a broken header");
    size += record.bytes;
  }
  if (size != static_cast<int64_t>(stored.bytes.size())) {
    return BadBytes(absl::StrCat("are ", stored.bytes.size(), ", not ", size));
  }
  return absl::OkStatus();
}

// Some of the numbers of `data`, [begin, end) of the outer dimension.
void ReadBlocks(const Record& record, const std::vector<float>& scales, const char* data,
                int64_t begin, int64_t end, float* values) {
  const ops::cpu::Kernels& kernels = ops::cpu::BestKernels();
  const int64_t first = begin * record.block();
  const int64_t outer = end - begin;
  data += first * ValueBytes(record.encoding);
  values += first;
  switch (record.encoding) {
    case Encoding::kFloat:
      std::memcpy(values, data, outer * record.block() * sizeof(float));
      return;
    case Encoding::kHalf:
      return kernels.from_half(reinterpret_cast<const uint16_t*>(data), outer * record.block(),
                               values);
    case Encoding::kSigned8:
      return kernels.from_signed_bytes(reinterpret_cast<const int8_t*>(data), outer, record.shape(),
                                       scales.data(), values);
    case Encoding::kUnsigned8:
      return kernels.from_unsigned_bytes(reinterpret_cast<const uint8_t*>(data), outer,
                                         record.shape(), scales.data(), values);
  }
}

// -> [outer, channels, inner] on the host.
absl::StatusOr<at::Tensor> ReadTensor(const Record& record, const char* data) {
  std::vector<float> scales(HasScales(record.encoding) ? record.channels : 0);
  if (!scales.empty()) std::memcpy(scales.data(), data, scales.size() * sizeof(float));
  for (const float scale : scales) {
    if (!(scale >= 0) || !std::isfinite(scale)) return BadBytes("have a scale that is no number");
  }
  data += ScaleBytes(record);
  at::Tensor tensor = at::empty({record.outer, record.channels, record.inner}, at::kFloat);
  float* values = tensor.mutable_data_ptr<float>();
  at::parallel_for(
      0, record.outer, std::max<int64_t>(1, kGrain / record.block()),
      [&](int64_t begin, int64_t end) { ReadBlocks(record, scales, data, begin, end, values); });
  return tensor;
}

// The mask map as the model's own Encode leaves it.
absl::Status TakeMask(const SemanticSam& model, const Record& record, const at::Tensor& mask,
                      ImageFeatures& features) {
  const at::Device device = MaskWeight(model).device();
  if (record.kind == Kind::kMaskFeatures) {
    if (OnCpuKernels(model)) return BadBytes("were stored by a model on another kind of device");
    features.mask_features = mask.squeeze(2).to(device);
    return absl::OkStatus();
  }
  if (OnCpuKernels(model) && record.inner == ops::cpu::BestKernels().panel_width) {
    features.mask_panels = mask;
    return absl::OkStatus();
  }
  const at::Tensor rows =
      mask.permute({0, 2, 1}).reshape({-1, record.channels}).slice(0, 0, features.grid.area());
  if (OnCpuKernels(model)) {
    features.mask_panels = ops::PackPanels(rows);
  } else {
    features.mask_features = model.pixel_decoder().mask_projection()(rows.to(device));
  }
  return absl::OkStatus();
}

}  // namespace

int64_t FeatureBytes(const SemanticSam& model, ImageSize network) {
  const PixelDecoderConfig& config = model.config().pixel_decoder;
  const FeatureShape shape = ShapeOf(model.config(), network);
  int64_t mask = shape.grid.area() * config.mask_dim;
  if (OnCpuKernels(model)) {
    const int64_t width = ops::cpu::BestKernels().panel_width;
    mask = Panels(shape.grid.area(), width) * width * config.hidden_dim;
  }
  return (shape.tokens * config.hidden_dim + mask) * static_cast<int64_t>(sizeof(float));
}

absl::StatusOr<std::string> PackFeatures(const ImageFeatures& features, ImageSize network,
                                         StorageFormat format) {
  const bool panels = features.mask_panels.defined();
  SEMSAM_ASSIGN_OR_RETURN(const Part memory,
                          Prepare(Kind::kMemory, features.memory.memory, format));
  SEMSAM_ASSIGN_OR_RETURN(const Part mask,
                          Prepare(panels ? Kind::kMaskPanels : Kind::kMaskFeatures,
                                  panels ? features.mask_panels : features.mask_features, format));
  Front front = {.header = {.height = network.height, .width = network.width},
                 .records = {memory.record, mask.record}};
  front.header.check = CheckOf(front);
  std::string bytes;
  bytes.reserve(sizeof(front) + memory.record.bytes + mask.record.bytes);
  AppendRaw(&front, sizeof(front), bytes);
  SEMSAM_RETURN_IF_ERROR(AppendValues(memory, bytes));
  SEMSAM_RETURN_IF_ERROR(AppendValues(mask, bytes));
  return bytes;
}

absl::StatusOr<ImageFeatures> UnpackFeatures(const SemanticSam& model,
                                             const StoredEmbedding& stored) {
  const ImageSize size = stored.network_size;
  if (size.height < 1 || size.width < 1 || size.height > kMaxSidePx || size.width > kMaxSidePx) {
    return InvalidField("stored.network_size", "is no size of an image");
  }
  SEMSAM_ASSIGN_OR_RETURN(const Front front, ReadFront(stored));
  FeatureShape shape = ShapeOf(model.config(), size);
  SEMSAM_RETURN_IF_ERROR(CheckRecords(front, stored, model.config(), shape));
  const auto& [memory_record, mask_record] = front.records;
  const char* data = stored.bytes.data() + sizeof(Front);
  SEMSAM_ASSIGN_OR_RETURN(const at::Tensor memory, ReadTensor(memory_record, data));
  SEMSAM_ASSIGN_OR_RETURN(const at::Tensor mask,
                          ReadTensor(mask_record, data + memory_record.bytes));
  ImageFeatures features{.memory = {.memory = memory.squeeze(2).to(MaskWeight(model).device()),
                                    .levels = std::move(shape.levels)},
                         .grid = shape.grid};
  SEMSAM_RETURN_IF_ERROR(TakeMask(model, mask_record, mask, features));
  return features;
}

}  // namespace semsam
