// The attention of one encoder layer at 320 x 320, forward and backward, as a step of
// training runs it; ours beside grid_sample through LibTorch's autograd, in one run:
//   ops_benchmark --benchmark_enable_random_interleaving=true --benchmark_repetitions=5
#include <benchmark/benchmark.h>

#include <vector>

#include "model/ops/deformable_attention.h"

namespace semsam::ops {
namespace {

// Levels of strides 8, 16, 32 and 64, finest first.
const std::vector<ImageSize> kPyramid = {{40, 40}, {20, 20}, {10, 10}, {5, 5}};
constexpr int64_t kTokens = 2125;
constexpr SamplingShape kShape = {.heads = 8, .points = 4};

void EncoderLayer(benchmark::State& state, Path path) {
  at::manual_seed(1);
  const int64_t batch = state.range(0);
  at::Tensor values = at::randn({batch, kTokens, 256});
  // Offsets of some pixels, as trained ones are.
  at::Tensor projections = at::randn({batch, kTokens, 8 * 16 * 3}) * 3;
  values.requires_grad_(true);
  projections.requires_grad_(true);
  const at::Tensor references = at::rand({kTokens, 2});
  const at::Tensor probe = at::randn({batch, kTokens, 256});
  for (auto _ : state) {
    values.mutable_grad().reset();
    projections.mutable_grad().reset();
    const at::Tensor out =
        DeformableAttention(kShape, values, kPyramid, projections, references, path);
    out.backward(probe);
    benchmark::DoNotOptimize(values.grad().const_data_ptr<float>());
  }
  state.counters["threads"] = at::get_num_threads();
}

void EncoderLayerForwardAndBackward(benchmark::State& state) {
  EncoderLayer(state, Path::kTraining);
}
void EncoderLayerForwardAndBackwardGridSample(benchmark::State& state) {
  EncoderLayer(state, Path::kReference);
}

BENCHMARK(EncoderLayerForwardAndBackward)
    ->Arg(1)
    ->Arg(4)
    ->Unit(benchmark::kMillisecond)
    ->UseRealTime();
BENCHMARK(EncoderLayerForwardAndBackwardGridSample)
    ->Arg(1)
    ->Arg(4)
    ->Unit(benchmark::kMillisecond)
    ->UseRealTime();

}  // namespace
}  // namespace semsam::ops
