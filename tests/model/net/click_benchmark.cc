// A click of our own model at 640, decoder and heads, with and without each of its
// additions. Processor time counts all threads. Where others use the cores too, set
// OMP_WAIT_POLICY=passive: a thread that spins for one that does not run takes 0.3 s.
#include <benchmark/benchmark.h>
#include <c10/core/InferenceMode.h>

#include <vector>

#include "model/net/load_model.h"
#include "model/torch/runtime.h"

namespace semsam {
namespace {

constexpr int64_t kSide = 640;  // px

enum Which { kNone, kMaps, kClick, kPooled, kAll };

DecoderAdditions Some(Which which) {
  const DecoderAdditions all = SemsamLite().decoder.additions;
  switch (which) {
    case kMaps:
      return {.prompt_maps = all.prompt_maps};
    case kClick:
      return {.click_features = true};
    case kPooled:
      return {.pooled_features = true};
    case kAll:
      return all;
    case kNone:
      break;
  }
  return {};
}

SemanticSam MakeNetwork(const DecoderAdditions& additions) {
  static const auto* file = new auto(*ModelFile::Open("formula:semsam-lite"));
  ModelConfig config = (*file)->config();
  config.decoder.additions = additions;
  return {config, TensorMap(*CopyWeights((*file)->weights(), at::kCPU)), ops::Path::kNative};
}

// Features of no picture: what a click costs does not depend on them.
ImageFeatures MakeFeatures(const SemanticSam& network) {
  PixelFeatures features;
  const int64_t channels = network.config().pixel_decoder.hidden_dim;
  for (const int64_t stride : {8, 16, 32}) {
    features.multi_scale.push_back(at::randn({1, kSide / stride, kSide / stride, channels}));
  }
  features.mask_map = at::rand({1, kSide / 4, kSide / 4, channels});
  return network.Finish(features).front();
}

void BM_Click(benchmark::State& state, Which which) {
  const c10::InferenceMode inference;
  const SemanticSam network = MakeNetwork(Some(which));
  const ImageFeatures image = MakeFeatures(network);
  const std::vector<ops::PyramidMemory> memories = {image.memory};
  const DecoderInput click = {.images = memories,
                              .image_of_prompt = {0},
                              .boxes = at::tensor({0.3f, 0.6f, 0.005f, 0.005f}).view({1, 4}),
                              .point_or_box = at::zeros({1}, at::kLong)};
  for (auto _ : state) {
    const DecoderOutput output = network.decoder().Forward(click);
    benchmark::DoNotOptimize(network.Predict({.queries = output.queries,
                                              .box_queries = output.queries,
                                              .references = output.last_reference,
                                              .centres = click.boxes.slice(1, 0, 2)},
                                             image));
  }
}

#define SEMSAM_CLICK(name, which)          \
  BENCHMARK_CAPTURE(BM_Click, name, which) \
      ->Unit(benchmark::kMillisecond)      \
      ->MeasureProcessCPUTime()            \
      ->UseRealTime()
SEMSAM_CLICK(without, kNone);
SEMSAM_CLICK(prompt_maps, kMaps);
SEMSAM_CLICK(click_features, kClick);
SEMSAM_CLICK(pooled_features, kPooled);
SEMSAM_CLICK(all, kAll);

}  // namespace
}  // namespace semsam

int main(int argc, char** argv) {
  semsam::ConfigureTorch({});
  benchmark::Initialize(&argc, argv);
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
