// The Segmenter of production: the network on LibTorch. Torch-free header, so
// that a program can hold it beside gRPC.
#ifndef SEMSAM_MODEL_NET_TORCH_SEGMENTER_H_
#define SEMSAM_MODEL_NET_TORCH_SEGMENTER_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "model/segmenter.h"

namespace semsam {

struct TorchSegmenterOptions {
  // What ModelFile::Open takes: "default", a .safetensors, a published .pth, a
  // manifest .tsv, or "formula:swin-t".
  std::string weights;
  // "cpu", "cuda" or "cuda:N".
  std::string device = "cpu";
  // Threads of one operator; 0 takes one a core. Process-wide.
  int threads = 0;
  // Run LibTorch's own operators where we have kernels: the baseline of the
  // benchmarks and the oracle of the tests.
  bool reference_path = false;
};

// Maps the weights and prepares the network. INVALID_ARGUMENT for an unknown
// device or weights that do not fit; FAILED_PRECONDITION for a device that this
// build or machine does not have.
absl::StatusOr<std::unique_ptr<Segmenter>> CreateTorchSegmenter(
    const TorchSegmenterOptions& options);

}  // namespace semsam

#endif  // SEMSAM_MODEL_NET_TORCH_SEGMENTER_H_
