#include "model/training/uniform.h"

namespace semsam {
namespace {

constexpr uint64_t kStep = 0x9E3779B97F4A7C15u;
constexpr int64_t kGrain = 1 << 16;

float UnitAt(uint64_t state) {
  uint64_t z = state;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
  z ^= z >> 31;
  // 24 bits: what a float of [0, 1) holds.
  return static_cast<float>(z >> 40) * 0x1p-24f;
}

}  // namespace

at::Tensor SeededUniform::Draw(at::IntArrayRef shape) {
  at::Tensor values = at::empty(shape, at::kFloat);
  float* out = values.mutable_data_ptr<float>();
  const uint64_t state = state_;
  at::parallel_for(0, values.numel(), kGrain, [out, state](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      out[i] = UnitAt(state + (static_cast<uint64_t>(i) + 1) * kStep);
    }
  });
  state_ += static_cast<uint64_t>(values.numel()) * kStep;
  return values;
}

}  // namespace semsam
