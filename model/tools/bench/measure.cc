#include "model/tools/bench/measure.h"

#include <algorithm>
#include <chrono>
#include <cstring>

#include "model/ops/cpu/kernels.h"
#include "model/torch/torch.h"

namespace semsam::bench {
namespace {

double Milliseconds(const std::function<void()>& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start)
      .count();
}

double MedianOfRuns(int runs, const std::function<void()>& work) {
  std::vector<double> times;
  for (int i = 0; i < runs; ++i) times.push_back(Milliseconds(work));
  return SpreadOf(std::move(times)).median;
}

double BestOfRuns(int runs, const std::function<void()>& work) {
  double best = Milliseconds(work);
  for (int i = 1; i < runs; ++i) best = std::min(best, Milliseconds(work));
  return best;
}

}  // namespace

Spread SpreadOf(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const size_t n = values.size();
  return {.median = (values[(n - 1) / 2] + values[n / 2]) / 2,
          .min = values.front(),
          .max = values.back()};
}

Comparison Compare(const std::string& name, const BlockOptions& options,
                   const std::function<void()>& ours, const std::function<void()>& baseline) {
  ours();  // warm both sides: page faults, thread pools, cached plans
  baseline();
  std::vector<double> ours_ms, baseline_ms, ratios;
  for (int block = 0; block < options.blocks; ++block) {
    ours_ms.push_back(MedianOfRuns(options.ours_runs, ours));
    baseline_ms.push_back(MedianOfRuns(options.baseline_runs, baseline));
    ratios.push_back(baseline_ms.back() / ours_ms.back());
  }
  return {.name = name,
          .ours_ms = SpreadOf(ours_ms),
          .baseline_ms = SpreadOf(baseline_ms),
          .ratio = SpreadOf(ratios)};
}

Peaks MeasurePeaks() {
  Peaks peaks;
  const int threads = at::get_num_threads();
  constexpr int64_t kIterations = 4'000'000;
  double flop = 0;
  const double fma_ms = BestOfRuns(3, [&] {
    flop = 0;
    std::vector<double> done(threads);
    at::parallel_for(0, threads, 1, [&](int64_t begin, int64_t end) {
      for (int64_t t = begin; t < end; ++t) {
        done[t] = ops::cpu::BestKernels().multiply_add(kIterations);
      }
    });
    for (double value : done) flop += value;
  });
  peaks.fma_gflops = flop / fma_ms / 1e6;

  const at::Tensor a = at::randn({2048, 2048});
  const at::Tensor b = at::randn({2048, 2048});
  at::Tensor c = at::empty({2048, 2048});
  peaks.product_gflops =
      2.0 * 2048 * 2048 * 2048 / BestOfRuns(5, [&] { at::mm_out(c, a, b); }) / 1e6;

  const at::Tensor from = at::randn({64, 1024, 1024});
  at::Tensor to = at::empty_like(from);
  peaks.copy_gb_s =
      2.0 * static_cast<double>(from.nbytes()) / BestOfRuns(3, [&] { to.copy_(from); }) / 1e6;
  return peaks;
}

}  // namespace semsam::bench
