// Timing helpers of semsam-bench: interleaved blocks of two sides, and the peaks
// that a figure is held against.
#ifndef SEMSAM_MODEL_TOOLS_BENCH_MEASURE_H_
#define SEMSAM_MODEL_TOOLS_BENCH_MEASURE_H_

#include <functional>
#include <string>
#include <vector>

namespace semsam::bench {

struct Spread {
  double median = 0;
  double min = 0;
  double max = 0;
};
Spread SpreadOf(std::vector<double> values);

// Two ways to do the same work, timed in turn: ours, theirs, ours, theirs. A
// block's figure is the median of its runs; the ratio is taken block by block,
// so that a machine whose speed drifts does not favour a side.
struct Comparison {
  std::string name;
  double gflop = 0;    // arithmetic that ours must do
  Spread ours_ms;      // of the blocks
  Spread baseline_ms;  // of the blocks
  Spread ratio;        // baseline / ours, block by block
  // Resident memory at its peak above that before the run, in the first run of each
  // side; 0 where the system does not tell.
  double ours_peak_mb = 0;
  double baseline_peak_mb = 0;
};

struct BlockOptions {
  int blocks = 5;
  int ours_runs = 5;
  int baseline_runs = 1;
};

Comparison Compare(const std::string& name, const BlockOptions& options,
                   const std::function<void()>& ours, const std::function<void()>& baseline);

// Peaks of this run, all threads.
struct Peaks {
  double fma_gflops = 0;      // independent multiply-adds in registers
  double product_gflops = 0;  // LibTorch's 2048^3 float32 product
  double copy_gb_s = 0;       // large copy, bytes read plus bytes written
};
Peaks MeasurePeaks();

}  // namespace semsam::bench

#endif  // SEMSAM_MODEL_TOOLS_BENCH_MEASURE_H_
