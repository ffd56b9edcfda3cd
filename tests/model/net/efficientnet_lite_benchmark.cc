// EfficientNet-Lite2 as an encode runs it (640 x 640) and as a step of training does
// (four images of 320 x 320, forward and backward, in float32 or with autocast), by
// threads; processor time of the calling thread beside real time:
//   backbone_benchmark --benchmark_enable_random_interleaving=true --benchmark_repetitions=5
#include <ATen/Parallel.h>
#include <ATen/autocast_mode.h>
#include <benchmark/benchmark.h>
#include <c10/core/InferenceMode.h>

#include <map>
#include <string>

#include "model/net/efficientnet_lite.h"
#include "model/weights/weight_table.h"

namespace semsam {
namespace {

// Random ones of a spread that keeps the signal, all asking for gradients, as a trainer's.
std::map<std::string, at::Tensor> Weights(bool learn) {
  ModelConfig model = SwinT();
  model.backbone = EfficientNetLiteConfig{};
  std::map<std::string, at::Tensor> weights;
  for (const WeightSpec& spec : WeightTable(model)) {
    if (!spec.name.starts_with("backbone.")) continue;
    weights[spec.name] = (at::rand(spec.shape) * 2 - 1).mul_(spec.scale).requires_grad_(learn);
  }
  return weights;
}

void Forward(benchmark::State& state, ops::Path path) {
  at::manual_seed(1);
  at::set_num_threads(static_cast<int>(state.range(0)));
  const c10::InferenceMode inference;
  const EfficientNetLite net({}, TensorMap(Weights(/*learn=*/false)), path);
  const at::Tensor image = at::randn({1, 3, 640, 640});
  for (auto _ : state) benchmark::DoNotOptimize(net.Forward(image)[3].const_data_ptr<float>());
}

void ForwardAt640(benchmark::State& state) { Forward(state, ops::Path::kNative); }
void ForwardAt640LibTorch(benchmark::State& state) { Forward(state, ops::Path::kReference); }

void TrainingStep(benchmark::State& state, bool bfloat16) {
  at::manual_seed(1);
  at::set_num_threads(static_cast<int>(state.range(0)));
  std::map<std::string, at::Tensor> weights = Weights(/*learn=*/true);
  const at::Tensor images = at::randn({4, 3, 320, 320});
  for (auto _ : state) {
    for (auto& [name, weight] : weights) weight.mutable_grad().reset();
    const EfficientNetLite net({}, TensorMap(weights), ops::Path::kTraining);
    at::autocast::set_autocast_enabled(at::kCPU, bfloat16);
    at::Tensor loss = at::zeros({});
    for (const at::Tensor& feature : net.Forward(images)) {
      loss = loss + feature.to(at::kFloat).mean();
    }
    at::autocast::set_autocast_enabled(at::kCPU, false);
    at::autocast::clear_cache();
    loss.backward();
  }
}

void TrainingStepAt320(benchmark::State& state) { TrainingStep(state, /*bfloat16=*/false); }
void TrainingStepAt320BFloat16(benchmark::State& state) { TrainingStep(state, /*bfloat16=*/true); }

BENCHMARK(ForwardAt640)->Arg(1)->Arg(2)->Unit(benchmark::kMillisecond)->UseRealTime();
BENCHMARK(ForwardAt640LibTorch)->Arg(1)->Arg(2)->Unit(benchmark::kMillisecond)->UseRealTime();
BENCHMARK(TrainingStepAt320)->Arg(1)->Arg(2)->Unit(benchmark::kMillisecond)->UseRealTime();
BENCHMARK(TrainingStepAt320BFloat16)->Arg(1)->Arg(2)->Unit(benchmark::kMillisecond)->UseRealTime();

}  // namespace
}  // namespace semsam
