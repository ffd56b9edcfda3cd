#include "model/tools/bench/measure.h"

#include <malloc.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <string>

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

// A line of /proc/self/status such as "VmHWM:   1234 kB"; -1 where there is none.
double StatusMegabytes(const std::string& key) {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.compare(0, key.size(), key) == 0) return std::atof(line.c_str() + key.size()) / 1024;
  }
  return -1;
}

// Runs `work`; how far resident memory rose meanwhile.
double PeakMegabytes(const std::function<void()>& work) {
#ifdef __GLIBC__
  malloc_trim(0);  // what earlier work left behind would hide what this one needs
#endif
  // 5 sets the peak back to what is resident now.
  std::ofstream("/proc/self/clear_refs") << "5";
  const double before = StatusMegabytes("VmRSS:");
  work();
  return std::max(0.0, StatusMegabytes("VmHWM:") - before);
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
  // Warms both sides: page faults, thread pools, cached plans.
  const double ours_peak_mb = PeakMegabytes(ours);
  const double baseline_peak_mb = PeakMegabytes(baseline);
  std::vector<double> ours_ms, baseline_ms, ratios;
  for (int block = 0; block < options.blocks; ++block) {
    ours_ms.push_back(MedianOfRuns(options.ours_runs, ours));
    baseline_ms.push_back(MedianOfRuns(options.baseline_runs, baseline));
    ratios.push_back(baseline_ms.back() / ours_ms.back());
  }
  return {.name = name,
          .ours_ms = SpreadOf(ours_ms),
          .baseline_ms = SpreadOf(baseline_ms),
          .ratio = SpreadOf(ratios),
          .ours_peak_mb = ours_peak_mb,
          .baseline_peak_mb = baseline_peak_mb};
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
