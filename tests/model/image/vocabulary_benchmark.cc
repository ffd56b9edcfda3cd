// Vocabulary inference at the size of a photo: 300 queries, one thread.
#include <benchmark/benchmark.h>

#include "tests/model/image/vocabulary_test_util.h"

namespace semsam {
namespace {

constexpr ImageSize kNetwork = {640, 960};

// Most queries see nothing, some one class each, as a trained model has it.
testing::QueryData Queries(int classes) {
  testing::QueryData data = testing::RandomQueries(kNetwork, 300, classes, 1);
  for (float& logit : data.class_logits) logit = logit * 0.3f - 4;
  for (int q = 0; q < data.queries; q += 5) {
    data.class_logits[q * classes + q % classes] = 2 + 0.001f * static_cast<float>(q);
  }
  return data;
}

ImageSize Output(const benchmark::State& state) {
  return {static_cast<int>(state.range(0)), static_cast<int>(state.range(0)) * 3 / 2};
}

void Instances(benchmark::State& state) {
  const testing::QueryData data = Queries(133);
  for (auto _ : state) {
    benchmark::DoNotOptimize(InferInstances(data.view(), {.output = Output(state), .top = 100}));
  }
}

void Panoptic(benchmark::State& state) {
  const testing::QueryData data = Queries(133);
  for (auto _ : state) {
    benchmark::DoNotOptimize(InferPanoptic(
        data.view(), {.output = Output(state), .is_thing = std::vector<bool>(133, true)}));
  }
}

void SemanticMap(benchmark::State& state) {
  const testing::QueryData data = Queries(static_cast<int>(state.range(1)));
  for (auto _ : state) {
    benchmark::DoNotOptimize(InferSemanticMap(data.view(), {.output = Output(state)}));
  }
}

// What the map would cost without leaving anything out.
void SemanticScores(benchmark::State& state) {
  const testing::QueryData data = Queries(static_cast<int>(state.range(1)));
  for (auto _ : state) {
    benchmark::DoNotOptimize(InferSemantic(
        data.view(), {.output = Output(state)},
        [](int, int, absl::Span<const float> scores) { benchmark::DoNotOptimize(scores.data()); }));
  }
}

BENCHMARK(Instances)->Arg(640)->Arg(1280)->Arg(4000)->Unit(benchmark::kMillisecond);
BENCHMARK(Panoptic)->Arg(640)->Arg(1280)->Arg(4000)->Unit(benchmark::kMillisecond);
BENCHMARK(SemanticMap)
    ->Args({640, 133})
    ->Args({1280, 133})
    ->Args({1280, 2000})
    ->Args({4000, 133})
    ->Unit(benchmark::kMillisecond);
BENCHMARK(SemanticScores)->Args({640, 133})->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace semsam
