// semsam-eval: measures a model on data sets.
#include <iostream>
#include <string>
#include <vector>

#include "model/base/clock.h"
#include "model/tools/eval/program.h"
#ifdef SEMSAM_WITH_TORCH
#include "model/net/torch_segmenter.h"
#endif

namespace {

absl::StatusOr<std::unique_ptr<semsam::Segmenter>> MakeSegmenter(
    const semsam::EvaluateOptions& options) {
#ifdef SEMSAM_WITH_TORCH
  return semsam::CreateTorchSegmenter(
      {.weights = options.weights, .device = options.device, .threads = options.network_threads});
#else
  return absl::UnimplementedError("this program was built without LibTorch: --weights " +
                                  options.weights + " cannot run, only --weights none");
#endif
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> arguments(argv + 1, argv + argc);
  const semsam::RealClock clock;
  return semsam::RunEval(arguments, MakeSegmenter,
                         {.out = std::cout, .err = std::cerr, .clock = clock});
}
