// Compiled with -ffp-contract=off (see CMakeLists.txt): a fused multiply-add
// would change the last bit of the weights.
#include "model/weights/formula.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <map>
#include <memory>
#include <new>
#include <string>
#include <system_error>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "model/base/status_macros.h"
#include "model/weights/shown_name.h"

namespace semsam {
namespace {

constexpr int64_t kMaxElements = int64_t{1} << 29;
constexpr int64_t kChunkElements = int64_t{1} << 20;
constexpr unsigned kMaxThreads = 4;
constexpr uint64_t kGolden = 0x9E3779B97F4A7C15;

absl::Status Bad(const WeightSpec& spec, const std::string& what) {
  return absl::InvalidArgumentError(absl::StrCat("weight ", ShownName(spec.name), " ", what));
}

// Part of a tensor: small enough that the threads end together.
struct Chunk {
  const WeightSpec* spec;
  int64_t first;
  std::span<float> out;
};

void FillChunks(std::span<const Chunk> chunks) {
  std::atomic<size_t> next{0};
  const auto work = [&] {
    for (size_t i = next++; i < chunks.size(); i = next++) {
      const WeightSpec& spec = *chunks[i].spec;
      FillFormula(Fnv1a64(spec.seed_name), spec.offset, spec.scale, chunks[i].first, chunks[i].out);
    }
  };
  const unsigned threads =
      std::min({std::max(1u, std::thread::hardware_concurrency()), kMaxThreads,
                static_cast<unsigned>(std::min<size_t>(chunks.size(), kMaxThreads))});
  std::vector<std::thread> helpers;
  try {
    for (unsigned i = 1; i < threads; ++i) helpers.emplace_back(work);
  } catch (const std::system_error&) {
    // No more threads to be had: the ones there are do it.
  }
  work();
  for (std::thread& helper : helpers) helper.join();
}

// Memory for one seed_name.
struct Buffer {
  const WeightSpec* spec = nullptr;
  std::shared_ptr<std::byte[]> data;
};

absl::StatusOr<Buffer> MakeBuffer(const WeightSpec& spec, std::vector<Chunk>& chunks) {
  SEMSAM_ASSIGN_OR_RETURN(const int64_t bytes, CheckedBytes(spec.shape, spec.dtype));
  Buffer buffer{.spec = &spec};
  buffer.data.reset(new (std::nothrow) std::byte[static_cast<size_t>(bytes)]);
  if (buffer.data == nullptr) {
    return absl::ResourceExhaustedError(absl::StrCat("no memory for ", ShownName(spec.name)));
  }
  const int64_t elements = bytes / ItemBytes(spec.dtype);
  if (spec.kind == kComputedKind) {
    int window = 1;
    while (int64_t{window} * window < spec.shape[0]) ++window;
    const std::vector<int64_t> index = RelativePositionIndex(window);
    std::memcpy(buffer.data.get(), index.data(), static_cast<size_t>(bytes));
    return buffer;
  }
  auto* values = reinterpret_cast<float*>(buffer.data.get());
  for (int64_t first = 0; first < elements; first += kChunkElements) {
    const int64_t count = std::min(kChunkElements, elements - first);
    chunks.push_back({&spec, first, {values + first, static_cast<size_t>(count)}});
  }
  return buffer;
}

absl::Status CheckSpec(const WeightSpec& spec, int64_t& total) {
  const absl::StatusOr<int64_t> elements = CheckedElements(spec.shape);
  if (!elements.ok()) return Bad(spec, std::string(elements.status().message()));
  if (*elements > kMaxElements - total) return Bad(spec, "makes the model too large");
  total += *elements;
  if (spec.kind != kComputedKind) {
    if (spec.dtype != DType::kFloat32) return Bad(spec, "is not float32");
    return absl::OkStatus();
  }
  if (spec.dtype != DType::kInt64 || spec.shape.size() != 2 || spec.shape[0] != spec.shape[1]) {
    return Bad(spec, "is no relative position index");
  }
  int64_t window = 0;
  while (window * window < spec.shape[0]) ++window;
  if (window == 0 || window * window != spec.shape[0]) {
    return Bad(spec, "is no relative position index of a square window");
  }
  return absl::OkStatus();
}

}  // namespace

uint64_t Fnv1a64(std::string_view text) {
  uint64_t hash = 14695981039346656037u;
  for (const char c : text) {
    hash ^= static_cast<uint8_t>(c);
    hash *= 1099511628211u;
  }
  return hash;
}

void FillFormula(uint64_t seed, float offset, float scale, int64_t first, std::span<float> out) {
  uint64_t state = seed + static_cast<uint64_t>(first) * kGolden;
  for (float& value : out) {
    state += kGolden;
    uint64_t z = state;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
    z ^= z >> 31;
    const float u = static_cast<float>(static_cast<uint32_t>(z >> 40)) * 0x1p-23f - 1.0f;
    const float product = scale * u;
    value = offset + product;
  }
}

std::vector<int64_t> RelativePositionIndex(int window) {
  const int64_t side = 2 * int64_t{window} - 1;
  std::vector<int64_t> index;
  index.reserve(static_cast<size_t>(window) * window * window * window);
  for (int qy = 0; qy < window; ++qy) {
    for (int qx = 0; qx < window; ++qx) {
      for (int ky = 0; ky < window; ++ky) {
        for (int kx = 0; kx < window; ++kx) {
          index.push_back((qy - ky + window - 1) * side + (qx - kx + window - 1));
        }
      }
    }
  }
  return index;
}

absl::StatusOr<TensorSet> FormulaTensors(std::span<const WeightSpec> specs) {
  int64_t total = 0;
  for (const WeightSpec& spec : specs) SEMSAM_RETURN_IF_ERROR(CheckSpec(spec, total));

  TensorSet set;
  std::vector<Chunk> chunks;
  std::map<std::string, Buffer> buffers;
  for (const WeightSpec& spec : specs) {
    Buffer& buffer = buffers[spec.seed_name];
    if (buffer.spec == nullptr) {
      SEMSAM_ASSIGN_OR_RETURN(buffer, MakeBuffer(spec, chunks));
      set.owners.push_back(buffer.data);
    } else if (buffer.spec->shape != spec.shape || buffer.spec->kind != spec.kind ||
               buffer.spec->scale != spec.scale || buffer.spec->offset != spec.offset) {
      return Bad(spec, absl::StrCat("differs from ", ShownName(buffer.spec->name),
                                    ", with which it shares its values"));
    }
    TensorView tensor{.name = spec.name, .dtype = spec.dtype, .shape = spec.shape};
    tensor.data = {buffer.data.get(), static_cast<size_t>(SizeBytes(tensor))};
    set.tensors.push_back(std::move(tensor));
  }
  FillChunks(chunks);
  return set;
}

}  // namespace semsam
