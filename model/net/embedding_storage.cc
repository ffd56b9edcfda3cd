#include "model/net/embedding_storage.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <utility>
#include <vector>

#include "model/base/errors.h"
#include "model/base/status_macros.h"
#include "model/net/stored_layout.h"
#include "model/ops/cpu/kernels.h"
#include "model/ops/linear.h"

namespace semsam {
namespace {

// Numbers that are rounded before they are appended: they stay in the first cache.
constexpr int64_t kChunk = 4096;
// Numbers below which a second thread costs more than it saves.
constexpr int64_t kGrain = 1 << 16;

const at::Tensor& MaskWeight(const SemanticSam& model) {
  return model.pixel_decoder().mask_projection().weight;
}

bool OnCpuKernels(const SemanticSam& model) {
  return ops::UseCpuKernel(model.path(), MaskWeight(model));
}

// ---- Writing ----------------------------------------------------------------

ops::cpu::ChannelShape Channels(const StoredTensor& record) {
  return {.channels = record.channels, .inner = record.inner};
}

// A tensor on its way into bytes.
struct Part {
  StoredTensor record;
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
                                             Channels(part.record), low.data(), high.data())) {
    return NotFinite();
  }
  const bool negative = std::any_of(low.begin(), low.end(), [](float value) { return value < 0; });
  const bool is_signed = part.record.kind == StoredKind::kMemory || negative;
  part.record.encoding = is_signed ? StoredEncoding::kSigned8 : StoredEncoding::kUnsigned8;
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

absl::StatusOr<Part> Prepare(StoredKind kind, const at::Tensor& tensor, StorageFormat format) {
  Part part{.values = tensor.to(at::kCPU).contiguous()};
  TORCH_CHECK(part.values.scalar_type() == at::kFloat, "features are float32");
  part.record = {.kind = kind,
                 .outer = part.values.size(0),
                 .channels = part.values.size(1),
                 .inner = part.values.dim() == 3 ? part.values.size(2) : 1};
  switch (format) {
    case StorageFormat::kFp32:
      part.record.encoding = StoredEncoding::kFloat;
      break;
    case StorageFormat::kFp16:
      part.record.encoding = StoredEncoding::kHalf;
      break;
    case StorageFormat::kInt8:
      SEMSAM_RETURN_IF_ERROR(ChooseScales(part));
      break;
    default:
      return InvalidField("format", "is unknown");
  }
  part.record.bytes = part.record.packed_bytes();
  return part;
}

template <typename T>
void AppendRaw(const T* data, int64_t bytes, std::string& out) {
  out.append(reinterpret_cast<const char*>(data), static_cast<size_t>(bytes));
}

// By chunks: a string that is made longer first writes zeros all over it.
absl::Status AppendValues(const Part& part, std::string& out) {
  const StoredTensor& record = part.record;
  const float* values = part.values.const_data_ptr<float>();
  if (record.encoding == StoredEncoding::kFloat) {
    AppendRaw(values, record.bytes, out);
    return absl::OkStatus();
  }
  AppendRaw(part.scales.data(), record.scale_bytes(), out);
  const ops::cpu::Kernels& kernels = ops::cpu::BestKernels();
  const int64_t rows = std::max<int64_t>(1, kChunk / record.block());
  std::vector<uint16_t> half(record.encoding == StoredEncoding::kHalf ? rows * record.block() : 0);
  std::vector<uint8_t> bytes(record.has_scales() ? rows * record.block() : 0);
  for (int64_t first = 0; first < record.outer; first += rows) {
    const int64_t outer = std::min(rows, record.outer - first);
    const int64_t count = outer * record.block();
    const float* chunk = values + first * record.block();
    if (record.encoding == StoredEncoding::kHalf) {
      if (!kernels.to_half(chunk, count, half.data())) return NotFinite();
      AppendRaw(half.data(), count * 2, out);
    } else {
      kernels.to_bytes(chunk, outer, Channels(record), part.factors.data(), bytes.data());
      AppendRaw(bytes.data(), count, out);
    }
  }
  return absl::OkStatus();
}

// ---- Reading ----------------------------------------------------------------

// Some of the numbers of `data`, [begin, end) of the outer dimension.
void ReadBlocks(const StoredTensor& record, const std::vector<float>& scales, const char* data,
                int64_t begin, int64_t end, float* values) {
  const ops::cpu::Kernels& kernels = ops::cpu::BestKernels();
  const int64_t first = begin * record.block();
  const int64_t outer = end - begin;
  data += first * record.value_bytes();
  values += first;
  switch (record.encoding) {
    case StoredEncoding::kFloat:
      std::memcpy(values, data, outer * record.block() * sizeof(float));
      return;
    case StoredEncoding::kHalf:
      return kernels.from_half(reinterpret_cast<const uint16_t*>(data), outer * record.block(),
                               values);
    case StoredEncoding::kSigned8:
      return kernels.from_signed_bytes(reinterpret_cast<const int8_t*>(data), outer,
                                       Channels(record), scales.data(), values);
    case StoredEncoding::kUnsigned8:
      return kernels.from_unsigned_bytes(reinterpret_cast<const uint8_t*>(data), outer,
                                         Channels(record), scales.data(), values);
  }
}

// -> [outer, channels, inner] on the host.
absl::StatusOr<at::Tensor> ReadTensor(const StoredTensor& record, const char* data) {
  std::vector<float> scales(record.has_scales() ? record.channels : 0);
  if (!scales.empty()) std::memcpy(scales.data(), data, scales.size() * sizeof(float));
  for (const float scale : scales) {
    if (!(scale >= 0) || !std::isfinite(scale)) return BadBytes("have a scale that is no number");
  }
  data += record.scale_bytes();
  at::Tensor tensor = at::empty({record.outer, record.channels, record.inner}, at::kFloat);
  float* values = tensor.mutable_data_ptr<float>();
  at::parallel_for(
      0, record.outer, std::max<int64_t>(1, kGrain / record.block()),
      [&](int64_t begin, int64_t end) { ReadBlocks(record, scales, data, begin, end, values); });
  return tensor;
}

// The mask map as the model's own Encode leaves it.
absl::Status TakeMask(const SemanticSam& model, const StoredTensor& record, const at::Tensor& mask,
                      ImageFeatures& features) {
  const at::Device device = MaskWeight(model).device();
  if (record.kind == StoredKind::kMaskFeatures) {
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
    mask = PanelCount(shape.grid.area(), width) * width * config.hidden_dim;
  }
  return (shape.tokens * config.hidden_dim + mask) * static_cast<int64_t>(sizeof(float));
}

absl::StatusOr<std::string> PackFeatures(const ImageFeatures& features, ImageSize network,
                                         StorageFormat format) {
  const bool panels = features.mask_panels.defined();
  SEMSAM_ASSIGN_OR_RETURN(const Part memory,
                          Prepare(StoredKind::kMemory, features.memory.memory, format));
  SEMSAM_ASSIGN_OR_RETURN(const Part mask,
                          Prepare(panels ? StoredKind::kMaskPanels : StoredKind::kMaskFeatures,
                                  panels ? features.mask_panels : features.mask_features, format));
  StoredFront front = {
      .height = network.height, .width = network.width, .tensors = {memory.record, mask.record}};
  Seal(front);
  std::string bytes;
  bytes.reserve(sizeof(front) + memory.record.bytes + mask.record.bytes);
  AppendRaw(&front, sizeof(front), bytes);
  SEMSAM_RETURN_IF_ERROR(AppendValues(memory, bytes));
  SEMSAM_RETURN_IF_ERROR(AppendValues(mask, bytes));
  return bytes;
}

absl::StatusOr<ImageFeatures> UnpackFeatures(const SemanticSam& model,
                                             const StoredEmbedding& stored) {
  SEMSAM_ASSIGN_OR_RETURN(const StoredFront front, CheckedFront(stored, model.config()));
  FeatureShape shape = ShapeOf(model.config(), stored.network_size);
  const auto& [memory_record, mask_record] = front.tensors;
  const char* data = stored.bytes.data() + sizeof(StoredFront);
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
